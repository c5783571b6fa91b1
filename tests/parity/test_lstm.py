"""The LSTM and the language model of it against ``torch.nn.LSTM``: values, gradients, 50 steps."""

from __future__ import annotations

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor
from minigpt.models import LSTMConfig, LSTMLanguageModel
from minigpt.optim import Adam

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

from tests.parity.reference_lstm import ReferenceLSTM  # noqa: E402 (it needs torch)

TOLERANCE = {"float32": 1e-5, "float64": 1e-11}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 9, 5, 7), (4, 33, 16, 24)])
def test_values_and_gradients_of_the_operation(sizes, dtype):
    b, t, n_in, n = sizes
    rng = np.random.default_rng(0)
    shapes = [(b, t, n_in), (n_in, 4 * n), (n, 4 * n), (4 * n,), (b, n), (b, n)]
    arrays = [rng.uniform(-1, 1, shape).astype(dtype) / np.sqrt(n) for shape in shapes]
    arrays = [a.astype(dtype) for a in arrays]
    x, *rest = (Tensor(a, requires_grad=True) for a in arrays)
    h, c = F.lstm(x, *rest)

    theirs = torch.nn.LSTM(n_in, n, batch_first=True).to(getattr(torch, dtype))
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.from_numpy(arrays[1].T.copy()))
        theirs.weight_hh_l0.copy_(torch.from_numpy(arrays[2].T.copy()))
        theirs.bias_ih_l0.copy_(torch.from_numpy(arrays[3]))
        theirs.bias_hh_l0.zero_()
    torch_x, h0, c0 = (torch.tensor(arrays[i], requires_grad=True) for i in (0, 4, 5))
    torch_h, (last_h, last_c) = theirs(torch_x, (h0[None], c0[None]))
    close = {"rtol": 0, "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(h.data, torch_h.detach().numpy(), **close)
    np.testing.assert_allclose(h.data[:, -1], last_h[0].detach().numpy(), **close)
    np.testing.assert_allclose(c.data, last_c[0].detach().numpy(), **close)

    v, w = (rng.standard_normal(a.shape).astype(dtype) for a in (h, c))
    ((h * Tensor(v)).sum() + (c * Tensor(w)).sum()).backward()
    ((torch_h * torch.from_numpy(v)).sum() + (last_c[0] * torch.from_numpy(w)).sum()).backward()
    expected = [
        torch_x.grad, theirs.weight_ih_l0.grad.T, theirs.weight_hh_l0.grad.T,
        theirs.bias_ih_l0.grad, h0.grad, c0.grad,
    ]  # fmt: skip
    for tensor, gradient in zip((x, *rest), expected, strict=True):
        scale = max(1.0, float(gradient.abs().max()))
        np.testing.assert_allclose(
            tensor.grad, gradient.numpy(), rtol=0, atol=TOLERANCE[dtype] * scale
        )


@pytest.mark.parametrize("n_layer", [1, 2, 3])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_loss_and_gradients_of_the_model_over_two_batches_with_carried_state(n_layer, dtype):
    ours = LSTMLanguageModel(LSTMConfig(13, n_embd=8, n_hidden=12, n_layer=n_layer), seed=1)
    ours.astype(np.dtype(dtype))
    theirs = ReferenceLSTM.like(ours)
    rng = np.random.default_rng(0)
    state, torch_state = ours.new_state(4), None
    for _ in range(2):
        ids, targets = rng.integers(0, 13, (2, 4, 11))
        targets[0, :3] = -1
        ours.zero_grad()
        theirs.zero_grad()
        loss = ours.loss(ids, targets, state)
        loss.backward()
        expected, torch_state = theirs.loss(
            torch.from_numpy(ids), torch.from_numpy(targets), torch_state
        )
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
        h, c = (s.numpy().swapaxes(0, 1) for s in torch_state)  # (n_layer, B, H) -> (B, …)
        np.testing.assert_allclose(state[:, :, 0], h, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(state[:, :, 1], c, atol=TOLERANCE[dtype])
        gradients = theirs.gradients()
        assert gradients.keys() == dict(ours.named_parameters()).keys()
        for name, p in ours.named_parameters():
            np.testing.assert_allclose(
                p.grad, gradients[name], rtol=0, atol=TOLERANCE[dtype], err_msg=name
            )


def test_50_steps_of_adam_from_the_same_weights():
    ours = LSTMLanguageModel(LSTMConfig(13, n_embd=8, n_hidden=16, n_layer=2), seed=1)
    theirs = ReferenceLSTM.like(ours)
    optimizer = Adam(ours.parameters(), lr=1e-2, betas=(0.9, 0.99))
    learned = [p for p in theirs.parameters() if p.requires_grad]
    reference = torch.optim.Adam(learned, lr=1e-2, betas=(0.9, 0.99))
    text = np.cumsum(np.random.default_rng(0).integers(1, 3, 4 * 50 * 8 + 1)) % 13
    rows = text[:-1].reshape(4, -1), text[1:].reshape(4, -1)
    state, torch_state, losses, expected_losses = ours.new_state(4), None, [], []
    for step in range(50):
        ids, targets = (array[:, 8 * step : 8 * step + 8] for array in rows)
        loss = ours.loss(ids, targets, state)
        ours.zero_grad()
        loss.backward()
        optimizer.step()
        expected, torch_state = theirs.loss(
            torch.from_numpy(ids.copy()), torch.from_numpy(targets.copy()), torch_state
        )
        theirs.zero_grad()
        expected.backward()
        reference.step()
        losses.append(loss.item())
        expected_losses.append(expected.item())
    np.testing.assert_allclose(losses, expected_losses, atol=1e-3)
    assert losses[-1] < losses[0] - 1  # it learned something
