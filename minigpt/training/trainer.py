"""The training loop: a batch, its loss, its gradient, a step; and now and then a look at it all."""

from __future__ import annotations

import math
import os
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minigpt.memory import keep_freed_memory
from minigpt.optim import clip_grad_norm
from minigpt.optim.sharing import one_by_one
from minigpt.training.batches import evaluation_batches, fingerprint, training_batches
from minigpt.training.best import Best
from minigpt.training.checkpoint import save_checkpoint
from minigpt.training.checks import check_parts, resolved, steps_of_run
from minigpt.training.config import TrainerConfig
from minigpt.training.diverged import diverged
from minigpt.training.evaluation import evaluate_splits
from minigpt.training.history import History
from minigpt.training.interrupt import how_to_go_on
from minigpt.training.logbook import Logbook
from minigpt.training.optimization import learning_rate_at, make_optimizer
from minigpt.training.parallel import Workers
from minigpt.training.resuming import resume
from minigpt.training.snapshot import take_snapshot

SHARED_FROM = 2_000_000  # parameters: with fewer, waking the threads takes longer than the update


class Trainer:
    """Trains any model that has a loss (:class:`minigpt.training.Trainable`).

    From the first Trainer on, the process keeps the memory that it frees, where the C library
    allows it (:func:`minigpt.memory.keep_freed_memory`): a step is quicker for it.

    Args:
        model: changed in place.
        train_tokens: the text as a 1-D array of token ids (it may be memory-mapped), or an object
            that gives batches, with the interface of ``minigpt.datasets.RandomBatches``.
        val_tokens: the same for a text that the model never trains on, or None.
        config: how to train.
        tokenizer: stored in the checkpoints, so that they can write text.
        callbacks: see :class:`minigpt.training.Callback`.

    Attributes:
        step: optimizer steps done.
        total_steps: optimizer steps of the whole run.
        history: what was seen so far.
        best: the lowest validation loss so far.
        elapsed: seconds of training and evaluation so far, those before a resumption included.

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
        val_tokens: Any,
        config: TrainerConfig,
        *,
        tokenizer: Any = None,
        callbacks: Iterable[Any] = (),
    ) -> None:
        keep_freed_memory()
        check_parts(model, train_tokens, val_tokens, config, tokenizer)
        config, block_size = resolved(config, model)
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self.batches = training_batches(train_tokens, config, block_size, model)
        self.splits = evaluation_batches(train_tokens, val_tokens, config, block_size, model)
        self.texts = {"train": fingerprint(train_tokens), "val": fingerprint(val_tokens)}
        self.total_steps = steps_of_run(config, self.batches)
        self.optimizer = make_optimizer(config, model)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.workers = Workers(int(config.workers))
        is_large = sum(p.size for p in self.parameters) > SHARED_FROM
        self._apply = self.workers.apply if is_large else one_by_one

        self.run_id = secrets.token_hex(8)  # tells this run's checkpoints from another's
        self.step = 0
        self.elapsed = 0.0
        self.history = History()
        self.best = Best()

        self._log = Logbook(config, callbacks)
        self._stopping = False
        self._torn = False  # while the parameters are being moved

    # ── the loop ──────────────────────────────────────────────────────────────────────────────

    def fit(self) -> History:
        """Train to the end of the run, and return what was seen.

        The end is the last step; or ``early_stopping_patience`` evaluations without a lower
        validation loss; or :meth:`stop`; or Ctrl-C, after which the current step is finished and a
        checkpoint saved. A second Ctrl-C raises KeyboardInterrupt at once. Afterwards the model is
        in evaluation mode.

        Raises:
            TrainingDiverged: a loss or a gradient is not finite.
            OSError: the first or the last checkpoint could not be written.
        """
        self._stopping = False
        self._log.unsaved = not self._log.files.open(self)
        try:
            with self.workers, self._log.interrupt, self._log.progress.shown(self):
                self._loop()
        finally:
            self._log.files.close()
            self.model.eval()
        if self._log.interrupt.requested and not self.finished:
            print(how_to_go_on(self), file=sys.stderr)
        return self.history

    def _loop(self) -> None:
        try:
            while True:
                self._log.evaluate_if_due(self)
                self._log.save_if_due(self, self._ending)
                if self._ending:
                    break
                self.train_step()
        except KeyboardInterrupt:  # raised by a callback, say: Ctrl-C itself leaves but a wish
            if self._log.interrupt.requested or self._torn:
                raise
            self._log.interrupt.requested = True
            self._log.save_if_due(self, ending=True)

    def train_step(self) -> float:
        """One optimizer step on the next batch; the batch's loss before it.

        A step that fails before it moves the parameters (divergence, a wrong batch) leaves the
        trainer as it was.

        Raises:
            TrainingDiverged: the loss or the gradient is not finite.
        """
        config, started = self.config, time.perf_counter()
        if not getattr(self.model, "training", False):
            self.model.train()
        learning_rate = learning_rate_at(self.step, config, self.total_steps)
        position = self.batches.state_dict()
        try:
            batches = [self.batches.next_batch() for _ in range(config.gradient_accumulation)]
            seed = (config.seed, self.step)
            loss, gradients = self.workers.gradients(self.model, batches, seed)
            for parameter in self.parameters:
                parameter.grad = gradients.get(parameter)
            norm = clip_grad_norm(self.parameters, config.grad_clip or math.inf, self._apply)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise diverged(self, loss)
        except BaseException:
            self.batches.load_state_dict(position)
            self.optimizer.zero_grad()
            raise

        self._torn = True
        self.optimizer.lr = learning_rate
        self.optimizer.step(self._apply)
        self.optimizer.zero_grad()
        self.step += 1
        self._torn = False

        seconds = time.perf_counter() - started
        tokens = sum(batch[0].size for batch in batches)
        self._log.step(self, loss, learning_rate, norm, tokens, seconds)
        return loss

    def evaluate(self) -> dict[str, float]:
        """Loss, perplexity and accuracy on the same batches each time, with dropout off.

        ``train_loss``, ``val_loss``, ``train_accuracy``, …; and as ``loss``, ``perplexity``, …
        those of the validation text, or of the training text where there is no other.
        """
        record = evaluate_splits(self.model, self.splits, self.workers)
        split = "val_" if "val" in self.splits else "train_"
        ours = {k.removeprefix(split): v for k, v in record.items() if k.startswith(split)}
        return {**ours, **record}

    def stop(self) -> None:
        """End :meth:`fit` after the current step; for callbacks."""
        self._stopping = True

    @property
    def finished(self) -> bool:
        """Whether the run is through: all its steps done, or stopped early for lack of gain."""
        patience = self.config.early_stopping_patience
        stopped_early = patience is not None and self.best.evaluations_since >= patience
        return self.step >= self.total_steps or stopped_early

    @property
    def newest_checkpoint(self) -> Path | None:
        """The newest checkpoint in the run's folder."""
        return self._log.files.newest

    @property
    def _ending(self) -> bool:
        return self.finished or self._stopping or self._log.interrupt.requested

    # ── stopping and going on ─────────────────────────────────────────────────────────────────

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint that :meth:`resume` goes on from.

        Raises:
            OSError: it could not be written.
            ValueError: ``path`` does not end in ``.npz``.
        """
        save_checkpoint(path, *take_snapshot(self))

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
            changes: settings that shall differ from now on, such as ``max_steps`` (the schedule
                then goes by the new number), ``checkpoint_dir`` or ``progress``.

        Raises:
            FileNotFoundError: there is no checkpoint.
            CheckpointError: it is cut off, altered, or does not fit.
            ValueError: another text than the run was started with, or a change that would make it
                another run.
        """
        return resume(cls, path, train_tokens, val_tokens, model, callbacks, changes)
