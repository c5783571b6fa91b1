"""A classifier on a GPT against Transformers', and LoRA against the same equation in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import GPT, GPTConfig, Tensor
from minigpt.models import TextClassifier
from minigpt.nn import Linear, LoRALinear

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
transformers = pytest.importorskip(
    "transformers", reason='transformers is not installed: pip install -e ".[parity]"'
)


def test_logits_loss_and_gradient_of_gpt2_for_sequence_classification(tmp_path):
    gpt = GPT(GPTConfig(17, 12, n_layer=2, n_head=2, n_embd=16, init_std=0.2), seed=0)
    gpt.save_pretrained(tmp_path)
    ours = TextClassifier.from_model(gpt, n_classes=4, seed=1)
    theirs = transformers.GPT2ForSequenceClassification.from_pretrained(tmp_path, num_labels=4)
    theirs.config.pad_token_id = 16
    theirs.eval()
    with torch.no_grad():  # theirs has no bias, ours begins with 0
        theirs.score.weight.copy_(torch.from_numpy(ours.head.weight.data.T.copy()))
    rng = np.random.default_rng(0)
    mask = np.arange(10) < np.array([[10], [4], [7], [1]])
    ids = np.where(mask, rng.integers(0, 16, (4, 10)), 16)
    labels = np.array([2, 0, 3, 3])

    expected = theirs(
        torch.from_numpy(ids),
        attention_mask=torch.from_numpy(mask.astype(np.int64)),
        labels=torch.from_numpy(labels),
    )
    expected.loss.backward()
    np.testing.assert_allclose(ours(ids, mask).data, expected.logits.detach().numpy(), atol=1e-5)
    loss = ours.loss(ids, labels, mask)
    loss.backward()
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    np.testing.assert_allclose(ours.head.weight.grad, theirs.score.weight.grad.numpy().T, atol=1e-5)
    np.testing.assert_allclose(
        ours.backbone.token_embedding.weight.grad,
        theirs.transformer.wte.weight.grad.numpy(),
        atol=1e-5,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_values_and_gradients_of_lora(dtype, tolerance):
    rng = np.random.default_rng(0)
    layer = LoRALinear(Linear(6, 5, seed=0).astype(np.dtype(dtype)), rank=3, alpha=12, seed=1)
    layer.lora_b.data[...] = rng.standard_normal((3, 5))
    x = Tensor(rng.standard_normal((2, 4, 6)).astype(dtype), requires_grad=True)
    parameters = [x, layer.weight, layer.bias, layer.lora_a, layer.lora_b]
    tx, w, b, a, bb = (torch.tensor(p.data, requires_grad=True) for p in parameters)
    expected = torch.nn.functional.linear(tx, (w + 12 / 3 * (a @ bb)).T, b)  # as it is merged
    y = layer(x)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=tolerance)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    for ours, theirs in zip(parameters, (tx, w, b, a, bb), strict=True):
        scale = float(theirs.grad.abs().max())
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=0, atol=tolerance * scale)
