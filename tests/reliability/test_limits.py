"""Real limits of a system: a small disk, a disk that turns read-only, few descriptors, no memory.

What only pretends to fail is in ``test_saves.py`` and ``test_runs.py``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minigpt.atomic import replacing
from minigpt.checkpoints import latest_checkpoint, load_checkpoint
from tests.training.tiny import Bigram, assert_same_run, resume, trainer

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the limit")

HEAD = """
import os, pathlib, resource, subprocess, sys, warnings
import numpy as np
from minigpt.checkpoints import latest_checkpoint, load_checkpoint
from minigpt.training import Callback
from tests.training.tiny import Bigram, assert_same_run, config, resume, tiny_gpt, tokens, trainer

folder = pathlib.Path(sys.argv[1])
warnings.simplefilter("always")

class At(Callback):
    def __init__(self, **what):
        self.what = what

    def on_step(self, trainer, record):
        self.what.get(f"step_{trainer.step}", int)()

def fails(run):
    try:
        run.fit()
    except (OSError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print("it went well")

def step():
    return load_checkpoint(latest_checkpoint(folder / "run")).metadata["step"]
"""


def run(source: str, folder: Path, *before: str) -> tuple[str, str]:
    """What a program of its own printed, and what it said on stderr."""
    done = subprocess.run(
        [*before, sys.executable, "-c", HEAD + textwrap.dedent(source), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@linux
def test_a_disk_that_is_full_and_then_read_only(tmp_path: Path) -> None:
    """A file system of 100 KB, which only a process of its own sees.

    That a disk turns read-only while files are open in it is played in ``test_runs.py``.
    """
    alone = ["unshare", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=100k none {tmp_path} && mount -o remount,ro {tmp_path}"
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, "sh", "-c", mount], capture_output=True).returncode
    ):
        pytest.skip("this system lets nobody mount anything")
    source = """
        def mount(*options):
            subprocess.run(["mount", *options, str(folder)], check=True)

        mount("-t", "tmpfs", "-o", "size=100k", "none")
        settings = {"max_steps": 40, "checkpoint_interval": 1, "keep_checkpoints": 99}
        run = trainer(checkpoint_dir=folder / "run", **settings)
        fails(run)  # there is room for about eight checkpoints
        print("finished", run.finished, "kept", 3 < step() < 40)
        print([path.name for path in (folder / "run").glob(".*")])
        mount("-o", "remount,size=10m")
        run.fit()
        whole = trainer(**settings)
        whole.fit()
        assert_same_run(run, whole)
        assert_same_run(resume(folder / "run"), whole)

        mount("-o", "remount,ro")
        fails(resume(folder / "run", max_steps=50))
        fails(trainer(checkpoint_dir=folder / "other"))
        print("kept", step())
        mount("-o", "remount,rw")
        resume(folder / "run", max_steps=50).fit()
        print("kept", step())
    """
    out, err = run(source, tmp_path, *alone)
    lines = out.splitlines()
    assert lines[0].startswith("OSError: [Errno 28] could not write it (No space left on device)")
    assert f"make room on that disk, or name another folder: '{tmp_path}/run/step-" in lines[0]
    assert lines[1:3] == ["finished True kept True", "[]"]
    assert "a checkpoint is missing, the run goes on" in err
    assert lines[3].startswith("OSError: [Errno 30] could not write it (Read-only file system), ")
    assert f"name another folder, that you may write to: '{tmp_path}/run/run.lock'" in lines[3]
    assert "checkpoint_dir cannot be made (Read-only file system): name another" in lines[4]
    assert lines[5:] == ["kept 40", "kept 50"]


@linux
def test_few_file_descriptors(tmp_path: Path) -> None:
    source = """
        before = resource.getrlimit(resource.RLIMIT_NOFILE)

        def few():
            now = len(os.listdir("/proc/self/fd")) - 1  # without that of the list itself
            resource.setrlimit(resource.RLIMIT_NOFILE, (now, before[1]))

        many = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, before)
        settings = {"max_steps": 9, "checkpoint_interval": 2}
        run = trainer(
            callbacks=[At(step_3=few, step_7=many)], checkpoint_dir=folder / "run", **settings
        )
        run.fit()
        assert_same_run(resume(folder / "run"), run)
        few()
        fails(trainer(checkpoint_dir=folder / "run"))
        fails(trainer(checkpoint_dir=folder / "other"))
        try:
            print(latest_checkpoint(folder / "run"))
        except OSError as error:
            print(f"{type(error).__name__}: {error}")
        many()
        whole = trainer(**settings)
        whole.fit()
        assert_same_run(run, whole)
    """
    out, err = run(source, tmp_path)
    lines = out.splitlines()
    assert err.count("a checkpoint is missing, the run goes on ([Errno 24] could not write it") == 3
    for line in lines[:2]:
        assert "(Too many open files), what was there is kept: close some files" in line
    assert "Too many open files" in lines[2] and "cut off" not in lines[2]


@linux
def test_memory_that_is_not_there(tmp_path: Path) -> None:
    """The evaluation after step 6 needs more than there is; its batches are large."""
    source = """
        def limit():
            pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
            now = pages * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (now + (8 << 20), resource.RLIM_INFINITY))

        class Greedy(Bigram):
            def loss(self, ids, targets):
                if not self.training and run.step >= 6:
                    np.ones(64 << 20)
                return super().loss(ids, targets)

        settings = {"checkpoint_interval": 2, "eval_interval": 6}
        Greedy.__name__ = "Bigram"
        run = trainer(Greedy(), [At(step_3=limit)], checkpoint_dir=folder / "run", **settings)
        fails(run)
        print(step(), [path.name for path in (folder / "run").glob(".*")])
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again, whole = resume(folder / "run", Bigram()), trainer(**settings)
        again.fit()
        whole.fit()
        assert_same_run(again, whole)
    """
    out, _ = run(source, tmp_path)
    first, second = out.splitlines()
    assert first.endswith("MemoryError: Unable to allocate 512. MiB for an array with shape "
                          "(67108864,) and data type float64")  # fmt: skip
    assert second in ("4 []", "6 []")


@pytest.mark.parametrize("start", [1.0, 2e9])
def test_a_clock_that_goes_back(tmp_path: Path, monkeypatch, start: float) -> None:
    """By an hour whenever it is asked; or it stands at 1970, as on a board without a battery."""
    now = [start]

    def clock() -> float:
        now[0] -= 3600.0 if now[0] > 3600.0 else 0.0
        return now[0]

    monkeypatch.setattr(time, "time", clock)
    run = trainer(checkpoint_dir=tmp_path, checkpoint_interval=2, progress=True)
    run.fit()
    whole = trainer()
    whole.fit()
    assert_same_run(run, whole)
    assert run.elapsed >= 0
    assert min(run.history.column("tokens_per_second")) > 0
    assert latest_checkpoint(tmp_path).name == "step-00000010.npz"
    assert_same_run(resume(tmp_path), whole)
    with zipfile.ZipFile(tmp_path / "step-00000010.npz") as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}  # not of the clock
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "b") as second:
        first.write(b"1")  # and no file in use is taken for one of long ago
        second.write(b"2")
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"12"


def test_the_newest_checkpoint_is_that_of_the_highest_step_whatever_the_files_dates(
    tmp_path: Path,
) -> None:
    trainer(checkpoint_dir=tmp_path, checkpoint_interval=2, keep_checkpoints=9).fit()
    for path in tmp_path.glob("step-*.npz"):
        step = int(path.stem.removeprefix("step-"))
        os.utime(path, (10**9 - step, 10**9 - step))
    assert latest_checkpoint(tmp_path).name == "step-00000010.npz"
    assert load_checkpoint(tmp_path / "step-00000010.npz").metadata["step"] == 10
    np.testing.assert_equal(resume(tmp_path, Bigram()).step, 10)
