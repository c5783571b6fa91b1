"""A published language model of today, SmolLM2-135M, against Transformers on the same file.

float32 logits of 30 layers are rounded: Transformers' own two ways to compute attention differ by
up to 1e-4 on the texts below, whose largest logits are 20 to 44. So they are compared to 1e-5 of
the largest one in float32, and to 1e-4 in float64, where what is left is Transformers' frequencies
of the rotary positions, which are always float32.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigpt import GPT, Sampler, load_tokenizer
from minigpt.datasets import load_text
from minigpt.interop import find_smollm2
from minigpt.sampling import perplexity

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
transformers = pytest.importorskip(
    "transformers", reason='transformers is not installed: pip install -e ".[parity]"'
)
pytest.importorskip("accelerate", reason='accelerate is missing: pip install -e ".[parity]"')

TEXTS = [
    "The capital of France is Paris, and the capital of Italy is",
    "Once upon a time there was a king who had three daughters, and the youngest of them",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "<|im_start|>user\nWhat is the capital of Italy?<|im_end|>\n<|im_start|>assistant\n",
    "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer",
    "E = mc^2 and \\int_0^1 x dx = 1/2; 17 + 25 = 42, and 3.14159 is",
    "你好,世界。春眠不觉晓,处处闻啼鸟。",
    "Le chat est assis sur la table, et il regarde par la fenêtre.",
    "import numpy as np\nx = np.arange(10)\nprint(x.sum())\n",
    "Water boils at 100 degrees Celsius at sea level. " * 12,
]
NEW = 100


@pytest.fixture(scope="module")
def path():
    try:
        return find_smollm2()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def ours(path):
    return GPT.from_pretrained(path, progress=False)


@pytest.fixture(scope="module")
def theirs(path):
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    return model.eval()


@pytest.fixture(scope="module")
def ids(path):
    tokenizer = load_tokenizer(path)
    return [np.array([tokenizer.encode(text, allowed_special="all")]) for text in TEXTS]


def their_logits(model, ids):
    with torch.inference_mode():
        return model(torch.from_numpy(ids)).logits.numpy()


def test_logits(ours, theirs, ids):
    for text, row in zip(TEXTS, ids, strict=True):
        expected = their_logits(theirs, row)
        largest = np.abs(expected).max()
        assert 15 < largest < 60
        off = np.abs(ours(row).data - expected).max()
        assert off < 1e-5 * largest, f"{off} of {largest}: {text!r}"


def test_greedy_continuations_of_100_tokens(ours, theirs, ids):
    """Of the beginnings of all ten texts at once, and of one whole text by itself."""
    theirs.generation_config.eos_token_id = None  # go on, whatever comes
    for prompts in (np.concatenate([row[:, :12] for row in ids]), ids[3]):
        given = torch.from_numpy(prompts)
        with torch.inference_mode():
            expected = theirs.generate(
                given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=NEW
            ).numpy()
        assert expected.shape == (len(prompts), prompts.shape[1] + NEW)
        found = Sampler(ours).generate_ids(prompts, NEW, temperature=0)
        np.testing.assert_array_equal(found, expected)


def test_float64(path, theirs, ids):
    exact = GPT.from_pretrained(path, progress=False).astype(np.float64)
    torch.nn.Module.double(theirs)
    try:
        for row in ids[:3]:
            found, expected = exact(row).data, their_logits(theirs, row)
            assert found.dtype == expected.dtype == np.float64
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    finally:
        torch.nn.Module.float(theirs)  # theirs.float() refuses what came from such a file


def test_perplexity(path, ours, theirs):
    text = np.array(load_tokenizer(path).encode(load_text("python-docs")[:4000]))
    assert 800 < len(text) < 2000
    log_p = torch.log_softmax(torch.from_numpy(their_logits(theirs, text[None, :-1])[0]), dim=-1)
    right = torch.from_numpy(text[1:, None])
    expected = float(torch.exp(-log_p.double().gather(1, right).mean()))
    assert 5 < expected < 50
    assert abs(perplexity(ours, text) - expected) < 1e-5 * expected


FIRST_TOKEN = {
    "minigpt": """
from minigpt import GPT, Sampler
model = GPT.from_pretrained(path, progress=False)
token = Sampler(model).generate_ids(ids, 1, temperature=0)[0, -1]
""",
    "Transformers": """
import torch, transformers
torch.set_num_threads(1)
model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
ids = torch.from_numpy(ids)
token = model.generate(ids, attention_mask=ids >= 0, max_new_tokens=1, do_sample=False)[0, -1]
""",
}
MEASURED = """
import json, re, sys, time
from pathlib import Path
import numpy as np
path, ids = Path(sys.argv[1]), np.array([json.loads(sys.argv[2])])
{}
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(json.dumps([int(token), time.process_time(), peak]))
"""


def test_the_first_token_takes_less_time_and_memory(path, ids):
    """From the start of the process: what is imported and read, and a prompt."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the most memory that a process has held is read as Linux tells it")
    found = {}
    for name, code in FIRST_TOKEN.items():
        command = [
            sys.executable,
            "-c",
            MEASURED.format(code),
            str(path),
            json.dumps(ids[3][0].tolist()),
        ]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: token {found[name][0]}, {found[name][1]:.1f} s, {found[name][2]:,} KiB")
    (token, seconds, peak), (their_token, their_seconds, their_peak) = found.values()
    assert token == their_token
    assert seconds < their_seconds and peak < their_peak
