"""From the plain equations to PyTorch's speed, one rung after the other: a training step's time.

    python tests/benchmarks/ladder.py --size small
    python tests/benchmarks/ladder.py --size baby --rounds 5 --each 1

Each rung adds a trick to those before it. The library has all of them and no switch for any: a rung
takes the tricks above it away again, inside its own process, and ends with an error unless its
first step shows that they are gone. Prints a Markdown table. Needs torch and threadpoolctl.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from interleaved import Contender, Work, compare, hold_equal, machine, serve
from training_step import AS_EVER, minigpt_step, torch_step

WHOLE = 1 << 25  # numbers in a block or rows of it, where nothing is to be cut: more than there are
Calls = dict[tuple[str, str], int]  # (module, function) -> how often a step calls it


@dataclass
class Trick:
    """What makes a step faster, and how to do without it."""

    name: str
    take_away: Callable[[], object]
    calls_without: Callable[[Any], Calls]  # of a step of a trainer whose library lacks the trick


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "baby"), default="small")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="PyTorch's threads")
    parser.add_argument("--rounds", type=int, default=10, help="turns that each rung gets")
    parser.add_argument("--each", type=int, default=2, help="steps in a turn")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.set_defaults(**AS_EVER)
    args = parser.parse_args()
    if args.serve:
        serve(lambda: the_others(args) if args.serve == "torch" else rung(int(args.serve), args))
        return

    names = ["the equations, composed from primitives", *(f"+ {trick.name}" for trick in TRICKS)]
    served = {name: str(number) for number, name in enumerate(names)}
    served[f"PyTorch, eager, {args.threads} threads"] = "torch"
    contenders = [
        Contender(name, [__file__, *sys.argv[1:], "--serve", what]) for name, what in served.items()
    ]
    print(machine())
    compare(contenders, args.rounds, args.each, warmup=1, check=hold_equal)
    print(f'A training step, "{args.size}"; {args.rounds} x {args.each} steps each, in turn.\n')
    print("| | ms/step | gain over the line before | times as fast as the first | peak MB |")
    print("|---|---:|---:|---:|---:|")
    first, before = contenders[0].median, None
    for c in contenders:
        gain = f"{before / c.median:.2f}" if before and c is not contenders[-1] else ""
        print(
            f"| {c.name} | {1000 * c.median:.1f} | {gain} | {first / c.median:.2f} | {c.peak:.0f} |"
        )
        before = c.median
    print(f"\nspeed ratio (torch / minigpt): {contenders[-1].median / contenders[-2].median:.2f}")


def rung(number: int, args: argparse.Namespace) -> Work:
    """A step with the first ``number`` tricks, and with no other."""
    import minigpt  # noqa: F401  (all its modules are there before any is changed)

    missing = TRICKS[number:]
    args.workers = 1 if SHARED in missing else "auto"
    for trick in missing:
        trick.take_away()
    seen: Counter[tuple[str, str]] = Counter()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen[frame.f_globals.get("__name__", ""), frame.f_code.co_name] += 1

    sys.setprofile(note)
    step = minigpt_step(args)
    step()
    sys.setprofile(None)

    trainer = step.__self__
    if (trainer.workers.count > 1) != (SHARED not in missing):
        raise SystemExit("the last rung needs two cores, and threadpoolctl: pip install -e .[fast]")
    expected: Calls = {}
    for trick in reversed(missing):  # where two name one function, the lower trick decides
        expected.update(trick.calls_without(trainer))
    for function, count in expected.items():
        if seen[function] != count:
            raise SystemExit(
                f"rung {number}: a step calls {'.'.join(function)} {seen[function]} times where "
                f"{count} were expected: the library has changed, adapt this benchmark to it"
            )
    return step


def the_others(args: argparse.Namespace) -> Work:
    """PyTorch's step, after a first one, as each rung has taken it."""
    step = torch_step(args)
    step()
    return step


# ── doing without a trick ─────────────────────────────────────────────────────────────────────


def modules() -> list[dict[str, Any]]:
    """The names of every module of minigpt."""
    return [vars(module) for name, module in sys.modules.items() if name.startswith("minigpt")]


def replace(function: object, other: object) -> None:
    """Let ``other`` stand wherever the library says ``function``."""
    from minigpt.functional import ACTIVATIONS

    for names in [*modules(), ACTIVATIONS]:
        names.update({name: other for name, value in names.items() if value is function})


def set_constant(constant: str, value: int) -> None:
    """Change a constant in its own module and wherever it was imported."""
    holders = [names for names in modules() if constant in names]
    if not holders:
        raise SystemExit(f"minigpt has no constant {constant} any more: adapt this benchmark to it")
    for names in holders:
        names[constant] = value


PLAIN = "minigpt.functional.plain"
GELU = "minigpt.functional.activations", "_gelu_tanh"
ATTENTION = "minigpt.functional.attention_blocks", "_weights"
PIECES = "minigpt.chunks", "in_chunks"


def only_primitives() -> None:
    """The functions that the model calls become those of ``minigpt.functional.plain``."""
    import minigpt.functional as F
    from minigpt.functional import plain

    def multi_head_attention(qkv, n_head, mask, causal, *_, **__):
        return plain.multi_head_attention(qkv, n_head, mask, causal)  # dropout is 0 here

    for name in ("linear", "gelu", "layer_norm", "embedding", "cross_entropy"):
        replace(getattr(F, name), getattr(plain, name))
    replace(F.multi_head_attention, multi_head_attention)


def calls_of_primitives(trainer: Any) -> Calls:
    layers = trainer.model.config.n_layer
    return {
        (PLAIN, "linear"): 4 * layers + 1,
        (PLAIN, "gelu"): layers,
        (PLAIN, "layer_norm"): 2 * layers + 1,
        (PLAIN, "multi_head_attention"): layers,
        (PLAIN, "embedding"): 2,
        (PLAIN, "cross_entropy"): 1,
        GELU: 0,
        ATTENTION: 0,
        (__name__, "hold_array"): 0,
        (__name__, "add_up_rows"): 0,
    }


def no_blocks() -> None:
    """GELU, the gradient norm and AdamW pass over whole arrays."""
    set_constant("CHUNK", WHOLE)


def calls_without_blocks(trainer: Any) -> Calls:
    # A generator is called once for each piece and once for the end: for norm and for update.
    return {GELU: trainer.model.config.n_layer, PIECES: 2 * (1 + 1) * len(trainer.parameters)}


def add_up_rows(x: Any) -> Any:
    """Stands for ``row_sums``."""
    return x.sum(axis=-1, keepdims=True)


def add_up_columns(x: Any) -> Any:
    """Stands for ``column_sums``."""
    return x.reshape(-1, x.shape[-1]).sum(axis=0)


def only_additions() -> None:
    from minigpt.functional.sums import column_sums, row_sums

    replace(row_sums, add_up_rows)
    replace(column_sums, add_up_columns)


def calls_of_additions(trainer: Any) -> Calls:
    layers = trainer.model.config.n_layer
    return {(__name__, "add_up_rows"): 2 * layers + 1 + layers}  # of norms, and of softmax


def hold_array(x: Any) -> Callable[[], Any]:
    """Stands for ``kept``, and keeps the array itself, whether or not it could be rebuilt."""
    array = x.data
    return lambda: array


def rebuild_nothing() -> None:
    from minigpt.autograd import kept

    replace(kept, hold_array)


def memory_goes_back() -> bool:
    """Stands for ``keep_freed_memory``, and does nothing."""
    return False


def keep_nothing() -> None:
    from minigpt.memory import keep_freed_memory

    if keep_freed_memory.cache_info().misses:
        raise SystemExit("importing minigpt already keeps freed memory: adapt this benchmark to it")
    replace(keep_freed_memory, memory_goes_back)


SHARED = Trick(
    "the batch shared between threads, one a core",
    lambda: None,  # an option of the library: workers=1, and BLAS on all cores
    lambda trainer: {},
)
TRICKS = [
    Trick("operations fused, with derivatives by hand", only_primitives, calls_of_primitives),
    Trick("GELU and AdamW in blocks that fit the cache", no_blocks, calls_without_blocks),
    Trick("sums as products with ones", only_additions, calls_of_additions),
    Trick(
        "what the causal mask hides is skipped",
        lambda: set_constant("ROWS", WHOLE),
        lambda trainer: {ATTENTION: trainer.model.config.n_layer},
    ),
    Trick(
        "what is cheap to compute again is not kept",
        rebuild_nothing,
        lambda trainer: {(__name__, "hold_array"): 4 * trainer.model.config.n_layer + 1},
    ),
    Trick(
        "freed memory is kept",
        keep_nothing,
        lambda trainer: {(__name__, "memory_goes_back"): 1},
    ),
    SHARED,
]


if __name__ == "__main__":
    main()
