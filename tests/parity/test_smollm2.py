"""A published language model of today, SmolLM2-135M, against Transformers on the same file.

float32 logits of 30 layers are rounded: Transformers' own two ways to compute attention differ by
up to 1e-4 on the texts below, whose largest logits are 20 to 44. So they are compared to 1e-5 of
the largest one in float32, and to 1e-4 in float64, where what is left is Transformers' frequencies
of the rotary positions, which are always float32.
"""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import GPT, Sampler, load_tokenizer
from minigpt.interop import find_smollm2

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
    sampler = Sampler(ours)
    for row in ids:
        given = torch.from_numpy(row)
        with torch.inference_mode():
            expected = theirs.generate(
                given, attention_mask=torch.ones_like(given), do_sample=False,
                max_new_tokens=NEW, min_new_tokens=NEW, pad_token_id=0,
            ).numpy()  # fmt: skip
        found = sampler.generate_ids(row, NEW, temperature=0)
        np.testing.assert_array_equal(found, expected)
