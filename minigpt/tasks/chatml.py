r"""Conversations in a frame of special tokens, as published models learn them: ChatML.

    <|im_start|>user
    Hello!<|im_end|>
    <|im_start|>assistant
    Hello! What can I do for you?<|im_end|>

What is said is text, whatever it spells: a conversation is made of pieces, and special tokens are
found only in those of the frame. The pieces are then encoded as one text, because a token may reach
from the frame into what is said.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from minigpt import checks
from minigpt.datasets import Completion
from minigpt.tasks.answering import special_id
from minigpt.tasks.turns import Turn, checked_question, checked_turns

START, END = CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
Piece = tuple[str, bool]  # a text, and whether it is of the frame


class FramedFormat(ABC):
    """How turns become tokens, where special tokens stand around what is said.

    Args:
        tokenizer: the model's.

    Attributes:
        has_system: True; the first turn may be the system's.
    """

    has_system = True

    def __init__(self, tokenizer: Any) -> None:
        if not hasattr(tokenizer, "encode_mixed"):
            raise checks.wrong_type("tokenizer", "a tokenizer with encode_mixed", tokenizer)
        self.tokenizer = tokenizer

    @abstractmethod
    def pieces(self, turns: Sequence[Turn], answer_next: bool) -> list[Piece]:
        """The conversation as text, up to where an answer begins if one comes next."""

    def prompt(self, turns: Iterable[tuple[str, str]]) -> list[int]:
        """The ids after which the assistant's answer comes; the last turn is the user's.

        Args:
            turns: (role, text), "user" and "assistant" in alternation, the user first; before them
                there may be one of the "system", which says how to answer.

        Raises:
            TypeError: a turn is not a pair of strings.
            ValueError: a role is not due, there is no turn at all, the user is not the last to have
                spoken, or a text cannot be encoded.
        """
        checked = checked_question(turns, system=True)
        return list(self.tokenizer.encode_mixed(self.pieces(checked, answer_next=True)))

    def encode(self, turns: Iterable[tuple[str, str]]) -> Completion:
        """A conversation to learn from, for :class:`~minigpt.datasets.CompletionBatches`.

        What is to be said is the assistant's answers, each up to the special token that ends it;
        all else is read. An answer is encoded by itself, as it will be written.

        Raises:
            TypeError, ValueError: as :meth:`prompt`, but that an answer may come last; or the frame
                of an answer that was given is not the one that asks for it.
        """
        checked = checked_turns(turns, system=True)
        encode = self.tokenizer.encode_mixed
        whole, done = Completion.read(()), ""
        for i, (role, _) in enumerate(checked, 1):
            if role != "assistant":
                continue
            asked = self.pieces(checked[: i - 1], answer_next=True)
            answered = self.pieces(checked[:i], answer_next=False)
            if not (_text(asked).startswith(done) and _text(answered).startswith(_text(asked))):
                raise ValueError(
                    f"turns[{i - 1}] stands in another frame than the one that asks for it, or "
                    "changes what is before it: this chat template cannot be learned from"
                )
            whole += Completion.read(encode(_after(asked, len(done))))
            whole += self._said(encode(_after(answered, len(_text(asked)))))
            done = _text(answered)
        rest = _after(self.pieces(checked, answer_next=False), len(done))
        return whole + Completion.read(encode(rest))

    def check_text(self, text: str, name: str = "text") -> None:
        """A text that is said may be any that the tokenizer can encode.

        Raises:
            ValueError: it cannot.
        """
        checks.text(checks.text("name", name), text)
        try:
            self.tokenizer.encode_mixed([(text, False)])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    def _said(self, ids: Sequence[int]) -> Completion:
        """The ids from where an answer begins, of which those after its end are read."""
        special = {special_id(self.tokenizer, name) for name in self.tokenizer.special_tokens}
        end = next((i for i, token in enumerate(ids, 1) if token in special), len(ids))
        return Completion.say(ids[:end]) + Completion.read(ids[end:])


class ChatML(FramedFormat):
    r"""The frame ``<|im_start|>role\n…<|im_end|>\n`` around every turn (OpenAI 2023).

    Args:
        tokenizer: with :data:`CHATML_TOKENS` among its special tokens.
        default_system: what the system says where a conversation has no turn of its own for it;
            None for nothing.

    Raises:
        ValueError: the tokenizer lacks one of the two.

    Example:
        >>> from minigpt.tokenizers import CharTokenizer
        >>> tokenizer = CharTokenizer("\n!<>_adeimnrstu|", special_tokens=CHATML_TOKENS)
        >>> ids = ChatML(tokenizer).prompt([("user", "<|im_end|>!")])
        >>> print(tokenizer.decode(ids).strip())
        <|im_start|>user
        <|im_end|>!<|im_end|>
        <|im_start|>assistant
        >>> ids.count(tokenizer.encode("<|im_end|>", "all")[0])  # that of the frame
        1
    """

    def __init__(self, tokenizer: Any, default_system: str | None = None) -> None:
        super().__init__(tokenizer)
        for name in CHATML_TOKENS:
            special_id(tokenizer, name)
        if default_system is not None:
            checks.text("default_system", default_system)
        self.default_system = default_system

    @classmethod
    def of_template(cls, tokenizer: Any, template: str) -> ChatML | None:
        """The same as a ``template`` in Jinja's language, if that says nothing but ChatML.

        The ``tokenizer`` is as for the class.
        """
        match = CHATML_TEMPLATE.fullmatch(checks.text("template", template))
        return None if match is None else cls(tokenizer, match["default_system"])

    def pieces(self, turns: Sequence[Turn], answer_next: bool) -> list[Piece]:
        """The conversation as text, up to where an answer begins if one comes next.

        ``turns`` are (role, text); with ``answer_next`` the assistant is to speak after the last.
        """
        pieces: list[Piece] = []
        if turns[0][0] != "system" and self.default_system is not None:
            turns = [("system", self.default_system), *turns]
        for role, text in turns:
            pieces += [(f"{START}{role}\n", True), (text, False), (f"{END}\n", True)]
        return pieces + [(f"{START}assistant\n", True)] * answer_next


def _template_of_chatml() -> re.Pattern[str]:
    """How publishers write ChatML in Jinja's language, with a default for the system or without."""
    default = (
        "{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\n@<|im_end|>\n' }}{% endif %}"
    )
    template = (
        "{% for message in messages %}?"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    pattern = re.escape(template).replace(r"\?", f"(?:{re.escape(default)})?")
    pattern = pattern.replace("@", r"(?P<default_system>[^'\\<]*)")
    return re.compile(pattern.replace(r"\ ", r"\s?").replace("\\\n", r"(?:\n|\\n)"))


CHATML_TEMPLATE = _template_of_chatml()


def _text(pieces: Iterable[Piece]) -> str:
    return "".join(text for text, _ in pieces)


def _after(pieces: Iterable[Piece], n_characters: int) -> list[Piece]:
    """The pieces without the first characters of their concatenation."""
    rest = []
    for text, is_frame in pieces:
        rest.append((text[n_characters:], is_frame))
        n_characters = max(n_characters - len(text), 0)
    return rest
