"""The GPT against a PyTorch model of the same architecture: logits, gradients, 100 steps."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import GPT, GPTConfig
from minigpt.optim import AdamW, clip_grad_norm, warmup_cosine

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

from tests.parity.reference_gpt import (  # noqa: E402 (it needs torch)
    ReferenceGPT,
    reference_adamw,
    reference_learning_rate,
)

SIZES = {"vocab_size": 65, "block_size": 48, "n_layer": 3, "n_head": 4, "n_embd": 64}
BATCH_SIZE = 10
GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-8}
KINDS = {
    "GPT-2": {},
    "no bias": {"bias": False},
    "untied head": {"tie_head": False},
    "exact gelu": {"activation": "gelu_erf"},
    "relu": {"activation": "relu"},
}


def pair(dtype="float32", **kind):
    """A GPT and its reference, with the same initial weights."""
    ours = GPT(GPTConfig(**SIZES, **kind), seed=1).astype(np.dtype(dtype))
    theirs = ReferenceGPT(**SIZES, **kind).to(getattr(torch, dtype)).load(ours.state_dict())
    return ours, theirs


@pytest.fixture
def tokens(request):
    """Shakespeare as the numbers of its 65 characters; where it is not there, random numbers."""
    try:
        text = request.getfixturevalue("shakespeare_text")
    except pytest.skip.Exception:
        often_small = np.random.default_rng(0).geometric(0.2, 100_000)
        return np.minimum(often_small, 65) - 1
    ids = {character: i for i, character in enumerate(sorted(set(text)))}
    return np.array([ids[character] for character in text[:100_000]])


def batches(tokens, count):
    rng = np.random.default_rng(2)
    for _ in range(count):
        starts = rng.integers(0, len(tokens) - SIZES["block_size"], BATCH_SIZE)
        rows = tokens[starts[:, None] + np.arange(SIZES["block_size"] + 1)]
        yield rows[:, :-1], rows[:, 1:]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("dtype", GRADIENT_TOLERANCE)
def test_logits_loss_and_first_gradients(kind, dtype, tokens):
    ours, theirs = pair(dtype, **kind)
    ((ids, targets),) = batches(tokens, 1)
    targets = np.where(np.random.default_rng(3).random(targets.shape) < 0.1, -1, targets)
    torch_ids, torch_targets = torch.from_numpy(ids), torch.from_numpy(targets)

    digits = {"rtol": 0, "atol": 1e-5 if dtype == "float32" else 1e-12}
    np.testing.assert_allclose(ours(ids).data, theirs(torch_ids).detach().numpy(), **digits)

    loss, expected_loss = ours.loss(ids, targets), theirs.loss(torch_ids, torch_targets)
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-6)
    loss.backward()
    expected_loss.backward()
    expected = theirs.gradients()
    assert expected.keys() == dict(ours.named_parameters()).keys()
    for name, p in ours.named_parameters():
        # Relative to the parameter's largest gradient: that of a key's bias, which moves all scores
        # of a row alike, is 0 but for rounding, and lies beside those of queries and values.
        error = np.abs(p.grad - expected[name]).max() / np.abs(expected[name]).max()
        assert error < GRADIENT_TOLERANCE[dtype], f"{name}: {error:.1e}"


def test_100_steps_from_the_same_weights_on_the_same_batches(tokens):
    ours, theirs = pair()
    schedule = {"warmup_steps": 10, "max_steps": 100}
    optimizer = AdamW(ours.parameters(), betas=(0.9, 0.99), weight_decay=0.1)
    reference = reference_adamw(theirs, weight_decay=0.1, betas=(0.9, 0.99))
    losses, expected_losses = [], []
    for step, (ids, targets) in enumerate(batches(tokens, 100)):
        loss = ours.loss(ids, targets)
        optimizer.zero_grad()
        loss.backward()
        norm = clip_grad_norm(ours.parameters(), 1.0)
        optimizer.lr = warmup_cosine(step, 1e-3, 1e-4, **schedule)
        optimizer.step()

        expected_loss = theirs.loss(torch.from_numpy(ids), torch.from_numpy(targets))
        reference.zero_grad()
        expected_loss.backward()
        expected_norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0).item()
        for group in reference.param_groups:
            group["lr"] = reference_learning_rate(step, 1e-3, 1e-4, **schedule)
        reference.step()

        losses.append(loss.item())
        expected_losses.append(expected_loss.item())
        assert norm == pytest.approx(expected_norm, rel=1e-2)
    differences = np.abs(np.subtract(losses, expected_losses))
    assert differences.max() < 1e-3, f"step {differences.argmax()}: {differences.max():.1e}"
    assert losses[-1] < losses[0] - 0.5  # it learned something
    for name, array in theirs.arrays().items():
        np.testing.assert_allclose(ours.state_dict()[name], array, atol=5e-3, err_msg=name)
