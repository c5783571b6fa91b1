"""From a GPT-2 folder on the disk to the first token: minigpt against Transformers.

    python tests/benchmarks/loading.py
    python tests/benchmarks/loading.py --odd

Transformers writes a model of GPT-2's size (124M parameters by default) with random weights once.
Then each of the two reads it in a fresh process and writes one token, in turn; the file is in the
system's cache. Times are given with the imports and without; the interpreter's own start is not
counted. With ``--odd`` the numbers lie at odd bytes of the file, as in the one that OpenAI's models
are published in: NumPy cannot use them where they are. Needs torch and transformers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

NAMES = ("minigpt", "transformers")
PARTS = ("imports", "loading", "first token")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="gpt2", help="a size that GPTConfig.preset knows")
    parser.add_argument("--prompt", type=int, default=16, help="tokens in the prompt")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each")
    parser.add_argument("--odd", action="store_true", help="numbers at odd bytes of the file")
    parser.add_argument("--copy", action="store_true", help="minigpt with memory_map=False")
    parser.add_argument("--serve", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        read = read_with_minigpt if args.serve == "minigpt" else read_with_transformers
        print(json.dumps(read(args)))
        return

    with tempfile.TemporaryDirectory() as folder:
        make = subprocess.run([sys.executable, "-c", MAKE, args.model, folder], cwd=ROOT)
        make.check_returncode()
        if args.odd:
            shift(Path(folder) / "model.safetensors")
        options = [__file__, *sys.argv[1:], "--folder", folder]
        found: dict[str, list[list[float]]] = {name: [] for name in NAMES}
        for turn in range(args.rounds + 1):
            for name in NAMES:
                run = [sys.executable, *options, "--serve", name]
                out = subprocess.run(run, check=True, stdout=subprocess.PIPE).stdout
                if turn:  # the first fills the system's caches
                    found[name].append(json.loads(out))

    print(f"{args.model}, prompt {args.prompt}; medians of {args.rounds} processes each")
    totals = []
    for name in NAMES:
        *parts, peak = (statistics.median(column) for column in zip(*found[name], strict=True))
        with_imports = statistics.median(sum(row[:3]) for row in found[name])
        without = statistics.median(sum(row[1:3]) for row in found[name])
        totals.append((with_imports, without))
        times = ", ".join(f"{part} {t:.3f} s" for part, t in zip(PARTS, parts, strict=True))
        print(
            f"{name:12} {with_imports:.3f} s with imports, {without:.3f} s without ({times}); "
            f"peak {peak:.0f} MB"
        )
    ratios = [theirs / ours for ours, theirs in zip(*totals, strict=True)]
    print(f"speed ratio (transformers / minigpt): {ratios[0]:.2f}, {ratios[1]:.2f} without imports")


MAKE = """
import sys, torch, minigpt
from transformers import GPT2Config, GPT2LMHeadModel
c = minigpt.GPTConfig.preset(sys.argv[1])
torch.manual_seed(0)
sizes = {"n_layer": c.n_layer, "n_head": c.n_head, "n_embd": c.n_embd}
GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(sys.argv[2])
"""


def shift(path: Path) -> None:
    """Lengthen the header so that the numbers begin at an odd byte."""
    shifted = path.with_name("shifted")
    with open(path, "rb") as source, open(shifted, "wb") as target:
        header = source.read(int.from_bytes(source.read(8), "little"))
        header += b" " * (3 - len(header) % 4)
        target.write(len(header).to_bytes(8, "little") + header)
        shutil.copyfileobj(source, target)
    shifted.replace(path)


def read_with_minigpt(args: argparse.Namespace) -> list[float]:
    start = time.perf_counter()
    import numpy as np

    import minigpt as mg

    imported = time.perf_counter()
    model = mg.GPT.from_pretrained(args.folder, memory_map=not args.copy)
    loaded = time.perf_counter()
    ids = np.arange(args.prompt)[None]
    mg.Sampler(model).generate_ids(ids, 1, temperature=0)
    return times(start, imported, loaded)


def read_with_transformers(args: argparse.Namespace) -> list[float]:
    start = time.perf_counter()
    import torch
    from transformers import AutoModelForCausalLM, GPT2LMHeadModel  # noqa: F401 (or it comes later)

    imported = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(args.folder)
    loaded = time.perf_counter()
    ids = torch.arange(args.prompt)[None]
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        model.generate(ids, attention_mask=mask, max_new_tokens=1, do_sample=False)
    return times(start, imported, loaded)


def times(start: float, imported: float, loaded: float) -> list[float]:
    from interleaved import peak_memory

    end = time.perf_counter()
    return [imported - start, loaded - imported, end - loaded, peak_memory()]


if __name__ == "__main__":
    main()
