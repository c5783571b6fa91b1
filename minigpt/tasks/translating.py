"""An encoder–decoder does a task: it reads a source, and writes the target that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigpt import checks
from minigpt.datasets import PairBatches
from minigpt.padding import padded
from minigpt.progress_bar import ProgressBar
from minigpt.sampling import Sampler
from minigpt.sampling.protocols import check_tokenizer
from minigpt.tasks.answering import END, check_texts, special_id

START = "<|start|>"
TRANSLATION_TOKENS = (START, END)


def pair_batches(
    tokenizer: Any,
    sources: Sequence[str],
    targets: Sequence[str],
    batch_size: int,
    seed: int | np.random.Generator,
    *,
    start_token: str = START,
    end_token: str = END,
) -> PairBatches:
    """Batches of texts and their translations, by one tokenizer for both.

    Args:
        tokenizer: has both special tokens.
        sources, targets: N texts each.
        batch_size, seed: as in :class:`~minigpt.datasets.PairBatches`.
        start_token, end_token: what a target begins and ends with.

    Raises:
        TypeError, ValueError: as PairBatches, or the tokenizer lacks a special token.

    Example:
        >>> import minigpt as mg
        >>> tokenizer = mg.CharTokenizer.train("four 四", special_tokens=TRANSLATION_TOKENS)
        >>> batches = pair_batches(tokenizer, ["four"], ["四"], batch_size=1, seed=0)
        >>> source_ids, target_in, target_out, source_mask = batches.next_batch()
        >>> [tokenizer.decode(row) for row in (target_in[0], target_out[0])]
        ['<|start|>四', '四<|end|>']
    """
    check_tokenizer(tokenizer)
    check_texts("sources", sources)
    check_texts("targets", targets)
    return PairBatches(
        [tokenizer.encode(text) for text in sources],
        [tokenizer.encode(text) for text in targets],
        batch_size,
        seed,
        bos_id=special_id(tokenizer, start_token),
        eos_id=special_id(tokenizer, end_token),
    )


def translate(
    model: Any,
    tokenizer: Any,
    sources: Sequence[str],
    *,
    max_new_tokens: int | None = None,
    num_beams: int = 1,
    length_penalty: float = 1.0,
    batch_size: int = 64,
    start_token: str = START,
    end_token: str = END,
    progress: bool = False,
) -> list[str]:
    """What the model writes for each source: the likeliest token each time, or by beam search.

    Args:
        model: an :class:`~minigpt.models.EncoderDecoder`, trained on :func:`pair_batches`.
        tokenizer: the one of its training.
        sources: texts.
        max_new_tokens: a target that has not ended by then is cut there; None for as many as the
            decoder's context holds.
        num_beams: above 1, beam search, by ln P(y | x) / |y|^length_penalty.
        length_penalty: its exponent.
        batch_size: sources at a time; those of similar length stand together.
        start_token, end_token: the special tokens.
        progress: whether to show a bar.

    Shapes:
        sources: N strings -> N strings, without the end token

    Raises:
        TypeError: a source is not a str, or one str came in place of a list; the model is not an
            encoder–decoder.
        ValueError: there is no source, one is empty or does not fit the encoder's context, more
            new tokens than the decoder's context holds, or a tokenizer without the special tokens.

    Example:
        >>> import minigpt as mg
        >>> from minigpt.models import EncoderDecoder, Seq2SeqConfig
        >>> tokenizer = mg.CharTokenizer.train("two 二", special_tokens=TRANSLATION_TOKENS)
        >>> n = tokenizer.vocab_size
        >>> model = EncoderDecoder(Seq2SeqConfig(n, n, 8, 8, n_layer=1, n_head=1, n_embd=8), seed=0)
        >>> batches = pair_batches(tokenizer, ["two"], ["二"], batch_size=1, seed=0)
        >>> config = mg.TrainerConfig(40, batch_size=1, learning_rate=0.03, progress=False)
        >>> _ = mg.Trainer(model, batches, None, config).fit()
        >>> translate(model, tokenizer, ["two"])
        ['二']
    """
    batch_size = _check(model, tokenizer, sources, num_beams, batch_size, progress)
    checks.number("length_penalty", length_penalty)
    read = [tokenizer.encode(source) for source in sources]
    _check_lengths(read, model.config.source_block_size)
    start_id, end_id = special_id(tokenizer, start_token), special_id(tokenizer, end_token)
    # The start token is read, the last one is not.
    n_new = _checked_room(max_new_tokens, model.config.target_block_size)
    order = np.argsort([len(ids) for ids in read], kind="stable").tolist()
    targets = [""] * len(order)
    options = {"length_penalty": length_penalty} if num_beams > 1 else {"temperature": 0}
    with ProgressBar(len(order), "translating", "text", shown=progress) as bar:
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            ids, mask = padded([read[row] for row in rows])  # (B, S)
            written = Sampler(model.given(ids, mask), tokenizer).generate_ids(
                np.full((len(rows), 1), start_id),
                n_new,
                num_beams=num_beams,
                stop_tokens=end_id,
                pad_id=end_id,
                **options,
            )
            for row, new in zip(rows, written[:, 1:].tolist(), strict=True):
                said = new[: new.index(end_id)] if end_id in new else new
                targets[row] = tokenizer.decode(said)
            bar.update(len(rows))
    return targets


def _check(
    model: object,
    tokenizer: object,
    sources: object,
    num_beams: object,
    batch_size: object,
    progress: object,
) -> int:
    if not hasattr(model, "given"):
        raise checks.wrong_type("model", "an EncoderDecoder", model)
    check_tokenizer(tokenizer)
    check_texts("sources", sources)
    checks.integer("num_beams", num_beams, least=1)
    checks.flag("progress", progress)
    return checks.integer("batch_size", batch_size, least=1)


def _check_lengths(read: list[list[int]], source_block_size: int) -> None:
    if not read:
        raise ValueError("sources is empty: pass at least one")
    lengths = [len(ids) for ids in read]
    if not all(lengths):
        raise ValueError(f"sources[{lengths.index(0)}] is empty: there is nothing to read")
    if lengths[longest := int(np.argmax(lengths))] > source_block_size:
        raise ValueError(
            f"sources[{longest}] has {lengths[longest]} tokens, and the model reads "
            f"source_block_size={source_block_size} at most: pass a shorter one"
        )


def _checked_room(max_new_tokens: int | None, target_block_size: int) -> int:
    if max_new_tokens is None:
        return target_block_size
    mend = f"the decoder's context holds target_block_size={target_block_size}"
    return checks.integer("max_new_tokens", max_new_tokens, 0, target_block_size, mend)
