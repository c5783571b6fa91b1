"""``import minigpt`` loads what makes and trains a GPT; the rest comes when it is asked for."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import minigpt
from minigpt.first_use import on_first_use

ROOT = Path(__file__).resolve().parents[2]
# What Python and NumPy load for themselves differs between their versions, and does not count.
LOADED = """
import sys
import numpy.random
before = {{*sys.modules}}
{source}
print(*{{*sys.modules}} - before)
"""
STEP = """
import numpy as np, minigpt as mg
model = mg.GPT(mg.GPTConfig(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=4))
config = mg.TrainerConfig(max_steps=1, batch_size=2, progress=False)
mg.Trainer(model, np.arange(50) % 5, config=config).train_step()
"""
NOT_FOR_A_STEP = (
    "asyncio html http matplotlib multiprocessing numpy.ma numpy.polynomial regex socket tempfile "
    "tqdm zipfile minigpt.drawing minigpt.interop minigpt.metrics.rouge minigpt.models.encoder "
    "minigpt.models.seq2seq minigpt.nn.lstm minigpt.sampling minigpt.tasks minigpt.tokenizers "
    "minigpt.viz"
)
NOT_AT_FIRST = (
    "concurrent.futures difflib importlib.metadata json logging shutil threadpoolctl "
    "traceback urllib.request minigpt.checkpoints minigpt.datasets minigpt.metrics minigpt.nn.lora "
    "minigpt.training"
)


def python(source: str) -> str:
    run = [sys.executable, "-c", source]
    return subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.parametrize(
    ("source", "left_out", "there"),
    [
        ("import minigpt", f"{NOT_FOR_A_STEP} {NOT_AT_FIRST}", "minigpt.models.gpt"),
        (STEP, NOT_FOR_A_STEP, "minigpt.training.trainer"),
    ],
    ids=["import", "step"],
)
def test_what_is_not_needed_is_not_loaded(source: str, left_out: str, there: str) -> None:
    loaded = {*python(LOADED.format(source=source)).split()}
    assert there in loaded
    assert not loaded & {*left_out.split()}


def test_threads_that_ask_for_a_name_first_at_the_same_time_all_get_it() -> None:
    source = """
import threading, minigpt
start, found = threading.Barrier(8), []
def ask():
    start.wait()
    found.append(minigpt.Trainer)
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len({*found}), found[0] is sys.modules["minigpt.training"].Trainer)
"""
    assert python(f"import sys\n{source}") == "8 1 True\n"


PACKAGES = ["minigpt"] + [
    module.name
    for module in pkgutil.iter_modules([str(ROOT / "minigpt")], "minigpt.")
    if module.ispkg
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_of_a_package_is_there_and_listed(name: str) -> None:
    package = importlib.import_module(name)
    names = getattr(package, "__all__", [])
    assert {*names} <= {*dir(package)}
    everything: dict[str, object] = {}
    exec(f"from {name} import *", everything)
    assert all(everything[n] is getattr(package, n) for n in names)


def test_a_name_is_looked_up_once_and_modules_are_names_too() -> None:
    load, listed = on_first_use("minigpt.nn", {"lora": ["add_lora"], "no.module": []})
    vars(minigpt.nn).pop("add_lora", None)
    assert load("add_lora") is vars(minigpt.nn)["add_lora"]
    assert load("lora") is sys.modules["minigpt.nn.lora"]
    assert "lora" in listed() and "no.module" not in listed()


@pytest.mark.parametrize("name", ["Transformer", "__wrapped__", "lora.add_lora"])
def test_a_name_that_is_not_there_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'minigpt' has no attribute '{name}'"):
        getattr(minigpt, name)
    assert not hasattr(minigpt.nn, name)
