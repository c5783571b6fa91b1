"""The chat template that comes with a published model, in Jinja's language.

A template is given the messages, and writes the whole conversation as one text. To know which part
of it the template has written, and which is what somebody said, it is run a second time with every
character that was said in disguise: as one of a plane of Unicode that no text uses. What comes out
in disguise was said, and stays text; only in the rest are special tokens found.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from minigpt import checks
from minigpt.tasks.chatml import FramedFormat, Piece
from minigpt.tasks.template_meter import ChatTemplateError
from minigpt.tasks.template_sandbox import Template
from minigpt.tasks.turns import Turn

PRIVATE_USE = range(0xF0000, sys.maxunicode + 1)  # planes 15 and 16
_MARK = f"[{chr(PRIVATE_USE[0])}-{chr(PRIVATE_USE[-1])}]"
SAID = re.compile(rf"{_MARK}(?:\s*{_MARK})*")  # with the white space inside
LONGEST_FORMAT = 100  # of a date


class ChatTemplate(FramedFormat):
    """How turns become tokens, as a template says.

    The template sees ``messages`` (each with a ``role`` and a ``content``),
    ``add_generation_prompt``, the tokenizer's ``bos_token`` and ``eos_token`` where it has them,
    ``raise_exception`` and ``strftime_now``; see ``template_sandbox`` for what it may do. It may
    trim what is said, or look into it and leave a part out. What it does to the name of a special
    token that somebody has typed is followed where it can be, and else refused.

    Args:
        tokenizer: the model's.
        template: None for the one that the tokenizer came with.
        now: the time that the template is told; None for that of this moment, and for all of the
            conversation.

    Raises:
        ValueError: there is no template, or it is not one (a ChatTemplateError).
        ImportError: the package jinja2 is missing; says how to install it.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("user: Hi!")
        >>> template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
        >>> try:
        ...     import jinja2
        ... except ImportError:
        ...     print("user: Hi!")
        ... else:
        ...     print(tokenizer.decode(ChatTemplate(tokenizer, template).prompt([("user", "Hi!")])))
        user: Hi!
    """

    def __init__(
        self, tokenizer: Any, template: str | None = None, now: datetime | None = None
    ) -> None:
        super().__init__(tokenizer)
        if template is None:
            template = getattr(tokenizer, "chat_template", None)
        if template is None:
            raise ValueError("the tokenizer has no chat template: pass template")
        self.template = checks.text("template", template)
        now = datetime.now() if now is None else checks.instance("now", now, datetime)
        self._compiled = Template(template, {"strftime_now": lambda form: _date(now, form)})
        self._tokens = {
            name: token
            for name in ("bos_token", "eos_token")
            if (token := getattr(tokenizer, name, None)) is not None
        }
        names = sorted(tokenizer.special_tokens, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def pieces(self, turns: Sequence[Turn], answer_next: bool) -> list[Piece]:
        """The conversation as text, up to where an answer begins if one comes next.

        ``turns`` are (role, text); with ``answer_next`` the assistant is to speak after the last.

        Raises:
            ChatTemplateError: the template fails or refuses, or what it does to what is said cannot
                be followed.
        """
        plain = self._render(turns, answer_next)
        disguise = _disguise(turns, plain)
        uncover = str.maketrans({mark: character for character, mark in disguise.items()})

        def marked(turns: Sequence[Turn]) -> tuple[str, bool, list[str]]:
            text = self._render(turns, answer_next)
            return text, text.translate(uncover) == plain, self._special.findall(text)

        cover = str.maketrans(disguise)
        text, is_same, frame = marked([(role, said.translate(cover)) for role, said in turns])
        if not is_same:
            # The template looks into what is said. With only the names of special tokens in
            # disguise it does the same as without, and must write the same special tokens as above.
            names = [(role, self._special.sub(_covered(disguise), said)) for role, said in turns]
            text, is_same, special = marked(names)
            if not is_same or special != frame:
                raise ChatTemplateError(
                    "the chat template changes what is said in a way that cannot be followed: take "
                    "what looks like the name of a special token out of it"
                )
        pieces, done = list[Piece](), 0
        for run in SAID.finditer(text):
            pieces += [(text[done : run.start()], True), (run[0].translate(uncover), False)]
            done = run.end()
        return [*pieces, (text[done:], True)]

    def _render(self, turns: Sequence[Turn], answer_next: bool) -> str:
        return self._compiled.render(
            messages=[{"role": role, "content": text} for role, text in turns],
            add_generation_prompt=answer_next,
            tools=None,
            documents=None,
            **self._tokens,
        )


def _disguise(turns: Sequence[Turn], plain: str) -> dict[str, str]:
    """Of each character that is said, white space left out, one that ``plain`` does not have."""
    said = {character for _, text in turns for character in text if not character.isspace()}
    there = set(plain)
    unused = (mark for code in PRIVATE_USE if (mark := chr(code)) not in there)
    disguise = dict(zip(sorted(said), unused, strict=False))
    if len(disguise) < len(said):
        raise ChatTemplateError("more different characters are said than can be told apart")
    return disguise


def _covered(disguise: dict[str, str]) -> Callable[[re.Match[str]], str]:
    """Puts the first character of a name in disguise."""
    return lambda name: disguise.get(name[0][0], name[0][0]) + name[0][1:]


def _date(now: datetime, form: object) -> str:
    """What ``strftime_now`` gives."""
    if not isinstance(form, str) or len(form) > LONGEST_FORMAT:
        raise ChatTemplateError(f"strftime_now needs a format of at most {LONGEST_FORMAT} letters")
    return now.strftime(form)
