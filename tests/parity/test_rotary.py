"""Rotary positions against Transformers': frequencies, scalings, and how they turn a vector."""

from __future__ import annotations

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor
from minigpt.nn import RotaryScaling

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
transformers = pytest.importorskip("transformers")

from transformers.models.llama import modeling_llama  # noqa: E402

SCALINGS = {
    "none": (None, {"rope_type": "default"}),
    "linear": (RotaryScaling("linear", 4.0), {"rope_type": "linear", "factor": 4.0}),
    "llama3": (
        RotaryScaling("llama3", 8.0, 1.0, 4.0, 256),
        {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
    ),
}  # fmt: skip


def transformers_rotary(d, base, scaling):
    sizes = {"hidden_size": 2 * d, "num_attention_heads": 2, "max_position_embeddings": 2048}
    parameters = {"rope_theta": base, **scaling}
    config = transformers.LlamaConfig(**sizes, rope_theta=base, rope_parameters=parameters)
    return modeling_llama.LlamaRotaryEmbedding(config)


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
@pytest.mark.parametrize("name", SCALINGS)
def test_queries_and_keys_are_turned_as_transformers_turns_them(name, base):
    ours, theirs = SCALINGS[name]
    d, positions = 16, np.array([[0, 1, 2, 100, 300, 1999], [7, 7, 0, 64, 1, 2]])
    rotary = transformers_rotary(d, base, theirs)
    np.testing.assert_allclose(
        rotary.inv_freq.numpy(), F.rotary_frequencies(d, base, ours), rtol=1e-6
    )
    q = np.random.default_rng(0).standard_normal((2, 3, 6, d)).astype(np.float32)
    cos, sin = rotary(torch.from_numpy(q), torch.from_numpy(positions))
    expected, _ = modeling_llama.apply_rotary_pos_emb(
        torch.from_numpy(q), torch.from_numpy(q), cos, sin
    )
    found = F.rotary(Tensor(q), positions[:, None], base, ours)
    # Their angles are in float32: at place 1999 they are rounded to 1e-4.
    np.testing.assert_allclose(found.data, expected.numpy(), atol=5e-4)
    np.testing.assert_allclose(found.data[1], expected.numpy()[1], atol=2e-5)


def test_the_gradient_is_turned_back_as_theirs_is():
    q = torch.randn(2, 3, 5, 8, requires_grad=True, generator=torch.Generator().manual_seed(0))
    cos, sin = transformers_rotary(8, 100.0, {"rope_type": "default"})(q, torch.arange(5)[None])
    theirs, _ = modeling_llama.apply_rotary_pos_emb(q, q, cos, sin)
    weights = torch.linspace(-1, 1, theirs.numel()).view(theirs.shape)
    (theirs * weights).sum().backward()
    x = Tensor(q.detach().numpy(), requires_grad=True)
    F.rotary(x, np.arange(5), 100.0).backward(weights.numpy())
    np.testing.assert_allclose(x.grad, q.grad.numpy(), atol=1e-6)
