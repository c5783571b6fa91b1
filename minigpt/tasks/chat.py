"""An assistant that answers in a conversation, turn by turn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.arguments import named_arguments
from minigpt.sampling import Sampler, SamplingConfig
from minigpt.sampling.decoding import Decoder
from minigpt.sampling.text_stream import TextStream
from minigpt.tasks.answering import special_id
from minigpt.tasks.chat_format import ChatFormat
from minigpt.tasks.chat_template import ChatTemplate
from minigpt.tasks.chatml import CHATML_TOKENS, ChatML, FramedFormat
from minigpt.tasks.read_already import read_already
from minigpt.tasks.turns import Turn

Format = ChatFormat | FramedFormat
_OPTIONS = "the options of an answer are the Chat's: Chat(sampler, max_new_tokens=…, …)"


def chat_format_of(tokenizer: Any) -> Format:
    """How conversations become tokens for the model of a tokenizer.

    By the chat template that the tokenizer came with, or by the special tokens that it has.

    Raises:
        ValueError: it has neither a template nor special tokens for a conversation.
        ImportError: its template needs the package jinja2; says how to install it.

    Example:
        >>> import minigpt as mg
        >>> from minigpt.tasks import CHAT_TOKENS
        >>> type(chat_format_of(mg.CharTokenizer.train("Hi!", special_tokens=CHAT_TOKENS))).__name__
        'ChatFormat'
    """
    template = getattr(tokenizer, "chat_template", None)
    if template is not None:
        return ChatML.of_template(tokenizer, template) or ChatTemplate(tokenizer, template)
    special = getattr(tokenizer, "special_tokens", ())
    if all(name in special for name in CHATML_TOKENS):
        return ChatML(tokenizer)
    return ChatFormat(tokenizer)


class Chat:
    """A conversation with a model.

    What the model has read stays in its cache, so that a turn reads only what is new: the question,
    and what ends the answer before it. The history keeps an answer as the ids that were drawn, so
    what was written cannot turn into a special token.

    The context holds the conversation and the longest answer. When it no longer does, the oldest
    exchanges (a user's turn and the answer to it) are left out whole, until those that are left
    fill at most half of the room: what is left must be read anew, and so that is seldom needed. The
    system prompt always stays. ``forgotten`` says how many turns are left out.

    An answer ends at any special token, such as ``<|end|>``, or after ``max_new_tokens``.

    Args:
        sampler: a model that was trained on conversations, and its tokenizer.
        system: what the system says first: how to answer. None for what the format has by itself.
        format: how a conversation becomes tokens: a :class:`ChatFormat`, :class:`ChatML` or
            :class:`ChatTemplate`; None for the one that :func:`chat_format_of` finds.
        max_new_tokens: the most tokens of an answer; the context keeps room for them.
        temperature, top_k, top_p, min_p, repetition_penalty: as in
            :class:`~minigpt.sampling.SamplingConfig`.
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
        >>> from minigpt.tasks import CHAT_TOKENS
        >>> tokenizer = mg.CharTokenizer("!Hi", special_tokens=CHAT_TOKENS)
        >>> model = mg.GPT(mg.GPTConfig(6, block_size=32, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> chat = Chat(mg.Sampler(model, tokenizer), max_new_tokens=8, seed=0)
        >>> answer = "".join(chat.stream("Hi!"))  # of an untrained model
        >>> chat.turns == [("user", "Hi!"), ("assistant", answer)]
        True
    """

    @named_arguments("it is made of a sampler: Chat(Sampler(model, tokenizer))")
    def __init__(
        self,
        sampler: Sampler,
        *,
        system: str | None = None,
        format: Format | None = None,
        max_new_tokens: int = 100,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        checks.instance("sampler", sampler, Sampler, "wrap the model: Sampler(model, tokenizer)")
        self.format = _checked_format(sampler, format)
        self.sampler = sampler
        self.turns: list[Turn] = []
        self.forgotten = 0
        self.cut_off = False
        self._system = _checked_system(system, self.format)
        tokenizer = _checked_tokenizer(sampler, self.format)
        self._options = SamplingConfig(
            max_new_tokens=checks.integer("max_new_tokens", max_new_tokens, least=1),
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            stop_tokens=[special_id(tokenizer, name) for name in tokenizer.special_tokens],
            seed=seed,
        )
        if isinstance(seed, int):  # every answer draws on from where the one before it stopped
            self._options = replace(self._options, seed=np.random.default_rng(seed))
        self._left_out = 0  # exchanges
        self._room = self._checked_room()
        self._cache: Any = None
        self._decoder: Decoder | None = None  # of the last answer: it knows what was read

    @named_arguments(_OPTIONS)
    def stream(self, text: str) -> Iterator[str]:
        """The answer to what the user says, in pieces of whole characters, as it is written.

        The exchange enters the history when the last piece has been taken: an answer that is left
        before its end leaves no trace.

        Raises:
            TypeError: ``text`` is not a str.
            ValueError: it is too long for the context, or the format cannot hold it.
        """
        self.format.check_text(checks.text("text", text))
        prompt, left_out = self._prompt(text)
        return self._answer(text, prompt, left_out)  # errors have come by now

    @named_arguments(_OPTIONS)
    def reply(self, text: str) -> str:
        """The whole answer to a ``text``, when it is written; :meth:`stream` without the pieces."""
        return "".join(self.stream(text))

    def reset(self) -> None:
        """Begin a new conversation, with the same system prompt."""
        self.turns, self._left_out = [], 0
        self.forgotten, self.cut_off = 0, False

    @property
    def messages(self) -> list[dict[str, str]]:
        """All that was said as other libraries hold it, the system prompt first where there is one.

        Each is ``{"role": …, "content": …}``.
        """
        return [{"role": role, "content": text} for role, text in (*self._system, *self.turns)]

    def __repr__(self) -> str:
        return f"Chat({self.sampler!r}, {len(self.turns)} turns)"

    def _ids(self, n_left_out: int, *turns: Turn) -> list[int]:
        """The conversation without its first exchanges, with some turns more, up to an answer."""
        return self.format.prompt([*self._system, *self.turns[2 * n_left_out :], *turns])

    def _prompt(self, text: str) -> tuple[list[int], int]:
        """The ids up to the answer to ``text``, and how many exchanges are left out of them."""
        question: Turn = ("user", text)
        ids = self._ids(self._left_out, question)
        if len(ids) <= self._room:
            return ids, self._left_out
        n_exchanges = len(self.turns) // 2
        shortest = len(self._ids(n_exchanges, question))
        if shortest > self._room:
            config = self.sampler.model.config
            raise ValueError(
                f"text takes {shortest} tokens with those around it, and beside an answer of "
                f"max_new_tokens={self._options.max_new_tokens} the context of {config.block_size} "
                f"has room for {self._room}: say it in fewer words"
            )
        most = min(self._room, shortest + self._room // 2)
        choices = range(self._left_out + 1, n_exchanges + 1)  # the more, the shorter
        first = bisect_left(choices, -most, key=lambda n: -len(self._ids(n, question)))
        return self._ids(choices[first], question), choices[first]

    def _answer(self, text: str, prompt: list[int], left_out: int) -> Iterator[str]:
        tokenizer, options = self.format.tokenizer, self._options
        self.forgotten = 2 * left_out
        ids = self._prepare(prompt)
        decoder = self._decoder = Decoder(
            self.sampler.model, np.array([ids]), None, options, tokenizer.vocab_size, self._cache
        )
        answer, pieces = "", TextStream(tokenizer)
        for (token,) in decoder.columns():
            if decoder.finished[0]:  # a stop token
                break
            if piece := pieces.push(int(token)):
                answer += piece
                yield piece
                if self._decoder is not decoder:
                    raise RuntimeError(
                        "another answer has begun since, and the two share one cache: take an "
                        "answer to its end, or leave it, before the next"
                    )
        self._left_out = left_out
        self.cut_off = not decoder.finished[0]
        self.turns += [("user", text), ("assistant", answer)]

    def _prepare(self, prompt: list[int]) -> list[int]:
        """The prompt in the ids that the cache holds, as far as it holds them; ready to go on."""
        if not hasattr(self.sampler.model, "new_cache"):
            return self._as_drawn(prompt)[0]
        if self._cache is None:
            self._cache = self.sampler.model.new_cache(1, self._capacity(len(prompt)))
        ids, n_same = self._as_drawn(prompt)
        n_same = min(n_same, len(ids) - 1)  # the last one is read, for what comes after it
        if self._cache.length > n_same:
            if hasattr(self._cache, "truncate"):
                self._cache.truncate(n_same)
            else:
                self._cache.clear()
        if hasattr(self._cache, "reserve"):
            self._cache.reserve(self._capacity(len(ids)))
        return ids

    def _as_drawn(self, prompt: list[int]) -> tuple[list[int], int]:
        """The prompt in the ids of the last answer and its prompt, and how many are the same."""
        if self._decoder is None:
            return prompt, 0
        known = self._decoder.ids[0].tolist()
        n_known, n_prompt = read_already(known, prompt, self.format.tokenizer)
        ids = known[:n_known] + prompt[n_prompt:]
        if len(ids) <= self._room:
            return ids, n_known
        same = (a == b for a, b in zip(known, prompt, strict=False))  # drawn in shorter tokens
        return prompt, sum(takewhile(bool, same))

    def _capacity(self, n_prompt: int) -> int:
        """How many tokens a prompt and its answer take: the last one is drawn, and not read."""
        return n_prompt + self._options.max_new_tokens - 1

    def _checked_room(self) -> float:
        """How many tokens a prompt may have: the context keeps room for the longest answer."""
        block_size: int | None = self.sampler.model.config.block_size
        if block_size is None:
            return np.inf
        n_new = self._options.max_new_tokens
        room = block_size - (n_new - 1)
        n_empty = len(self._ids(0, ("user", "")))
        if room <= n_empty:
            beside = " and the system prompt leave" if self._system else " leaves"
            raise ValueError(
                f"max_new_tokens={n_new}{beside} no room for a question in the context of "
                f"{block_size} tokens: choose at most {max(block_size - n_empty, 0)}"
            )
        return room


def _checked_system(system: object, form: Format) -> list[Turn]:
    """The turn of the system, if it has one."""
    if system is None:
        return []
    checks.text("system", system)
    if not form.has_system:
        raise ValueError(
            f"system={system!r:.60} has no place in a {type(form).__name__}: leave it out"
        )
    return [("system", str(system))]


def _checked_format(sampler: Sampler, form: object) -> Format:
    if form is None:
        return chat_format_of(sampler.tokenizer)
    if not isinstance(form, (ChatFormat, FramedFormat)):
        raise checks.wrong_type("format", "a ChatFormat, a ChatML or a ChatTemplate", form)
    return form


def _checked_tokenizer(sampler: Sampler, form: Format) -> Any:
    """The tokenizer, which gives no id that the model does not know."""
    tokenizer, vocab_size = form.tokenizer, sampler.model.config.vocab_size
    if tokenizer.vocab_size > vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model {vocab_size}: "
            "use the tokenizer that the model was trained with"
        )
    return tokenizer
