"""The optimizers against torch.optim: the same gradients, the same parameters after 50 steps."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt.nn import Parameter
from minigpt.optim import SGD, Adam, AdamW, Muon, clip_grad_norm

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

SHAPES = [(7, 5), (5,), (3, 4, 2), ()]
STEPS = 50
TOLERANCE = {"float64": {"rtol": 1e-12, "atol": 1e-12}, "float32": {"rtol": 1e-5, "atol": 1e-6}}
either_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def pairs_of_parameters(dtype, rng):
    values = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    ours = [Parameter(value.copy()) for value in values]
    return ours, [torch.nn.Parameter(torch.tensor(value)) for value in values]


def set_gradients(ours, theirs, rng, dtype, skip=()):
    for index, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        p.grad = None if index in skip else rng.standard_normal(p.shape).astype(dtype)
        q.grad = None if index in skip else torch.tensor(p.grad)


def assert_same_after_50_steps(make_ours, make_theirs, dtype, rng):
    ours, theirs = pairs_of_parameters(dtype, rng)
    mine, torchs = make_ours(ours), make_theirs(theirs)
    for step in range(STEPS):
        lr = 0.01 * (1 - step / STEPS)
        mine.lr = lr
        for group in torchs.param_groups:
            group["lr"] = lr
        # One parameter has a gradient at every third step only: its bias correction lags behind.
        set_gradients(ours, theirs, rng, dtype, skip=() if step % 3 == 0 else (1,))
        mine.step()
        torchs.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), **TOLERANCE[dtype])


@either_dtype
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "weight_decay": 0.1},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
    ],
)
def test_sgd(dtype, settings, rng):
    assert_same_after_50_steps(
        lambda params: SGD(params, lr=0.01, **settings),
        lambda params: torch.optim.SGD(params, lr=0.01, **settings),
        dtype,
        rng,
    )


@either_dtype
@pytest.mark.parametrize(
    "settings", [{}, {"betas": (0.9, 0.99), "eps": 1e-6}, {"weight_decay": 0.1}]
)
def test_adam(dtype, settings, rng):
    assert_same_after_50_steps(
        lambda params: Adam(params, **settings),
        lambda params: torch.optim.Adam(params, **settings),
        dtype,
        rng,
    )


@either_dtype
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.9, 0.99), (0.0, 0.5)])
def test_adamw_with_nanogpts_groups(dtype, betas, rng):
    def torchs(params):
        matrices = [p for p in params if p.dim() >= 2]
        vectors = [p for p in params if p.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": 0.1},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, betas=betas)

    assert_same_after_50_steps(
        lambda params: AdamW(params, betas=betas, weight_decay=0.1), torchs, dtype, rng
    )


@either_dtype
def test_adamw_with_one_group_decays_everything_as_torch_does(dtype, rng):
    assert_same_after_50_steps(
        lambda params: AdamW([{"params": params, "weight_decay": 0.1}]),
        lambda params: torch.optim.AdamW(params, weight_decay=0.1),
        dtype,
        rng,
    )


MUON_SHAPES = [(7, 5), (5, 7), (6, 6), (3, 12)]  # (n_in, n_out), which torch has the other way
MUON_SETTINGS = [
    {},
    {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
    {"nesterov": False, "momentum": 0.5, "weight_decay": 0.3},
    {"ns_steps": 3, "ns_coefficients": (3.0, -3.2, 1.2), "eps": 0.1, "adjust_lr_fn": "original"},
]


def after_muons_steps(settings, dtype, rng, steps):
    """The matrices that our Muon and torch's have after the same gradients."""
    values = [rng.standard_normal(shape).astype(dtype) for shape in MUON_SHAPES]
    ours = [Parameter(value.copy()) for value in values]
    theirs = [torch.nn.Parameter(torch.tensor(value.T.copy())) for value in values]
    mine = Muon([{"params": ours, "hidden": True}], lr=0.02, **settings)
    torchs = torch.optim.Muon(theirs, lr=0.02, **settings)
    for step in range(steps):
        mine.lr = torchs.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        for p, q in zip(ours, theirs, strict=True):
            p.grad = rng.standard_normal(p.shape).astype(dtype)
            q.grad = torch.tensor(p.grad.T.copy())
        mine.step()
        torchs.step()
    return [p.data for p in ours], [q.detach().numpy().T for q in theirs], values


@either_dtype
@pytest.mark.parametrize("settings", MUON_SETTINGS)
def test_muon(dtype, settings, rng, monkeypatch):
    """torch multiplies in bfloat16; kept from that, its numbers are ours."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    ours, theirs, _ = after_muons_steps(settings, dtype, rng, STEPS)
    tolerance = {"float64": 1e-12, "float32": 1e-4}[dtype]
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("settings", MUON_SETTINGS)
def test_muon_as_torch_rounds_it(settings, rng):
    """A step in bfloat16, of 8 bits, is the same to some hundredths."""
    for p, q, start in zip(*after_muons_steps(settings, "float32", rng, 1), strict=True):
        mine, torchs = p - start, q - start
        assert np.linalg.norm(mine - torchs) < 0.1 * np.linalg.norm(torchs)


def test_muons_defaults_are_torchs_but_for_the_learning_rate():
    import inspect

    def defaults(cls):
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    theirs, ours = defaults(torch.optim.Muon), defaults(Muon)
    assert theirs.pop("adjust_lr_fn") is None  # which stands for "original"
    assert ours["adjust_lr_fn"] == "original"
    assert {**theirs, "lr": 0.02} == {name: ours[name] for name in theirs}


@either_dtype
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_clip_grad_norm(dtype, max_norm, rng):
    ours, theirs = pairs_of_parameters(dtype, rng)
    set_gradients(ours, theirs, rng, dtype, skip=(1,))
    norm = clip_grad_norm(ours, max_norm)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm).item()
    assert norm == pytest.approx(expected, rel=1e-6 if dtype == "float32" else 1e-14)
    for p, q in zip(ours, theirs, strict=True):
        if q.grad is not None:  # torch divides by ‖g‖ + 1e-6
            np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-6)
