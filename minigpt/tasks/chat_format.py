"""A conversation as one sequence of tokens, as this library's own models learn it.

    <|user|>Hello!<|end|><|assistant|>Hello! What can I do for you?<|end|><|user|>…

Three special tokens say who speaks and where a turn ends. They are put between the texts as ids:
no text can hold one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigpt import checks
from minigpt.datasets import Completion
from minigpt.tasks.answering import special_id
from minigpt.tasks.turns import checked_question, checked_turns

USER, ASSISTANT, END = CHAT_TOKENS = ("<|user|>", "<|assistant|>", "<|end|>")


class ChatFormat:
    """How turns become tokens.

    Args:
        tokenizer: with :data:`CHAT_TOKENS` among its special tokens.

    Attributes:
        user_id, assistant_id, end_id: of the three special tokens.
        has_system: False; there is no place for a system prompt.

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

    has_system = False

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
            self.check_text(text, f"turns[{i}]")
            whole += self._turn(role, text, f"turns[{i}]")
        return whole

    def prompt(self, turns: Iterable[tuple[str, str]]) -> list[int]:
        """The ids after which the assistant's answer comes; the last turn is the user's.

        The name of a special token is text here, as an assistant may have spelt one out.

        Raises:
            TypeError, ValueError: as :meth:`encode`, or the user is not the last to have spoken.
        """
        ids: list[int] = []
        for i, (role, text) in enumerate(checked_question(turns)):
            ids += self._turn(role, text, f"turns[{i}]").ids
        return [*ids, self.assistant_id]

    def check_text(self, text: str, name: str = "text") -> None:
        """Refuse a ``text`` that holds the name of a special token.

        The error calls it by its ``name``.

        Raises:
            ValueError: it does.
        """
        checks.text(checks.text("name", name), text)
        for special in self.tokenizer.special_tokens:
            if special in text:
                raise ValueError(
                    f"{name} holds the special token {special!r}, which no text of a "
                    "conversation may: take it out"
                )

    def _turn(self, role: str, text: str, name: str) -> Completion:
        try:
            ids = self.tokenizer.encode(text, disallowed_special=())
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if role == "user":
            return Completion.read([self.user_id, *ids, self.end_id])
        return Completion.read([self.assistant_id]) + Completion.say([*ids, self.end_id])
