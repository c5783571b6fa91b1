"""First steps: what each part of a transformer block is for, shown by training without it.

    python examples/what_each_part_does.py

One small GPT after the other learns the same text, with one part left out: the causal mask, the
residual connections, the layer norms, the positions. The last one is a block as it is often
printed, x + MLP(Attention(x)) and nothing else. Two losses are measured on the same validation
text:

  all places at once     as in training: the model reads a whole block, and is asked at every place
                         for the token that follows
  a token at a time      as in writing: each token is predicted from the tokens before it, and
                         nothing else is there

With a causal mask both are the same number. Without it the first one is worthless: the token that
is asked for stands one place further on, for everybody to see. Copying it is all there is to learn,
and the loss falls to nearly nothing: what is left of it is the last place of each block, whose
answer is not in the block. In writing every place is such a last place, and there is nothing to
copy from.

A picture of the runs is drawn where matplotlib is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minigpt as mg
import minigpt.functional as F
from command_line import Parser, at_least, count, one_line_errors
from minigpt.datasets import RandomBatches, load_text, train_val_split
from minigpt.nn import Block, BlockConfig
from minigpt.training import TrainingDiverged
from minigpt.viz import new_figure

SIZES: dict[str, Any] = {
    "block_size": 32,
    "n_layer": 6,
    "n_head": 4,
    "n_embd": 64,
    "activation": "relu",
}
BARE = "x + MLP(Attention(x))"
VARIANTS: dict[str, dict[str, Any]] = {
    "everything there": {},
    "no causal mask": {"causal": False},
    "no residual": {"residual": False},
    "no layer norm": {"norm": "none"},
    "no positions": {"positions": "none"},
    BARE: {"causal": False, "norm": "none", "positions": "none"},
}
ROWS = 128  # blocks of validation text that the two losses are measured on
COLORS = ["#222222", "#c0392b", "#2471a3", "#b9770e", "#1e8449", "#7d3c98"]


class BareBlock(Block):
    """One residual connection around both parts: attention itself cannot be bypassed."""

    def forward(self, x: mg.Tensor, mask: Any = None, *_: Any, rng: Any = None) -> mg.Tensor:
        return x + self.mlp(self.attention(x, mask, rng=rng), rng)


@dataclass
class Result:
    """What is kept of a run: its losses, and a line that it wrote."""

    history: mg.History
    diverged: bool
    at_once: float
    token_by_token: float
    line: str


@one_line_errors()
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--data", default="python-docs", help="a corpus, a file or a folder")
    parser.add_argument("--steps", type=at_least(1), default=500, help="of each run")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of everything")
    parser.add_argument(
        "--output", type=Path, default=Path("what_each_part_does.png"), help="the picture"
    )
    parser.add_argument("--quiet", action="store_true", help="no bar")
    args = parser.parse_args()

    text = load_text(args.data)
    tokenizer = mg.CharTokenizer.train(text)
    train_tokens, val_tokens = train_val_split(tokenizer.encode_array(text), val_fraction=0.1)
    results: dict[str, Result] = {}
    for name, changes in VARIANTS.items():
        model = make_model(name, tokenizer.vocab_size, changes, args.seed)
        if not results:
            print(f"{count(model.num_parameters(), 'parameter')}, {count(args.steps, 'step')} each")
            print(f"{'':22}  training  all at once  a token at a time  it writes")
        results[name] = result = run(model, train_tokens, val_tokens, tokenizer, args)
        training = result.history.column("loss", "steps")[-20:]
        print(
            f"{name:22}  {np.mean(training):8.3f}  {result.at_once:11.3f}  "
            f"{result.token_by_token:17.3f}  {result.line!r}"
            + (", and then it diverged" if result.diverged else "")
        )
    explain(results)
    try:
        print(f"The runs as a picture: {draw(results, args.output)}")
    except ImportError as error:
        print(error)


def make_model(name: str, vocab_size: int, changes: dict[str, Any], seed: int) -> mg.GPT:
    config = mg.GPTConfig(vocab_size=vocab_size, **SIZES | changes)
    model = mg.GPT(config, seed=seed)
    if name == BARE:
        c, rng = config, np.random.default_rng(seed)
        block = BlockConfig(
            c.n_embd, c.n_head, activation=c.activation, norm=c.norm, causal=c.causal,
            init_std=c.init_std,
        )  # fmt: skip
        model.blocks = [BareBlock(block, layer, seed=rng) for layer in range(c.n_layer)]
    return model


def run(model: mg.GPT, train: Any, val: Any, tokenizer: mg.CharTokenizer, args: Any) -> Result:
    config = mg.TrainerConfig(
        max_steps=args.steps,
        batch_size=32,
        learning_rate=4e-3,
        warmup_steps=min(60, args.steps // 10),
        eval_interval=max(1, args.steps // 10),
        eval_batches=10,
        seed=args.seed,
        progress=not args.quiet,
    )
    trainer = mg.Trainer(model, train, val, config=config)
    diverged = False
    try:
        trainer.fit()
    except TrainingDiverged:
        diverged = True
    if not (trainer.finished or diverged):  # Ctrl-C
        raise KeyboardInterrupt
    model.eval()
    ids, targets = RandomBatches(val, model.config.block_size, ROWS, seed=0).next_batch()
    with mg.no_grad():
        at_once = model.loss(ids, targets).item()
    sampler = mg.Sampler(model, tokenizer)
    prompt = tokenizer.decode(val[:4])
    (line,) = sampler.generate(
        prompt, max_new_tokens=36, temperature=0.8, seed=args.seed, use_cache=model.config.causal
    )
    return Result(
        trainer.history, diverged, at_once, loss_token_by_token(model, ids, targets), line
    )


@mg.no_grad()
def loss_token_by_token(model: mg.GPT, ids: np.ndarray, targets: np.ndarray) -> float:
    """The mean of −log p(targetₜ | ids₀ … idsₜ), where the model is given no more than that."""
    losses = []
    for t in range(ids.shape[1]):
        logits = model(ids[:, : t + 1], last_only=True)
        losses.append(F.cross_entropy(logits, targets[:, t : t + 1], reduction="none").numpy())
    counted = targets != -1
    return float(np.concatenate(losses, axis=1)[counted].mean())


def explain(results: dict[str, Result]) -> None:
    whole, maskless = results["everything there"], results["no causal mask"]
    print(
        f"\nWithout the causal mask the loss is {maskless.at_once:.2f} while the answer is in "
        f"sight, and {maskless.token_by_token:.2f} when it is not;\nwith the mask it is "
        f"{whole.at_once:.2f} and {whole.token_by_token:.2f}. Only the second of them says how "
        "well a model writes."
    )


def draw(results: dict[str, Result], output: Path) -> Path:
    figure = new_figure(12, 4.5)
    left, right = figure.subplots(1, 2)
    for (name, result), color in zip(results.items(), COLORS, strict=True):
        seen = result.history.evaluations
        xs, ys = ([record[key] for record in seen] for key in ("step", "val_loss"))
        left.plot(xs, ys, color=color, label=name)
    left.set_xlabel("step")
    left.set_ylabel("validation loss (nats per character)")
    left.set_title("all places at once, as in training")
    left.legend(frameon=False)
    places = np.arange(len(results))
    for offset, shade, label, losses in (
        (-0.2, "#bbbbbb", "all places at once", [r.at_once for r in results.values()]),
        (0.2, "#444444", "a token at a time", [r.token_by_token for r in results.values()]),
    ):
        bars = right.barh(places + offset, losses, 0.4, color=shade, label=label)
        right.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    right.set_yticks(places, list(results))
    right.invert_yaxis()
    right.set_xlabel("validation loss at the end")
    right.set_title("and as in writing")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(output, dpi=110)
    return output


if __name__ == "__main__":
    main()
