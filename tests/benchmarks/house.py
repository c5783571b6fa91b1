"""A training step of every kind of model against the same thing built of PyTorch's modules.

    python tests/benchmarks/house.py
    python tests/benchmarks/house.py --models lstm seq2seq --size baby --rounds 3
    python tests/benchmarks/house.py --models lora --size wide --threads 1

A step is forward, backward, clipping of the gradient norm and the optimizer, on one batch; texts of
the encoders have lengths from half the context to all of it, the rest is padding. LSTMs carry their
state from step to step. Before anything is timed, both sides take three steps from the same
weights: their losses must agree, so that they compute, clip and move the same. PyTorch runs
eagerly. Needs torch, and threadpoolctl for several workers.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
from interleaved import Contender, Work, compare, machine, serve  # noqa: E402

CHECKED_STEPS, TOLERANCE, RATE = 3, 1e-4, 1e-3
RANK, CLASSES = 8, 4


class Size(NamedTuple):
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int


SIZES = {
    "small": Size(65, 4, 4, 128, 64, 12),
    "baby": Size(65, 6, 6, 384, 256, 8),
    "wide": Size(50257, 2, 12, 768, 256, 4),  # GPT-2's 124M shape, with two of its layers
}
OF_LSTM = {"small": Size(65, 2, 1, 128, 64, 32), "baby": Size(65, 2, 1, 384, 128, 32)}


# ── the models: minigpt's, PyTorch's with its weights, and a batch ────────────────────────────


def tokens(size: Size) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    text = rng.integers(0, size.vocab_size, (size.batch_size, size.block_size + 1))
    return text[:, :-1].copy(), text[:, 1:].copy()


def lengths(size: Size) -> np.ndarray:
    """True where a token is, False where padding is: (B, T)."""
    n = np.linspace(size.block_size // 2, size.block_size, size.batch_size).astype(int)
    return np.arange(size.block_size) < n[::-1, None]


def gpt(size: Size, **changes: Any) -> Any:
    import minigpt as mg

    return mg.GPT(mg.GPTConfig(*size[:1], size.block_size, *size[1:4], **changes), seed=0)


def torch_gpt(size: Size, ours: Any, bias: bool = True) -> Any:
    from tests.parity.reference_gpt import ReferenceGPT

    theirs = ReferenceGPT(*size[:1], size.block_size, *size[1:4], bias=bias)
    if ours is not None:
        theirs.load({n: array for n, array in ours.state_dict().items() if "lora" not in n})
    return theirs


def adapted_gpt(size: Size) -> Any:
    from minigpt.nn import add_lora

    model = gpt(size)
    add_lora(model, rank=RANK)
    return model


def torch_adapted_gpt(size: Size, ours: Any) -> Any:
    from tests.parity.reference_adapters import adapt

    return adapt(torch_gpt(size, ours), RANK, ours and ours.state_dict())


def torch_gpt_in_parts(size: Size, ours: Any) -> Any:
    """Q, K and V are matrices of their own, each made orthogonal by itself, as minigpt does."""
    from tests.parity.reference_adapters import LinearInParts

    model = torch_gpt(size, ours, bias=False)
    for block in model.blocks:
        block.qkv = LinearInParts(block.qkv, 3)
    return model


def llama(size: Size) -> Any:
    import minigpt as mg

    sizes = (size.vocab_size, size.block_size, *size[1:4])
    return mg.GPT(mg.GPTConfig.llama(*sizes, n_kv_head=size.n_head // 2), seed=0)


def torch_llama(size: Size, ours: Any) -> Any:
    from tests.parity.reference_llama import ReferenceLlama

    return loaded(ReferenceLlama, llama, size, ours)


def lstm(size: Size) -> Any:
    from minigpt.models import LSTMConfig, LSTMLanguageModel

    config = LSTMConfig(size.vocab_size, size.n_embd, size.n_embd, size.n_layer)
    return LSTMLanguageModel(config, seed=0)


def torch_lstm(size: Size, ours: Any) -> Any:
    from tests.parity.reference_lstm import ReferenceLSTM

    sizes = size.vocab_size, size.n_embd, size.n_embd, size.n_layer
    return ReferenceLSTM(*sizes) if ours is None else ReferenceLSTM.like(ours)


def encoder(size: Size) -> Any:
    from minigpt.models import Encoder

    return Encoder(encoder_config(size), seed=0)


def encoder_config(size: Size) -> Any:
    from minigpt.models import EncoderConfig

    sizes = (size.vocab_size, size.block_size, *size[1:4])
    return EncoderConfig(*sizes, activation="gelu_erf")


def torch_encoder(size: Size, ours: Any) -> Any:
    from tests.parity.reference_encoder import ReferenceMaskedModel

    return loaded(ReferenceMaskedModel, encoder, size, ours)


def masked_tokens(size: Size) -> tuple[np.ndarray, ...]:
    from minigpt.datasets import masked

    ids, _ = tokens(size)
    mask, rng = lengths(size), np.random.default_rng(1)
    hidden = masked(ids, rng, mask_id=0, vocab_size=size.vocab_size, attention_mask=mask)
    return *hidden, mask


def classifier(size: Size) -> Any:
    from minigpt.models import ClassifierConfig, TextClassifier

    return TextClassifier(ClassifierConfig(encoder_config(size), CLASSES), seed=0)


def torch_classifier(size: Size, ours: Any) -> Any:
    from tests.parity.reference_encoder import ReferenceClassifier

    return loaded(ReferenceClassifier, classifier, size, ours)


def labelled_tokens(size: Size) -> tuple[np.ndarray, ...]:
    labels = np.random.default_rng(1).integers(0, CLASSES, size.batch_size)
    return tokens(size)[0], labels, lengths(size)


def seq2seq(size: Size) -> Any:
    """With half of the layers on each side."""
    from minigpt.models import EncoderDecoder, Seq2SeqConfig

    n_layer = size.n_layer // 2
    sizes = 2 * (size.vocab_size,) + 2 * (size.block_size,) + (n_layer, *size[2:4], n_layer)
    config = Seq2SeqConfig(*sizes, positions="sinusoidal", share_embeddings=True)
    return EncoderDecoder(config, seed=0)


def torch_seq2seq(size: Size, ours: Any) -> Any:
    from tests.parity.reference_layers import Translator

    return loaded(Translator, seq2seq, size, ours)


def pairs(size: Size) -> tuple[np.ndarray, ...]:
    (target_in, target_out), source = tokens(size), tokens(size)[0][::-1].copy()
    return source, target_in, np.where(lengths(size)[::-1], target_out, -1), lengths(size)


def loaded(kind: Any, make: Callable[[Size], Any], size: Size, ours: Any) -> Any:
    """PyTorch's model for the configuration of minigpt's, with its weights where it is given."""
    from tests.parity.reference_layers import load

    theirs = kind((ours or make(size)).config)
    if ours is not None:
        load(theirs.named(), ours.state_dict())
    return theirs


@dataclass(frozen=True)
class Kind:
    """What is measured: a model of each side, a batch, and who moves the weights."""

    ours: Callable[[Size], Any]
    theirs: Callable[[Size, Any], Any]
    batch: Callable[[Size], tuple[np.ndarray, ...]] = tokens
    optimizer: str = "adamw"
    beside: str | None = None  # another kind whose step is the measure of this one
    tolerance: float = TOLERANCE  # of the losses after the first, which has TOLERANCE


KINDS = {
    "gpt": Kind(gpt, torch_gpt),
    "modern": Kind(llama, torch_llama),
    "encoder": Kind(encoder, torch_encoder, masked_tokens),
    "classifier": Kind(classifier, torch_classifier, labelled_tokens),
    "seq2seq": Kind(seq2seq, torch_seq2seq, pairs),
    "lstm": Kind(lstm, torch_lstm, optimizer="adam"),
    "lora": Kind(adapted_gpt, torch_adapted_gpt, beside="gpt"),
    # PyTorch's Muon multiplies in bfloat16.
    "muon": Kind(
        lambda size: gpt(size, bias=False), torch_gpt_in_parts, optimizer="muon", beside="gpt",
        tolerance=1e-3,
    ),
}  # fmt: skip


# ── the steps ─────────────────────────────────────────────────────────────────────────────────


class TheSameBatch:
    """Batches for a Trainer: one, again and again."""

    batches_per_epoch = 1

    def __init__(self, batch: tuple[np.ndarray, ...]) -> None:
        self._batch = batch

    def next_batch(self) -> tuple[np.ndarray, ...]:
        return self._batch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


def minigpt_step(kind: Kind, size: Size, threads: int, model: Any = None) -> Work:
    import minigpt as mg

    model, batch = model or kind.ours(size), kind.batch(size)
    if kind.ours is lstm:
        batch = (*batch, model.new_state(size.batch_size))  # the loss leaves the next one there
    config = mg.TrainerConfig(
        max_steps=10**6, batch_size=size.batch_size, learning_rate=RATE, schedule="constant",
        warmup_steps=0, optimizer=kind.optimizer, workers=threads, progress=False,
    )  # fmt: skip
    return mg.Trainer(model, TheSameBatch(batch), None, config).train_step


def torch_step(kind: Kind, size: Size, threads: int, ours: Any = None) -> Work:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = kind.theirs(size, ours)
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizers = torch_optimizers(kind.optimizer, learned)
    batch, state = [torch.from_numpy(array) for array in kind.batch(size)], None

    def step() -> float:
        nonlocal state
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        if kind.ours is lstm:
            loss, state = model.loss(*batch, state)
        else:
            loss = model.loss(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned.values(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    return step


def torch_optimizers(name: str, learned: dict[str, Any]) -> list[Any]:
    """With the settings that a Trainer has; Muon moves the matrices of blocks."""
    import torch

    if name == "adam":
        return [torch.optim.Adam(learned.values(), RATE, (0.9, 0.99))]
    hidden = [p for n, p in learned.items() if name == "muon" and "blocks" in n and p.ndim == 2]
    others = [p for p in learned.values() if all(p is not h for h in hidden)]
    groups = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: list[Any] = [
        torch.optim.AdamW([g for g in groups if g["params"]], RATE, (0.9, 0.99))
    ]
    if hidden:
        muon = torch.optim.Muon(hidden, RATE, 0.1, adjust_lr_fn="match_rms_adamw")
        optimizers.append(muon)
    return optimizers


def check_the_same(name: str, size: Size, threads: int) -> None:
    """Both sides' losses at each of the first steps, from the same weights.

    Those of a new model are so small that any would have a loss of log V: larger ones are drawn.
    """
    kind, rng = KINDS[name], np.random.default_rng(0)
    model = kind.ours(size)
    for p in model.parameters():
        noise = rng.standard_normal(p.shape)
        p.assign(noise / min(p.shape) ** 0.5 if p.ndim > 1 else p.data + 0.1 * noise)
    theirs = torch_step(kind, size, threads, model)  # takes the weights before they move
    ours = minigpt_step(kind, size, threads, model)
    for step in range(CHECKED_STEPS):
        found, expected = float(ours()), float(theirs())  # type: ignore[arg-type]
        tolerance = kind.tolerance if step else TOLERANCE
        if not abs(found - expected) <= tolerance * abs(expected):
            raise SystemExit(
                f"{name}: at step {step}, minigpt's loss is {found:.6f} and PyTorch's "
                f"{expected:.6f}: they do not compute the same"
            )


# ── the comparison ────────────────────────────────────────────────────────────────────────────


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side")
    parser.add_argument("--rounds", type=int, default=6, help="turns that each of them gets")
    parser.add_argument("--each", type=int, default=10, help="steps in a turn")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.threads == 1:
        import threadpoolctl

        threadpoolctl.threadpool_limits(1, user_api="blas")
    if args.serve:
        side, name = args.serve
        step = minigpt_step if side == "minigpt" else torch_step
        serve(lambda: step(KINDS[name], size_of(name, args.size), args.threads))
        return

    print(machine())
    print(f"{args.size}, {args.threads} threads each; {args.rounds} x {args.each} steps each")
    print("model       | wall ms: minigpt  torch  ratio | processor ms: minigpt  torch  ratio")
    for name in args.models:
        check_the_same(name, size_of(name, args.size), args.threads)
        contenders = [contender(side, name) for side in ("minigpt", "torch")]
        beside = KINDS[name].beside
        if beside is not None:
            contenders.append(contender("minigpt", beside))
        compare(contenders, args.rounds, args.each)
        ours, theirs = contenders[:2]
        print(
            f"{name:11} | {1000 * ours.median:16.1f} {1000 * theirs.median:6.1f} "
            f"{theirs.median / ours.median:6.2f} | {1000 * ours.median_busy:21.1f} "
            f"{1000 * theirs.median_busy:6.1f} {theirs.median_busy / ours.median_busy:6.2f}"
        )
        for other in contenders[2:]:
            print(
                f"{'':11} | {ours.median / other.median:.2f} of the step of {other.name} "
                f"({1000 * other.median:.1f} ms), {ours.median_busy / other.median_busy:.2f} of "
                "its processor time"
            )


def size_of(name: str, size: str) -> Size:
    return (OF_LSTM if name == "lstm" else SIZES)[size]


def contender(side: str, name: str) -> Contender:
    return Contender(f"{side}'s {name}", [__file__, *sys.argv[1:], "--serve", side, name])


if __name__ == "__main__":
    main()
