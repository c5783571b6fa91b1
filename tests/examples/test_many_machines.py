"""The script that counts what ranks send each other, and reckons how far that scales."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minigpt.training import History
from tests.training.test_distributed import MPIEXEC, missing

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "examples/many_machines.md").read_text("utf-8")
SMALL = "--n-layer 1 --n-head 1 --n-embd 16 --block-size 16 --batch-size 4"
SCRIPT = str(ROOT / "examples/many_machines.py")
ROW = re.compile(
    r"^ +(\d) +[\d.]+ +([\d.e+-]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+)$", re.MULTILINE
)


@pytest.fixture
def script(folder) -> dict[str, Any]:
    return runpy.run_path(SCRIPT)


def test_a_step_is_work_and_what_of_the_traffic_the_work_does_not_hide(script) -> None:
    seconds = script["step_seconds"]
    million = 1_000_000
    assert seconds(million, 0, 1000, 1, 1e9, 1) == pytest.approx(6.0)  # 6 P n FLOPs, no traffic
    # Two machines: 3 s of work; 2 MB go each way at 125 MB/s, of the first a tenth is late.
    assert seconds(million, 0, 1000, 2, 1e9, 1) == pytest.approx(3.0 + 0.016)
    assert seconds(million, million // 10, 1000, 2, 1e9, 1) == pytest.approx(3.0 + 0.0176)
    # A wire a thousand times slower: 16 s one way, which hides the walk back instead.
    assert seconds(million, 0, 1000, 2, 1e9, 0.001) == pytest.approx(1.0 + 2 * 16)
    assert script["efficiency"]((million, 0), 1000, 2, 1e9, 1e9) == pytest.approx(1)


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_ranks_send_what_the_formula_says(run) -> None:
    Path("text.txt").write_text("to be or not to be, that is the question\n" * 50, "utf-8")
    code, out, _ = run("many_machines", "--data text.txt --steps 2 --output machines.png")
    assert code == 0
    rows = [[float(n.replace(",", "")) for n in row] for row in ROW.findall(out)]
    assert [row[0] for row in rows] == [1, 2, 4]
    for ranks, apart, sent, formula, kept, kept_by_formula in rows:
        assert apart < 1e-5
        assert sent == pytest.approx(formula, abs=64)
        assert kept == pytest.approx(kept_by_formula, abs=64)
        assert kept_by_formula == pytest.approx(rows[0][-1] / ranks, abs=1)
    assert not list(Path().glob("*.json"))


# ── what the page says of several hosts, on this machine ──────────────────────────────────────


def program(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text, "utf-8")
    path.chmod(0o755)
    return path


def bash(script: str, folder: Path) -> None:
    """The script, with ``folder`` in place of /shared and on the PATH."""
    (folder / "text").write_text("to be or not to be, that is the question\n" * 50, "utf-8")
    (folder / "venv/bin").mkdir(parents=True, exist_ok=True)
    (folder / "venv/bin/activate").touch()
    script = script.replace("/shared/minigpt", str(ROOT)).replace("/shared", str(folder))
    python = Path(sys.executable).parent
    path = os.pathsep.join(
        map(str, [folder, python, Path(str(MPIEXEC)).parent, os.environ["PATH"]])
    )
    environment = {**os.environ, "PATH": path, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-eu"], input=script, text=True, env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


on_linux = pytest.mark.skipif(sys.platform != "linux" or bool(missing()), reason=missing())


@on_linux
def test_the_host_file_of_the_page(tmp_path: Path) -> None:
    hosts, command = re.search(r"\$ cat hosts\n(.*?)    \$ (mpiexec .*?)\n", PAGE, re.S).groups()  # type: ignore[union-attr]
    (tmp_path / "hosts").write_text(hosts.replace(" ", ""), "utf-8")
    # ssh HOST COMMAND: both hosts are this one.
    program(tmp_path / "ssh", f'echo "$2" >> {tmp_path}/asked; shift 2; exec sh -c "$*"\n')
    command = command.replace("mpiexec", f"mpiexec -launcher ssh -launcher-exec {tmp_path}/ssh")
    command = command.replace("-f hosts", f"-f {tmp_path}/hosts").replace("eth0", "lo")
    command = command.replace("examples/", f"{ROOT}/examples/")
    bash(f"{command} --steps 4 --quiet {SMALL}", tmp_path)
    assert sorted((tmp_path / "asked").read_text().split()) == ["node1", "node2"]
    assert History.read(tmp_path / "run").column("step") == [1, 2, 3, 4]


@on_linux
def test_the_slurm_script_of_the_page_begins_and_goes_on(tmp_path: Path) -> None:
    (script,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    # srun --mpi=pmi2 COMMAND: mpiexec speaks PMI too.
    tasks = "-genv SLURM_NTASKS 2 -genv SLURM_STEP_NUM_TASKS 2"
    program(
        tmp_path / "srun",
        '[ "$1" = --mpi=pmi2 ] && [ "$SRUN_CPUS_PER_TASK" = 32 ] || exit 64\nshift\n'
        f'exec mpiexec -n "$SLURM_JOB_NUM_NODES" {tasks} "$@"\n',
    )
    script = "export SLURM_CPUS_PER_TASK=32 SLURM_JOB_NUM_NODES=2\n" + script
    script = script.replace("runs/long", f"{tmp_path}/long").replace("--workers auto", "")
    for steps in (4, 8):
        more = f"--steps {steps} --quiet" + (f" {SMALL}" if steps == 4 else "")
        bash(script.replace("--steps 20000", more), tmp_path)
        assert History.read(tmp_path / "long").column("step") == [*range(1, steps + 1)]
