"""Loss, accuracy and perplexity on batches that stay the same from one evaluation to the next."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from minigpt import checks
from minigpt.datasets import SequentialBatches
from minigpt.metrics import perplexity_of
from minigpt.progress_bar import ProgressBar
from minigpt.training.batches import FixedBatches, carried, token_stream
from minigpt.training.carried_state import CarriedState
from minigpt.training.parallel import Workers, auto_workers
from minigpt.training.ranks import Ranks
from minigpt.training.records import Record
from minigpt.training.trainable import Batch, Objective, check_trainable, evaluating


def evaluate(
    model: Any,
    tokens: Any,
    *,
    batch_size: int = 32,
    block_size: int | None = None,
    workers: int | None = None,
    progress: bool = False,
    carry_state: bool = False,
) -> dict[str, float]:
    """Loss, perplexity and accuracy over a whole text, with dropout off.

    The text is cut in blocks of ``block_size``; every token but the first is predicted once, from
    the tokens before it in its block.

    Args:
        model: a GPT, or whatever else is :class:`~minigpt.training.Trainable`.
        tokens: the text as a 1-D array of token ids, which may be memory-mapped.
        batch_size: blocks at a time.
        block_size: tokens in a block; None: ``model.config.block_size``.
        workers: threads that share a batch; None: as many as pay off on this machine.
        progress: whether to show a bar.
        carry_state: whether a recurrent model reads on from block to block: the text is then cut in
            batch_size streams, of which only the first token has none before it.

    Raises:
        ValueError, TypeError: tokens that are not a stream of ids, or too few.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8))
        >>> metrics = evaluate(model, np.arange(100) % 5)
        >>> sorted(metrics), round(metrics["perplexity"])  # untrained: all 5 are about as likely
        (['accuracy', 'loss', 'perplexity'], 5)
    """
    if block_size is None:
        block_size = getattr(getattr(model, "config", None), "block_size", None)
    check_trainable(model)
    checks.integer("batch_size", batch_size, least=1)
    tokens, block_size = token_stream("tokens", tokens, block_size)
    batches: SequentialBatches | CarriedState
    if checks.flag("carry_state", carry_state):
        batches = carried(tokens, block_size, batch_size, model)
    else:
        batches = SequentialBatches(tokens, block_size, batch_size)
    with (
        evaluating(model),
        Workers(auto_workers(batch_size) if workers is None else workers) as threads,
        ProgressBar(len(batches), "evaluating", "batch", shown=progress) as bar,
    ):
        means = mean_metrics(Objective(model), bar.over(batches), threads, "text")
    return {**means, "perplexity": perplexity_of(means["loss"])}


def evaluate_splits(
    objective: Objective,
    splits: Mapping[str, FixedBatches],
    workers: Workers,
    ranks: Ranks | None = None,
    watch: Callable[[int, int], None] = lambda batch, batches: None,
) -> Record:
    """The metrics of every split, ``{split}_{metric}``, with dropout off.

    Means are over all terms that the losses of the batches count, so that batches of different
    sizes add up to the exact mean. Perplexity is exp(loss): the number of tokens among which the
    model is as undecided as if all of them were equally likely.

    Args:
        objective: of the model.
        splits: the batches of each split.
        workers: who share a batch.
        ranks: those that share the rows with this process.
        watch: is called with the number of each batch, and of all, before it is evaluated; what it
            raises ends the evaluation.

    Raises:
        ValueError: a split has no term that the loss counts.
    """
    record: Record = {}
    total = sum(batches.count for batches in splits.values())
    number = itertools.count(1)

    def watched(batches: FixedBatches) -> Iterator[Batch]:
        for batch in batches:
            watch(next(number), total)
            yield batch

    with evaluating(objective.model):
        for split, batches in splits.items():
            means = mean_metrics(objective, watched(batches), workers, f"{split} text", ranks)
            means["perplexity"] = perplexity_of(means["loss"])
            record |= {f"{split}_{name}": value for name, value in means.items()}
    return record


def mean_metrics(
    objective: Objective,
    batches: Iterable[Batch],
    workers: Workers,
    what: str,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Each metric's mean over all terms of all batches, those of the other ranks' rows too.

    Raises:
        ValueError: there is no term; ``what`` says where.
    """
    total, sums = 0.0, dict[str, float]()
    for batch in batches:
        weight, metrics = workers.metrics(objective, batch)
        total += weight
        _add(sums, {name: weight * value for name, value in metrics.items()})
    if ranks is not None and ranks.count > 1:
        parts, sums = ranks.gathered((total, sums)), {}
        total = sum(weight for weight, _ in parts)
        for _, part in parts:
            _add(sums, part)
    if total == 0:
        raise ValueError(f"the loss of the {what} is a mean over nothing: all targets are -1")
    return {name: value / total for name, value in sums.items()}


def _add(sums: dict[str, float], terms: Mapping[str, float]) -> None:
    for name, value in terms.items():
        sums[name] = sums.get(name, 0.0) + value
