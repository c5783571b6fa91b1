"""What cannot be shown ends nothing: training, evaluation, generation, learning a tokenizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")

ROOT = Path(__file__).parents[2]

WORK = """
import sys
import time
import numpy as np
import minigpt as mg
from minigpt import progress_bar
from minigpt.training import Callback, evaluate

progress_bar.INTERVAL = progress_bar._INTERVAL_IN_FILES = 0.0  # every step is shown
time.sleep(0.2)  # whoever reads the other end has gone

class Prints(Callback):
    def on_step(self, trainer, record):
        trainer.print("step", trainer.step)

text = "to be or not to be, that is the question. " * 50
tokenizer = mg.BPETokenizer.train(text, 300, progress=True)
ids = tokenizer.encode_array(text)
model = mg.GPT(mg.GPTConfig(300, block_size=8, n_layer=1, n_head=1, n_embd=8))
config = mg.TrainerConfig(max_steps=30, batch_size=4, eval_interval=10, checkpoint_dir="run")
mg.Trainer(model, ids[:400], ids[400:], config, callbacks=[Prints()]).fit()
evaluate(model, ids, progress=True)
sampler = mg.Sampler(model, tokenizer)
sampler.generate("to be", 20, temperature=0, progress=True)
sampler.generate("to be", 5, num_beams=2, progress=True)
mg.sampling.perplexity(model, ids, progress=True)
open("done", "w").close()
"""

SHELL = {
    "stderr is closed": "{python} work.py 2>&-",
    "stdout and stderr are closed": "{python} work.py >&- 2>&-",
    "stderr is full": "{python} work.py 2>/dev/full",
    "both are full": "{python} work.py >/dev/full 2>/dev/full",
    "a pipe is closed early": "{python} work.py 2>&1 >/dev/null | head -c 300",
    "a pipe is closed at once": "{python} work.py 2>&1 | true",
}


@pytest.mark.parametrize("how", SHELL)
def test_work_goes_on(tmp_path: Path, how: str) -> None:
    (tmp_path / "work.py").write_text(WORK)
    command = SHELL[how].format(python=sys.executable)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
    assert (tmp_path / "done").exists()
    assert (tmp_path / "run" / "step-00000030.npz").exists()
    if "|" not in command and "stdout" not in how and "both" not in how:
        assert process.returncode == 0
