"""What the sampler asks of a model and of a tokenizer, and nothing else.

A GPT fits, and so does any other model that predicts the next token: an LSTM, or one of your own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from minigpt import checks
from minigpt.autograd import Array


class LanguageModel(Protocol):
    """A model that gives logits (B, T, V) for the token after each of the ids (B, T).

    It is called as ``model(ids, attention_mask=..., positions=..., cache=...)``; arguments that are
    not needed are left out. ``config.vocab_size`` is V; ``config.block_size`` is the longest
    context, None where there is no limit. What it may have besides:

    - ``new_cache(batch_size, capacity)``: what it remembers of the tokens seen, with ``length``,
      ``clear()`` and ``reorder(rows)``; without it every step reads the whole context again.
      With ``truncate(length)`` it can also forget its last tokens, and a chat reads no turn twice;
      with ``reserve(capacity)`` it can be made larger.
    - ``select_rows(rows)``: where it is bound to the rows of a batch, as a translator is to their
      sources, the model of these rows, in that order, some perhaps several times.
    - a keyword ``last_only`` of its ``forward``: to compute only the last position's logits.

    It is called inside ``minigpt.grad_mode.evaluation``, where a Module of this library drops
    nothing and records nothing.

    Row r of the ids belongs to prompt r when the prompts are read, each of them once. From then on
    rows are chosen: each prompt's as often as samples or beams are made of it (side by side), the
    survivors of a step of beam search, those that have not ended. Every choice is told to the cache
    by ``reorder(rows)`` and to the model by ``select_rows(rows)``, and holds for all later calls.
    """

    @property
    def config(self) -> Any:
        """Sizes: ``vocab_size`` and ``block_size``."""

    def __call__(self, ids: Array, **options: Any) -> Any:
        """The logits, as a tensor with ``.data``."""


class Tokenizer(Protocol):
    """Text to ids and back.

    What it may have besides:

    - ``decode_bytes(ids)``: the text of ids in UTF-8, which may end inside a character; with it a
      U+FFFD at the end of a text is told from an unfinished character.
    - ``leading_ids``: what the model is to read before every text, such as a begin-of-text token.
    """

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to ``vocab_size - 1``."""

    def encode(self, text: str) -> list[int]:
        """The ids of ``text``."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``; bytes that form no whole character become U+FFFD."""


def check_model(model: object, tokenizer: object = None) -> None:
    """What came as the model can be one; says so where the two were swapped.

    Raises:
        TypeError: it is not a language model.
    """
    if isinstance(model, type):
        mend = f"make an object of it: {model.__name__}(…)"
    elif callable(model) and hasattr(model, "config"):
        return
    elif isinstance(model, tuple):
        mend = "unpack it: Sampler(*load_model(path))"
    elif hasattr(model, "decode") or hasattr(tokenizer, "config"):
        mend = "the model comes first, then the tokenizer"
    elif hasattr(model, "vocab_size"):
        mend = "make one of a config: GPT(config)"
    else:
        config = "config, an object with vocab_size and block_size"
        mend = f"it lacks {config}" if callable(model) else ""
    raise checks.wrong_type("model", "a language model, such as a GPT", model, mend)


def check_tokenizer(tokenizer: object, mend: str = "") -> None:
    """What came as the tokenizer can be one.

    Raises:
        TypeError: it is not a tokenizer.
    """
    if isinstance(tokenizer, type) or not (
        hasattr(tokenizer, "encode") and hasattr(tokenizer, "decode")
    ):
        mend = "load it first: load_tokenizer(path)" if isinstance(tokenizer, str) else mend
        raise checks.wrong_type(
            "tokenizer", "a tokenizer, such as a CharTokenizer", tokenizer, mend
        )
