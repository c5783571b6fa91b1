"""What all tests share: hypothesis settings, a seeded generator, the real data beside the checkout.

`parity/` compares with other libraries and skips where they are not installed; `benchmarks/`
holds scripts that measure, and is never collected.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # side by side with other tests: a BLAS thread each
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The background jobs of a shell start with Ctrl-C ignored, those of nohup with SIGHUP; tests send
# both.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

collect_ignore = ["benchmarks"]

settings.register_profile(
    "minigpt",
    max_examples=25,
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("minigpt")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def _shared(name: str) -> Path:
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip(f"reads ../shared/data/{name} beside the checkout, which is not there")
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator in the same state at the start of every test."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def shakespeare_path() -> Path:
    """nanoGPT's corpus as a file: 1,115,394 characters."""
    return _shared("tinyshakespeare.txt")


@pytest.fixture(scope="session")
def shakespeare_text(shakespeare_path: Path) -> str:
    """nanoGPT's corpus as one string."""
    return shakespeare_path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def gpt2_folder() -> Path:
    """The folder with GPT-2's published `vocab.json` and `merges.txt`."""
    return _shared("gpt2")
