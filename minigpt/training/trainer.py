"""The training loop: a batch, its loss, its gradient, a step; and now and then a look at it all."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from minigpt.autograd import Array
from minigpt.checkpoints import save_checkpoint
from minigpt.memory import keep_freed_memory
from minigpt.progress_bar import say
from minigpt.training.batches import evaluation_batches, fingerprints, training_batches
from minigpt.training.callbacks import Callbacks
from minigpt.training.config import TrainerConfig
from minigpt.training.descent import Descent
from minigpt.training.distributed import ZeRO, what_must_agree
from minigpt.training.diverged import TrainingDiverged, diverged
from minigpt.training.evaluation import evaluate_splits
from minigpt.training.history import History
from minigpt.training.interrupt import Interrupt, how_to_go_on
from minigpt.training.logbook import Logbook
from minigpt.training.optimization import learning_rate_of, make_optimizer
from minigpt.training.parallel import Workers
from minigpt.training.ranks import Ranks, known_to_all
from minigpt.training.resuming import resume
from minigpt.training.run import Best, begin, resolved
from minigpt.training.snapshot import take_snapshot
from minigpt.training.trainable import Objective, checked_parts

# What other libraries call it.
_ELSEWHERE = {
    "train": "trainer.fit() trains",
    "save_model": "trainer.save(path) keeps model, tokenizer and run, and minigpt.load_model(path) "
    "reads them; trainer.model.save_pretrained(folder) writes Hugging Face's files",
    "save_checkpoint": "trainer.save(path) writes a checkpoint",
    "load_checkpoint": "Trainer.resume(path, train_tokens, val_tokens) goes on from a checkpoint",
    "load": "Trainer.resume(path, train_tokens, val_tokens) goes on from a checkpoint",
    "validate": "trainer.evaluate() measures the model",
    "test": "minigpt.training.evaluate(trainer.model, tokens) measures the model on any text",
    "predict": "minigpt.Sampler(trainer.model, tokenizer).generate(prompt) writes text",
    "generate": "minigpt.Sampler(trainer.model, tokenizer).generate(prompt) writes text",
}


class Trainer:
    """Trains any model that has a loss (:class:`minigpt.training.Trainable`).

    From the first Trainer on, the process keeps the memory that it frees, where the C library
    allows it (:func:`minigpt.memory.keep_freed_memory`): a step is quicker for it.

    Under ``mpiexec -n 4``, say, the four processes train one model together: each works on some
    rows of every batch (see :mod:`minigpt.training.distributed`). All of them must call the same
    methods, and see the same files; the first writes, prints, and has the callbacks.

    Args:
        model: changed in place.
        train_tokens: the text as a 1-D array of token ids (it may be memory-mapped), or an object
            that gives batches, with the interface of ``minigpt.datasets.RandomBatches``.
        val_tokens: the same for a text that the model never trains on, or None.
        config: how to train; there is no run without one.
        tokenizer: stored in the checkpoints, so that they can write text.
        callbacks: see :class:`minigpt.training.Callback`.

    Attributes:
        model: what is trained.
        run: where the run stands: its step, its time, what it has seen.
        ranks: the processes that train together; one, where nothing started several.

    Raises:
        ValueError, TypeError: arguments that do not fit, or not each other.

    Example:
        >>> import numpy as np, minigpt as mg
        >>> from minigpt.training import Trainer, TrainerConfig
        >>> model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8))
        >>> tokens = np.arange(200) % 5
        >>> config = TrainerConfig(max_steps=60, batch_size=8, learning_rate=0.03, progress=False)
        >>> history = Trainer(model, tokens[:180], tokens[180:], config).fit()
        >>> history.column("loss")[0] > 1.0 > history.column("val_loss")[-1]
        True
    """

    def __init__(
        self,
        model: Any,
        train_tokens: Any,
        val_tokens: Any = None,
        config: TrainerConfig | None = None,
        *,
        tokenizer: Any = None,
        callbacks: Iterable[Any] = (),
    ) -> None:
        keep_freed_memory()
        config = checked_parts(model, train_tokens, val_tokens, config, tokenizer)
        self.ranks = ranks = Ranks.of_this_job()
        config, block_size = resolved(config, model, ranks)
        self.model, self.tokenizer = model, tokenizer
        self.batches = training_batches(train_tokens, config, block_size, model)
        self.splits = evaluation_batches(train_tokens, val_tokens, config, block_size, model)
        self.texts = fingerprints(tokenizer, train=train_tokens, val=val_tokens)
        self.optimizer = make_optimizer(config, model)
        self.workers = Workers(int(config.workers), ranks.rank, ranks.count)
        self.run = begin(config, self.batches)
        self.config = self.run.config

        self._objective = Objective(model)
        self._learning_rate = learning_rate_of(self.config, self.run.total_steps)
        clip = self.config.grad_clip
        self._descent = Descent(self._objective, self.optimizer, self.workers, clip)
        self.parameters = self._descent.parameters
        call = Callbacks(callbacks).call
        self._log = Logbook(self.run, ranks, self._snapshot, lambda hook, x: call(hook, self, x))
        self._interrupt = Interrupt()
        self._stopping = False

    # ── the loop ──────────────────────────────────────────────────────────────────────────────

    def fit(self) -> History:
        """Train to the end of the run, and return what was seen.

        The end is the last step; or ``early_stopping_patience`` evaluations without a lower
        validation loss; or :meth:`stop`; or Ctrl-C, after which the current step is finished and a
        checkpoint saved. A second Ctrl-C raises KeyboardInterrupt at once. Afterwards the model is
        in evaluation mode.

        Raises:
            TrainingDiverged: a loss or a gradient is not finite.
            OSError: another process trains in the run's folder; or the first or the last
                checkpoint could not be written.
            SystemExit: the system asked the process to end, by SIGTERM or SIGHUP: as after Ctrl-C
                the step is finished and a checkpoint saved. The exit code is 128 + the signal.
        """
        self._stopping = self._descent.asked_to_stop = False
        try:
            with self._all_ranks(), self.workers, self._interrupt, self._log.open():
                self._loop()
                ends_process = self.ranks.any(self._interrupt.ends_process)
        finally:
            self.model.eval()
        if self._ending and not (self.finished or self._stopping) and self.ranks.is_first:
            say(how_to_go_on(self.run, self._interrupt, ends_process))
        self._interrupt.end_process_if_asked(ends_process)
        return self.history

    def _loop(self) -> None:
        try:
            while True:
                self._evaluate_if_due()
                self._log.save_if_due(self._ending)
                if self._ending:
                    break
                self.train_step()
        except KeyboardInterrupt:  # raised by a callback, say: Ctrl-C itself only makes a request
            if self._interrupt.requested or self._descent.torn or self.ranks.count > 1:
                raise
            self._interrupt.requested = True
            self._log.save_if_due(ending=True)

    def train_step(self) -> float:
        """One optimizer step on the next batch; the batch's loss before it.

        ``minigpt/training/plain.py`` has the same on one page. A step that fails before it moves
        the parameters (divergence, a wrong batch) leaves the trainer as it was.

        Raises:
            TrainingDiverged: the loss or the gradient is not finite.
        """
        config, started = self.config, time.perf_counter()
        if not getattr(self.model, "training", False):
            self.model.train()

        with self._all_ranks(), self._descent.taken_back_if_it_fails(self.batches):
            batches = [self.batches.next_batch() for _ in range(config.gradient_accumulation)]
            loss, norm = self._descent.gradient(batches, seed=(config.seed, self.step))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self._diverged(loss)
            self._log.tell("on_gradients", norm)
        with self._all_ranks(), self._descent.parameters_in_motion():
            learning_rate = self.optimizer.lr = self._learning_rate(self.step)
            self._descent.move()
            self.run.step += 1

        tokens = sum(batch[0].size for batch in batches)
        self._log.step(loss, learning_rate, norm, tokens, time.perf_counter() - started)
        return loss

    # ── looking at it ─────────────────────────────────────────────────────────────────────────

    def evaluate(self) -> dict[str, float]:
        """Loss, perplexity and accuracy on the same batches each time, with dropout off.

        ``train_loss``, ``val_loss``, ``train_accuracy``, …; and as ``loss``, ``perplexity``, …
        those of the validation text, or of the training text where there is no other.
        """
        with self._all_ranks():
            record = evaluate_splits(self._objective, self.splits, self.workers, self.ranks)
        split = "val_" if "val" in self.splits else "train_"
        ours = {k.removeprefix(split): v for k, v in record.items() if k.startswith(split)}
        return {**ours, **record}

    def _evaluate_if_due(self) -> None:
        if not self.run.evaluation_is_due:
            return
        started = time.perf_counter()
        try:
            parts = self._objective, self.splits, self.workers, self.ranks
            metrics = evaluate_splits(*parts, self._watch)
        except _CutShort:
            return  # the resumed run begins with it
        for name in (f"{split}_loss" for split in self.splits):
            if not math.isfinite(metrics[name]):
                raise self._diverged(metrics[name], evaluated=name)
        self._log.evaluation(metrics, time.perf_counter() - started)

    def _watch(self, batch: int, batches: int) -> None:
        """Between two batches of an evaluation."""
        if self.ranks.any(self._interrupt.requested):
            self._descent.asked_to_stop = True
            raise _CutShort
        self._log.progress.evaluating(batch, batches)

    def _diverged(self, loss: float, evaluated: str = "") -> TrainingDiverged:
        rate = self._learning_rate(max(0, self.step - 1) if evaluated else self.step)
        found = loss, self._descent.gradient_norms(), rate, self.newest_checkpoint, evaluated
        return known_to_all(diverged(self.run, self.model, *found))

    def stop(self) -> None:
        """End :meth:`fit` after the current step, or with several ranks the next; for callbacks."""
        self._stopping = True

    def print(self, *values: object) -> None:
        """``print``, above the bar; for callbacks."""
        say(*values, to_stdout=True)

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.run.step

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.run.total_steps

    @property
    def history(self) -> History:
        """What was seen so far."""
        return self.run.history

    @property
    def best(self) -> Best:
        """The lowest validation loss so far."""
        return self.run.best

    @property
    def elapsed(self) -> float:
        """Seconds of training and evaluation so far, those before a resumption included."""
        return self.run.elapsed

    @property
    def finished(self) -> bool:
        """Whether the run is through: all its steps done, or stopped early for lack of gain."""
        return self.run.finished

    @property
    def newest_checkpoint(self) -> Path | None:
        """The newest checkpoint in the run's folder."""
        return self._log.files.newest

    @property
    def _ending(self) -> bool:
        """The same on all ranks, which learn of a request to one of them by the next step."""
        own = self.ranks.count == 1 and self._asked_to_stop()
        return self.finished or self._descent.asked_to_stop or own

    def _asked_to_stop(self) -> bool:
        return self._stopping or self._interrupt.requested

    def __getattr__(self, name: str) -> Any:
        way = _ELSEWHERE.get(name)
        said = f"has no {name}: {way}" if way else f"object has no attribute {name!r}"
        raise AttributeError(f"{type(self).__name__!r} {said}", name=name, obj=self)

    # ── stopping and going on ─────────────────────────────────────────────────────────────────

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint that :meth:`resume` goes on from, and ``minigpt.load_model`` reads.

        Raises:
            OSError: it could not be written.
            ValueError: ``path`` does not end in ``.npz``.
        """
        with self._all_ranks():
            snapshot = self._snapshot()
            self.ranks.on_first(lambda: str(save_checkpoint(path, *snapshot)))

    def _snapshot(self) -> tuple[dict[str, Array], dict[str, Any]]:
        with self.ranks.together():
            optimizer = self._descent.optimizer_state()
            batches = self._descent.batches_state(self.batches.state_dict())
            parts = optimizer, batches, self.splits, self.texts, self.tokenizer
            return take_snapshot(self.run, self.model, *parts) if self.ranks.is_first else ({}, {})

    @contextlib.contextmanager
    def _all_ranks(self) -> Iterator[None]:
        """Work of all ranks, where there are several; they first make sure that it is the same."""
        with self.ranks.together():
            if self.ranks.count > 1 and not isinstance(self._descent, ZeRO):
                self.ranks.agree(what_must_agree(self.run, self.model, self.batches, self.texts))
                self._descent = ZeRO(self._descent, self.ranks, self._asked_to_stop)
            yield

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        train_tokens: Any,
        val_tokens: Any = None,
        *,
        model: Any = None,
        callbacks: Iterable[Any] = (),
        **changes: Any,
    ) -> Trainer:
        """A trainer that goes on from a checkpoint as if it had never stopped, bit for bit.

        Args:
            path: a checkpoint, or a run's folder: the newest whole one.
            train_tokens: the text that the run was started with.
            val_tokens: its validation text, or None.
            model: one to fill; needed where minigpt does not know the model's class.
            callbacks: they are not stored.
            changes: settings that are to differ from now on. ``max_steps`` (the schedule then goes
                by the new number, with the warm-up that the run had), ``checkpoint_dir``,
                ``progress`` and their like leave the steps up to now as they were;
                ``learning_rate``, ``batch_size`` and their like make the steps from now on others.

        Raises:
            FileNotFoundError: there is no checkpoint.
            CheckpointError: it is cut off, altered, or does not fit.
            ValueError: another text than the run was started with, or a change that would make it
                another run.
        """
        return resume(cls, path, train_tokens, val_tokens, model, callbacks, changes)


class _CutShort(Exception):
    """An evaluation was to stop before it was through."""
