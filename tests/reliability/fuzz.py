"""Damage to the files of a loader, guided by the code that each reaches.

    pip install -e ".[fuzz]"
    python -m tests.reliability.fuzz LOADER --seconds 60

atheris watches which branches of minigpt a file takes; one that takes a new branch is kept, and
damaged further. What damages is the same as in ``test_mutated_files.py``, and so is what counts as
an error: the first file with one is kept, and its name printed. ``--seconds`` is time of the clock.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("loader", help="one of LOADERS in loaders.py")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", default="fuzzed", help="where a file with an error is kept")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        raise SystemExit('Fuzzing needs atheris: pip install -e ".[fuzz]"') from None

    with atheris.instrument_imports(include=["minigpt"]):
        from tests.reliability.loaders import LOADERS, sound_folders
        from tests.reliability.mutators import mutated_file
        from tests.reliability.test_mutated_files import outcome, put
    if options.loader not in LOADERS:
        parser.error(f"{options.loader!r} is not a loader: choose among {', '.join(LOADERS)}")

    # A case is a byte that says which file of which sound folder, and what the file then holds.
    loader = LOADERS[options.loader]
    cases = [
        (folder, name)
        for folder in sound_folders(options.loader)
        for name in sorted(folder)
        if name in (loader.damage or folder)
    ]
    work = Path(tempfile.mkdtemp())
    (work / "corpus").mkdir()
    for i, (folder, name) in enumerate(cases):
        (work / "corpus" / str(i)).write_bytes(bytes([i]) + folder[name])
    kept = Path(options.output, options.loader)

    def try_case(data: bytes) -> None:
        folder, name = cases[data[0] % len(cases)] if data else cases[0]
        damaged = {**folder, name: data[1:]}
        try:
            outcome(options.loader, put(damaged, work / "files"))
        except Exception:
            put(damaged, kept)
            print(f"kept in {kept}", file=sys.stderr)
            raise

    def damage(data: bytes, max_size: int, seed: int) -> bytes:
        draw = random.Random(seed)
        folder, name = cases[data[0] % len(cases)] if data else cases[0]
        try:
            changed = mutated_file(name, bytes(data[1:]), draw)
        except Exception:  # no longer JSON, or a checkpoint: begin again from a sound one
            changed = mutated_file(name, folder[name], draw)
        return (bytes(data[:1]) + changed)[:max_size]

    kept.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0], f"-max_total_time={options.seconds}", f"-seed={options.seed}",
        "-max_len=200000", "-len_control=0", "-print_final_stats=1",
        f"-artifact_prefix={work}/", str(work / "corpus"),
    ]  # fmt: skip
    atheris.Setup(arguments, try_case, custom_mutator=damage)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
