"""A conversation as one sequence of tokens, and an assistant that answers in it, turn by turn.

    <|user|>Hello!<|end|><|assistant|>Hello! What can I do for you?<|end|><|user|>…

Three special tokens say who speaks and where a turn ends. No text can hold one of them: they are
put between the texts as ids, and a text with their names in it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from minigpt import checks
from minigpt.datasets import Completion
from minigpt.sampling import Sampler, SamplingConfig
from minigpt.sampling.decoding import Decoder
from minigpt.sampling.text_stream import TextStream
from minigpt.tasks.answering import special_id

Role = Literal["user", "assistant"]
USER, ASSISTANT, END = CHAT_TOKENS = ("<|user|>", "<|assistant|>", "<|end|>")
ROLES: tuple[Role, Role] = ("user", "assistant")  # in the order in which they speak


class ChatFormat:
    """How turns become tokens.

    Args:
        tokenizer: with :data:`CHAT_TOKENS` among its special tokens.

    Attributes:
        user_id, assistant_id, end_id: of the three special tokens.

    Raises:
        ValueError: the tokenizer lacks one of the three.

    Example:
        >>> from minigpt.tokenizers import CharTokenizer
        >>> chat_format = ChatFormat(CharTokenizer("!Hei", special_tokens=CHAT_TOKENS))
        >>> conversation = chat_format.encode([("user", "Hi!"), ("assistant", "Hee")])
        >>> conversation.ids  # 4: the user speaks; 5: the assistant does; 6: a turn ends
        (4, 1, 3, 0, 6, 5, 1, 2, 2, 6)
        >>> [token for token, said in zip(conversation.ids, conversation.said) if said]
        [1, 2, 2, 6]
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.user_id, self.assistant_id, self.end_id = (
            special_id(tokenizer, name) for name in CHAT_TOKENS
        )

    def encode(self, turns: Iterable[tuple[str, str]]) -> Completion:
        """A conversation to learn from, for :class:`~minigpt.datasets.CompletionBatches`.

        What is to be said is the assistant's answers, each with the ``<|end|>`` after it. All else
        is read, the ``<|assistant|>`` too: the model does not choose whose turn it is.

        Args:
            turns: (role, text), "user" and "assistant" in alternation, the user first.

        Raises:
            TypeError: a turn is not a pair of strings.
            ValueError: a role is not due, there is no turn at all, or a text holds a special token.
        """
        whole = Completion.read(())
        for i, (role, text) in enumerate(checked_turns(turns)):
            ids = self._text(text, f"turns[{i}]")
            if role == "user":
                whole += Completion.read([self.user_id, *ids, self.end_id])
            else:
                whole += Completion.read([self.assistant_id]) + Completion.say([*ids, self.end_id])
        return whole

    def prompt(self, turns: Iterable[tuple[str, str]]) -> list[int]:
        """The ids after which the assistant's answer comes; the last turn is the user's.

        Raises:
            TypeError, ValueError: as :meth:`encode`, or the user is not the last to have spoken.
        """
        checked = checked_turns(turns)
        if checked[-1][0] != "user":
            raise ValueError("turns end with an answer: pass them with the user's turn to answer")
        return [*self.encode(checked).ids, self.assistant_id]

    def question(self, text: str) -> list[int]:
        """A user's turn, and the ``<|assistant|>`` that asks for its answer.

        Raises:
            TypeError: the text is not a str.
            ValueError: it holds a special token.
        """
        return [self.user_id, *self._text(text, "text"), self.end_id, self.assistant_id]

    def _text(self, text: str, name: str) -> list[int]:
        try:
            ids: list[int] = list(self.tokenizer.encode(text))
        except ValueError as error:
            for special in self.tokenizer.special_tokens:
                if special in text:
                    raise ValueError(
                        f"{name} holds the special token {special!r}, which no text of a "
                        "conversation may: take it out"
                    ) from None
            raise ValueError(f"{name}: {error}") from None
        return ids


class Chat:
    """A conversation with a model.

    The model reads the whole conversation anew for every answer, or as much of it as its context
    holds beside the longest answer: where it does not hold all, the oldest exchanges (a user's turn
    and the answer to it) are left out whole, and ``forgotten`` says how many turns these were.

    An answer ends at ``<|end|>``, at any other special token, or after ``max_new_tokens``. The
    history keeps it as the ids that were drawn, so what was written cannot turn into a special
    token when it is read again.

    Args:
        sampler: a model that was trained on conversations, and its tokenizer.
        max_new_tokens: the most tokens of an answer; the context keeps room for them.
        temperature, top_k, top_p: as in :class:`~minigpt.sampling.SamplingConfig`.
        seed: with the same one the same conversation is answered in the same words.

    Attributes:
        turns: (role, text) of all that was said.
        forgotten: how many of the first turns the model did not see when it answered last.
        cut_off: whether its last answer ended at ``max_new_tokens``, and not by itself.

    Raises:
        TypeError, ValueError: an option is wrong, the tokenizer lacks the special tokens, or the
            context has no room for an answer.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer("!Hi", special_tokens=CHAT_TOKENS)
        >>> model = mg.GPT(mg.GPTConfig(6, block_size=32, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> chat = Chat(mg.Sampler(model, tokenizer), max_new_tokens=8, seed=0)
        >>> answer = "".join(chat.stream("Hi!"))  # of an untrained model
        >>> chat.turns == [("user", "Hi!"), ("assistant", answer)]
        True
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        max_new_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        checks.instance("sampler", sampler, Sampler, "wrap the model: Sampler(model, tokenizer)")
        self.format = ChatFormat(sampler.tokenizer)
        self.sampler = sampler
        self.turns: list[tuple[str, str]] = []
        self.forgotten = 0
        self.cut_off = False
        self._exchanges: list[list[int]] = []  # the ids of a user's turn and the answer to it
        config = sampler.model.config
        tokenizer = self.format.tokenizer
        if tokenizer.vocab_size > config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.vocab_size} tokens, the model {config.vocab_size}: "
                "use the tokenizer that the model was trained with"
            )
        self._options = SamplingConfig(
            max_new_tokens=checks.integer("max_new_tokens", max_new_tokens, least=1),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            stop_tokens=[special_id(tokenizer, name) for name in tokenizer.special_tokens],
            seed=seed,
        )
        if isinstance(seed, int):  # every answer draws on from where the one before it stopped
            self._options = replace(self._options, seed=np.random.default_rng(seed))
        # The last token of an answer is drawn, and not read.
        self._room = np.inf
        if config.block_size is not None:
            self._room = config.block_size - (max_new_tokens - 1)
        if self._room < 4:  # <|user|> a token <|end|> <|assistant|>
            raise ValueError(
                f"max_new_tokens={max_new_tokens} leaves no room for a question in the context of "
                f"{config.block_size} tokens: choose at most {max(config.block_size - 3, 0)}"
            )

    def stream(self, text: str) -> Iterator[str]:
        """The answer to what the user says, in pieces, as it is written.

        The exchange enters the history when the last piece has been taken: an answer that is left
        before its end leaves no trace.

        Raises:
            TypeError: ``text`` is not a str.
            ValueError: it holds a special token, or is too long for the context.
        """
        question = self.format.question(text)
        prompt, forgotten = self._prompt(question)
        return self._answer(text, question, prompt, forgotten)  # errors have come by now

    def reply(self, text: str) -> str:
        """The whole answer, when it is written; :meth:`stream` without the pieces."""
        return "".join(self.stream(text))

    def reset(self) -> None:
        """Begin a new conversation."""
        self.turns, self._exchanges = [], []
        self.forgotten, self.cut_off = 0, False

    def __repr__(self) -> str:
        return f"Chat({self.sampler!r}, {len(self.turns)} turns)"

    def _prompt(self, ids: list[int]) -> tuple[list[int], int]:
        """As many of the last exchanges as there is room for, and ``ids``; turns left out."""
        if len(ids) > self._room:
            config = self.sampler.model.config
            raise ValueError(
                f"text takes {len(ids)} tokens with those around it, and beside an answer of "
                f"max_new_tokens={self._options.max_new_tokens} the context of {config.block_size} "
                f"has room for {self._room}: say it in fewer words"
            )
        n_kept = 0
        for exchange in reversed(self._exchanges):
            if len(exchange) + len(ids) > self._room:
                break
            ids = exchange + ids
            n_kept += 1
        return ids, 2 * (len(self._exchanges) - n_kept)

    def _answer(
        self, text: str, question: list[int], prompt: list[int], forgotten: int
    ) -> Iterator[str]:
        tokenizer, options = self.format.tokenizer, self._options
        ids, answer = list[int](), ""
        pieces = TextStream(tokenizer)
        self.forgotten = forgotten
        decoder = Decoder(
            self.sampler.model, np.array([prompt]), None, options, tokenizer.vocab_size
        )
        for (token,) in decoder.columns():
            if decoder.finished[0]:  # a stop token
                break
            ids.append(int(token))
            if piece := pieces.push(int(token)):
                answer += piece
                yield piece
        self.cut_off = not decoder.finished[0]
        self._exchanges.append([*question, *ids, self.format.end_id])
        self.turns += [("user", text), ("assistant", answer)]


def checked_turns(turns: Iterable[tuple[str, str]]) -> list[tuple[Role, str]]:
    """The turns as pairs of a role and a text.

    Raises:
        TypeError: a turn is not a pair of strings.
        ValueError: there is none, or a role is not due.
    """
    if not isinstance(turns, Iterable):
        raise checks.wrong_type("turns", "a list of pairs (role, text)", turns)
    checked: list[tuple[Role, str]] = []
    for i, turn in enumerate(turns):
        if not (isinstance(turn, (tuple, list)) and [*map(type, turn)] == [str, str]):
            raise checks.wrong_type(f"turns[{i}]", "a pair (role, text) of strings", turn)
        role, text = turn
        if role != ROLES[i % 2]:
            raise ValueError(
                f"turns[{i}] is of {role!r}, and {ROLES[i % 2]!r} is due: the two take turns, "
                "the user first"
            )
        checked.append((role, text))
    if not checked:
        raise ValueError("turns is empty: a conversation has at least one turn")
    return checked
