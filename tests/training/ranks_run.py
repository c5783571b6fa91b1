"""Runs on several ranks: ``mpiexec -n 2 python -m tests.training.ranks_run OUTPUT CASE …``.

Every rank runs the cases one after another; the first writes what came out, as JSON. In one process
they are run by the tests themselves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.checkpoints import latest_checkpoint
from minigpt.datasets import PairBatches, RandomBatches
from minigpt.models import (
    EncoderDecoder,
    LSTMConfig,
    LSTMLanguageModel,
    Seq2SeqConfig,
)
from minigpt.nn import add_lora
from minigpt.optim import AdamW
from minigpt.optim.schedules import warmup_cosine
from minigpt.training import Callback, Trainer, TrainingDiverged, distributed, plain
from minigpt.training.ranks import Ranks
from tests.training.tiny import VOCAB, Bigram, config, tiny_gpt, tokens, trainer

STEPS = 8
TRAIN, VAL = tokens()[:500], tokens()[500:]
Outcome = dict[str, Any]


def outcome(run: Trainer) -> Outcome:
    """All that must not depend on the number of ranks."""
    history = run.history
    found: Outcome = {
        "loss": history.column("loss"),
        "norm": history.column("grad_norm"),
        "parameters": {n: a.tolist() for n, a in run.model.state_dict().items()},
        "step": run.step,
    }
    for name in ("train_loss", "train_accuracy", "val_loss"):
        if history.evaluations and name in history.evaluations[0]:
            found[name] = history.column(name)
    return found


def trained(model: Any, **settings: Any) -> Outcome:
    run = trainer(model, **{"max_steps": STEPS, "warmup_steps": 2, **settings})
    run.fit()
    return outcome(run)


def gpt() -> Outcome:
    """Dropout, accumulation, and a gradient that is clipped."""
    model = tiny_gpt(dropout=0.3)
    return trained(model, gradient_accumulation=2, batch_size=6, grad_clip=0.3)


def many_buckets() -> Outcome:
    """The same in many messages, most of them sent while the walk back goes on."""
    before, distributed.BUCKET = distributed.BUCKET, 100
    try:
        return gpt()
    finally:
        distributed.BUCKET = before


def threads() -> Outcome:
    """Ranks that have threads besides."""
    return trained(tiny_gpt(dropout=0.3), workers=2, batch_size=8)


def odd_rows() -> Outcome:
    """Five rows for two ranks, and for four."""
    return trained(tiny_gpt(dropout=0.3), batch_size=5)


def tiny_lstm(**changes: Any) -> LSTMLanguageModel:
    sizes = {"vocab_size": VOCAB, "n_embd": 6, "n_hidden": 10, "n_layer": 2}
    return LSTMLanguageModel(LSTMConfig(**sizes, **changes), seed=0)


def lstm() -> Outcome:
    """Each row carries its state from batch to batch, also through evaluations."""
    model = tiny_lstm(dropout=0.2)
    return trained(model, carry_state=True, block_size=8, epochs=1, max_steps=None)


def encoder_decoder() -> Outcome:
    """Pairs of different lengths: ranks have different numbers of targets."""
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 8, (40, 2))
    pairs = [[rng.integers(3, 10, n).tolist() for n in row] for row in lengths]
    sources, targets = zip(*pairs, strict=True)
    batches = PairBatches(sources, targets, 6, 0, bos_id=1, eos_id=2)
    model = EncoderDecoder(
        Seq2SeqConfig(
            source_vocab_size=11, target_vocab_size=11, source_block_size=9, target_block_size=9,
            n_layer=1, n_head=2, n_embd=8, dropout=0.2,
        )
    )  # fmt: skip
    run = Trainer(model, batches, config=config(max_steps=STEPS))
    run.fit()
    return outcome(run)


def lora() -> Outcome:
    """Few parameters learn; the others are the same everywhere."""
    model = tiny_gpt()
    add_lora(model, rank=2, seed=1)
    return trained(model)


def muon() -> Outcome:
    """Whole matrices: a rank has some of them, and its numbers of the rest."""
    return trained(tiny_gpt(n_layer=3), optimizer="muon")


def sgd() -> Outcome:
    return trained(Bigram(), optimizer="sgd", schedule="constant", momentum=0.0)


def scaled() -> Outcome:
    """Groups of parameters with learning rates of their own, in float64."""
    model = tiny_gpt()
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(np.float64)
    return trained(model, learning_rate_scales={"blocks.": 0.5}, optimizer="adam")


def one_row_only() -> Outcome:
    """All targets of a batch are one rank's: the other has nothing to add."""

    class OneRow:
        batches_per_epoch = 1

        def next_batch(self):
            ids = np.arange(32).reshape(4, 8) % VOCAB
            targets = np.full((4, 8), -1)
            targets[0] = ids[0]
            return ids, targets

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            pass

    run = Trainer(tiny_gpt(), OneRow(), config=config(max_steps=STEPS, eval_batches=1))
    run.fit()
    return outcome(run)


def plain_form() -> Outcome:
    """One all-reduce, and everyone updates everything."""
    ranks = Ranks.of_this_job()
    model = tiny_gpt(dropout=0.3)
    losses = plain.train_on_ranks(
        ranks.comm if ranks.count > 1 else Alone(),
        model,
        RandomBatches(TRAIN, 8, 6, seed=0),
        AdamW(model.named_parameters(), 0.01, (0.9, 0.99), weight_decay=0.1),
        partial(
            warmup_cosine,
            learning_rate=0.01,
            min_learning_rate=0.001,
            warmup_steps=2,
            max_steps=STEPS,
        ),
        max_steps=STEPS,
        grad_clip=0.3,
    )
    parameters = model.state_dict()
    found = list(losses)
    parameters = {n: a.tolist() for n, a in model.state_dict().items()}
    return {"loss": found, "parameters": parameters}


def fast_form() -> Outcome:
    """What the plain form must be equal to."""
    return trained(tiny_gpt(dropout=0.3), batch_size=6, grad_clip=0.3)


def shares() -> Outcome:
    """How much of the optimizer's memory each rank has, and what it sends in a step."""
    every: Outcome = {}
    for name, optimizer in (("adamw", "adamw"), ("muon", "muon")):
        run = trainer(tiny_gpt(n_layer=3), optimizer=optimizer, max_steps=3)
        before = run.ranks.bytes_sent
        run.train_step()
        sent = run.ranks.bytes_sent - before
        slots = run.optimizer.slots
        kept = sum(a.nbytes for slot in slots for a in slot.arrays.values())
        every[name] = run.ranks.gathered([kept, sent])
        every["parameters"] = 4 * run.model.num_parameters()
    return every


def early() -> Outcome:
    """How many gradients were finished when each bucket was sent, and how many there are."""
    before, distributed.BUCKET = distributed.BUCKET, 100
    run = trainer(tiny_gpt(n_layer=3), max_steps=3)
    run.train_step()
    finished: list[Any] = []
    sent: list[int] = []
    zero = run._descent
    if isinstance(zero, distributed.ZeRO):
        take, send = zero._finished, zero._send

        def counted_take(parameter: Any, gradient: Any) -> None:
            finished.append(parameter)
            take(parameter, gradient)

        def counted_send(bucket: Any) -> None:
            sent.append(len(finished))
            send(bucket)

        zero.__dict__.update(_finished=counted_take, _send=counted_send)
    run.train_step()
    distributed.BUCKET = before
    return {"sent": sent, "parameters": len(run.parameters)}


def stopped() -> Outcome:
    """A callback, which only the first rank has, ends the run for all, which hear of it later."""

    class Stop(Callback):
        def on_step(self, run, record):
            assert run.ranks.is_first
            if run.step == 3:
                run.stop()

    run = trainer(Bigram(), [Stop()], max_steps=STEPS)
    run.fit()
    return {"steps": run.ranks.gathered(run.step)}


def misused() -> Outcome:
    """What a callback cannot do where there are several ranks."""
    said: list[str] = []

    class Evaluates(Callback):
        def on_step(self, run, record):
            try:
                run.evaluate()
            except RuntimeError as error:
                said.append(str(error))
            run.stop()

    run = trainer(Bigram(), [Evaluates()], max_steps=STEPS)
    run.fit()
    return {"said": said}


def differing() -> Outcome:
    """Ranks that do not have the same are told so, all of them, before anything is done."""
    ranks = Ranks.of_this_job()
    odd = ranks.rank == ranks.count - 1
    text = TRAIN.copy()
    text[100] += odd
    runs: dict[str, Callable[[], Trainer]] = {
        "learning_rate": lambda: trainer(Bigram(), learning_rate=0.5 if odd else 0.1),
        "training text": lambda: Trainer(Bigram(), text, VAL, config()),
        "parameters": lambda: trainer(Bigram(seed=1 if odd else 0)),
    }
    said: Outcome = {}
    for name, make in runs.items():
        try:
            make().fit()
        except ValueError as error:
            said[name] = ranks.gathered(str(error))
    return said


def unwritable() -> Outcome:
    """A first checkpoint that cannot be written is an error of all ranks."""
    file = Path(sys.argv[1])  # a file, where a folder would be needed
    try:
        trainer(Bigram(), checkpoint_dir=file / "run").fit()
    except OSError as error:
        return {"said": Ranks.of_this_job().gathered(str(error))}
    return {}


def diverging() -> Outcome:
    """A loss that is not finite is an error of all ranks, with the norms of all gradients."""
    model = tiny_gpt()
    model.final_norm.weight.data *= 3e38
    model.token_embedding.weight.data *= 1e3
    run = trainer(model)
    try:
        run.fit()
    except TrainingDiverged as error:
        names = sorted(error.gradient_norms)
        return {"said": run.ranks.gathered(str(error)), "names": names, "step": run.step}
    return {}


def go_on() -> Outcome:
    """Six more steps of each run that is in the output's folder, or the first six."""
    return {kind: six_more(Path(sys.argv[1]).parent / kind, kind) for kind in KINDS}


KINDS = {
    "adamw": (tiny_gpt, {"dropout": 0.2}, {"gradient_accumulation": 2}),
    "muon": (tiny_gpt, {"n_layer": 2}, {"optimizer": "muon"}),
    "lstm": (tiny_lstm, {}, {"carry_state": True, "block_size": 8}),
}


def six_more(folder: Path, kind: str) -> int:
    make, sizes, settings = KINDS[kind]
    if folder.exists():
        steps = 6 + int(latest_checkpoint(folder).stem.removeprefix("step-"))
        run = Trainer.resume(folder, TRAIN, VAL, max_steps=steps)
        again = folder / "again.npz"  # what was read, written by as many ranks as there are now
        run.save(again)
    else:
        always = {"max_steps": 6, "schedule": "constant", "keep_checkpoints": 9}
        run = trainer(make(**sizes), **always, **settings, checkpoint_dir=folder)
    run.fit()
    return run.step


class Alone:
    """A communicator of one."""

    rank, size = 0, 1

    def Allreduce(self, mine, total):
        total[:] = mine


CASES = [
    gpt, many_buckets, threads, odd_rows, lstm, encoder_decoder, lora, muon, sgd, scaled,
    one_row_only, plain_form, fast_form, shares, early, stopped, misused, differing, unwritable,
    diverging,
]  # fmt: skip


def main() -> None:
    output, *names = sys.argv[1:]
    Path(output).touch()
    cases = {case.__name__: case for case in [*CASES, go_on]}
    found = {name: cases[name]() for name in names}
    if Ranks.of_this_job().is_first:
        Path(output).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
