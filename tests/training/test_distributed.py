"""Several ranks train as one process does. Needs mpi4py and MPICH: ``pip install -e ".[mpi]"``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigpt.training import History
from tests.training import ranks_run
from tests.training.tiny import tiny_gpt

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")


def missing() -> str:
    """Why nothing can be tried here."""
    try:
        import mpi4py.MPI  # noqa: F401
    except (ImportError, RuntimeError) as error:
        return f'mpi4py is not there ({error}): pip install -e ".[mpi]"'
    return "" if MPIEXEC else 'mpiexec is not there: pip install -e ".[mpi]"'


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


def launch(ranks: int, *arguments: object, **options) -> subprocess.Popen[str]:
    """Python on so many ranks."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(MPIEXEC), "-n", str(ranks), sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


SAME = [
    "gpt", "many_buckets", "threads", "odd_rows", "lstm", "encoder_decoder", "lora", "muon", "sgd",
    "scaled", "one_row_only", "plain_form", "fast_form",
]  # fmt: skip


@pytest.fixture(scope="module")
def alone():
    return {name: getattr(ranks_run, name)() for name in SAME}


@pytest.fixture(scope="module", params=[2, 4])
def together(request, tmp_path_factory):
    """What came out of all cases, on so many ranks, and how many they were."""
    output = tmp_path_factory.mktemp("ranks") / "found.json"
    names = [case.__name__ for case in ranks_run.CASES]
    process = launch(request.param, "-m", "tests.training.ranks_run", output, *names)
    printed, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    assert printed == ""
    return request.param, json.loads(output.read_text())


@pytest.mark.parametrize("case", SAME)
def test_the_number_of_ranks_makes_no_difference(together, alone, case: str) -> None:
    _, found = together
    assert_same(found[case], alone[case])


def assert_same(found, expected, atol: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if name == "parameters":
            assert_same_parameters(found[name], value)
        else:
            np.testing.assert_allclose(found[name], value, atol=atol, rtol=0, err_msg=name)


def assert_same_parameters(found, expected) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=2e-4, rtol=0, err_msg=name)


def test_the_fast_form_is_the_plain_form(together) -> None:
    _, found = together
    np.testing.assert_allclose(found["fast_form"]["loss"], found["plain_form"]["loss"], atol=1e-5)
    assert_same_parameters(found["fast_form"]["parameters"], found["plain_form"]["parameters"])


def test_a_rank_keeps_its_share_of_the_moments_and_sends_its_share(together) -> None:
    n, found = together
    whole = found["shares"]["parameters"]
    kept, sent = zip(*found["shares"]["adamw"], strict=True)
    assert sum(kept) == 2 * whole
    assert max(kept) - min(kept) <= 16
    # (N − 1)/N of the gradient, and as much of the parameters
    assert sent == pytest.approx([2 * (n - 1) / n * whole] * n, rel=1e-3)
    kept, _ = zip(*found["shares"]["muon"], strict=True)
    assert max(kept) < 1.5 * sum(kept) / n  # whole matrices are shared out less evenly


def test_gradients_travel_while_the_walk_back_goes_on(together) -> None:
    _, found = together
    sent, parameters = found["early"]["sent"], found["early"]["parameters"]
    assert len(sent) > 5
    assert sent == sorted(sent)
    assert sent[0] < parameters / 4 < parameters * 3 / 4 < sent[-1]


def test_what_the_first_rank_decides_holds_for_all(together) -> None:
    n, found = together
    assert found["stopped"]["steps"] == [4] * n
    said, *_ = found["misused"]["said"]
    assert "a callback's on_step is called on rank 0 only" in said


def test_ranks_that_differ_are_told_apart(together) -> None:
    n, found = together
    assert found["differing"].keys() == {"learning_rate", "training text", "parameters"}
    for name, said in found["differing"].items():
        assert len(set(said)) == 1
        assert f"rank {n - 1} of {n} must have the " in said[0]
        assert name in said[0]
    assert "0.1: got 0.5" in found["differing"]["learning_rate"][0]


def test_an_error_of_the_first_rank_s_files_is_every_rank_s(together) -> None:
    n, found = together
    assert len(found["unwritable"]["said"]) == n
    assert all("checkpoint_dir cannot be made" in said for said in found["unwritable"]["said"])


def test_divergence_is_seen_by_all_with_every_parameter_s_norm(together) -> None:
    n, found = together
    said = found["diverging"]["said"]
    assert len(said) == n
    assert len(set(said)) == 1
    assert "step 1: the loss is" in said[0]
    assert found["diverging"]["step"] == 0
    names = [name for name, _ in tiny_gpt().named_parameters()]
    assert found["diverging"]["names"] == sorted(names)


def test_any_number_of_ranks_goes_on_with_a_run(tmp_path, monkeypatch) -> None:
    """1 → 4 → 2 ranks: what is read is what was written, and the losses are one process's."""
    output = tmp_path / "found.json"
    monkeypatch.setattr(sys, "argv", ["", str(output)])
    ranks_run.go_on()
    for ranks, steps in ((4, 12), (2, 18)):
        process = launch(ranks, "-m", "tests.training.ranks_run", output, "go_on")
        _, complaints = process.communicate(timeout=300)
        assert process.returncode == 0, complaints
        assert set(json.loads(output.read_text())["go_on"].values()) == {steps}
        for kind in ranks_run.KINDS:
            before = tmp_path / kind / f"step-{steps - 6:08d}.npz"
            assert_same_arrays(before, tmp_path / kind / "again.npz")

    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "alone" / "found.json")])
    for _ in range(3):
        ranks_run.go_on()
    for kind in ranks_run.KINDS:
        together, alone = (History.read(tmp_path / where / kind) for where in ("", "alone"))
        for name in ("loss", "grad_norm", "val_loss"):
            np.testing.assert_allclose(together.column(name), alone.column(name), atol=1e-5)


def assert_same_arrays(one: Path, other: Path) -> None:
    with np.load(one) as ours, np.load(other) as theirs:
        names = [name for name in ours if ours[name].dtype.kind == "f"]
        assert any("momentum" in name or "second_moment" in name for name in names)
        assert set(names) <= set(theirs)
        for name in names:
            np.testing.assert_array_equal(theirs[name], ours[name], err_msg=name, strict=True)


def test_a_launcher_of_another_mpi_is_noticed() -> None:
    """Each of its processes would be alone, and all would write to one folder."""
    source = "from minigpt.training.ranks import Ranks; Ranks.of_this_job()"
    environment = {**os.environ, "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3"}
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "a launcher has started 3 processes, and MPI sees 1: mpiexec is another" in done.stderr
