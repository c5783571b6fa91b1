"""Muon: the fast form against the plain one, what it moves and how far, and its errors."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt import nn
from minigpt.models import (
    GPT,
    ClassifierConfig,
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    GPTConfig,
    LSTMConfig,
    LSTMLanguageModel,
    Seq2SeqConfig,
    TextClassifier,
)
from minigpt.nn import Embedding, Parameter
from minigpt.optim import AdamW, Muon, plain
from minigpt.optim.muon import orthogonalised

SHAPES = st.sampled_from([(1, 1), (1, 6), (6, 1), (5, 5), (7, 12), (12, 7), (3, 0), (40, 64)])
DTYPES = st.sampled_from([np.float32, np.float64])
SCALES = st.sampled_from(["original", "match_rms_adamw"])
SEEDS = st.integers(0, 2**16)


def moved(values, gradients, parts=(), name="blocks.0.mlp.up_proj.weight", **options):
    """The values of a hidden matrix after a step for each of the gradients, and the optimizer."""
    p = Parameter(values.copy(), parts)
    optimizer = Muon([(name, p)], **options)
    for gradient in gradients:
        p.grad = gradient
        optimizer.step()
    return p.data, optimizer


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# ── the equation ──────────────────────────────────────────────────────────────────────────────


@given(
    SHAPES, DTYPES, st.floats(1e-4, 0.5), st.floats(0, 0.99), st.booleans(), st.floats(0, 0.5),
    st.integers(1, 7), SCALES, SEEDS,
)  # fmt: skip
@settings(deadline=None)
def test_muon_is_its_equation(shape, dtype, lr, mu, nesterov, decay, steps, scale, seed):
    rng = np.random.default_rng(seed)
    p = Parameter(rng.standard_normal(shape).astype(dtype))
    options = {"nesterov": nesterov, "ns_steps": steps, "adjust_lr_fn": scale}
    optimizer = Muon([("w", p)], lr, decay, mu, **options)
    for _ in range(3):
        p.grad = rng.standard_normal(shape).astype(dtype)
        before = optimizer.state_dict()["momentum.w"]
        w, m = plain.muon(
            p.data, p.grad, before, lr=lr, momentum=mu, weight_decay=decay, **options
        )  # fmt: skip
        optimizer.step()
        assert p.data.dtype == dtype
        # Each of the 5 products rounds, and p(σ) is as steep as a = 3.4 at most.
        rounding = 2000 * np.finfo(dtype).eps
        np.testing.assert_allclose(p.data, w, rtol=rounding, atol=rounding)
        np.testing.assert_allclose(
            optimizer.state_dict()["momentum.w"], m, rtol=rounding, atol=rounding
        )


def test_newton_schulz_moves_the_singular_values_and_leaves_the_directions(rng):
    a, b, c = plain.NEWTON_SCHULZ
    x = rng.standard_normal((5, 9))
    x /= np.linalg.norm(x)
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    np.testing.assert_allclose(plain.newton_schulz(x), u * s @ vt, atol=1e-12)


@given(st.integers(1, 30), st.integers(1, 30), SEEDS)
@settings(deadline=None)
def test_the_step_is_about_orthogonal(n_in, n_out, seed):
    n = normal(n_in, n_out, seed=seed)
    had = np.linalg.svd(n, compute_uv=False)
    got = np.linalg.svd(orthogonalised(n, plain.NEWTON_SCHULZ, 5, 1e-7), compute_uv=False)
    assert got.max() < 1.21
    counted = had > 0.02 * np.linalg.norm(n)
    assert got[: counted.sum()].min() > 0.66


@pytest.mark.parametrize("shape", [(16, 80), (80, 16), (24, 30)])
@pytest.mark.parametrize("least", [1e-2, 1e-7, 0.0])
@pytest.mark.parametrize("steps", [5, 12])
def test_float32_is_enough_whatever_the_singular_values_are(shape, least, steps):
    """Directions that hold less than rounding hold nothing that could be right or wrong."""
    u, s, vt = np.linalg.svd(normal(*shape), full_matrices=False)
    s = np.geomspace(1, least, len(s)) if least else np.arange(len(s)) < 4
    n = u * s @ vt
    n /= np.linalg.norm(n)
    fast = orthogonalised(n.astype(np.float32), plain.NEWTON_SCHULZ, steps, 1e-7)
    u, s, vt = np.linalg.svd(n, full_matrices=False)
    kept = s > 1e-5
    there = u[:, kept] @ u[:, kept].T
    expected = plain.newton_schulz(n, steps=steps)
    assert np.isfinite(fast).all() and np.linalg.norm(fast, 2) < 1.3
    np.testing.assert_allclose(there @ fast, there @ expected, atol=5e-3)


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
def test_the_step_is_as_long_whatever_the_gradient_is(factor):
    g = normal(6, 9, dtype=np.float32)
    start = np.zeros_like(g)
    usual, _ = moved(start, [g], lr=1.0, eps=1e-40)
    scaled, _ = moved(start, [g * np.float32(factor)], lr=1.0, eps=1e-40)
    np.testing.assert_allclose(scaled, usual, atol=1e-3 if factor < 1e-20 else 1e-5)


def test_no_gradient_signal_only_decays_and_a_tiny_one_is_not_blown_up():
    zero, tiny = np.zeros((3, 4)), np.full((3, 4), 1e-12)
    w, _ = moved(np.ones((3, 4)), [zero, zero], lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(w, 0.95**2, rtol=1e-15)
    w, _ = moved(zero, [tiny], lr=0.1)  # ‖N‖ is below ε
    assert 0 < np.abs(w).max() < 0.01


def test_both_scales():
    g = normal(16, 64)
    for shape in ((16, 64), (64, 16)):
        w, _ = moved(np.zeros(shape), [g.reshape(shape)], lr=0.1)
        longest = np.linalg.norm(w, 2) / 0.1
        assert 0.9 < longest / (2 if shape == (16, 64) else 1) < 1.14  # √max(1, n_out/n_in)
        w, _ = moved(np.zeros(shape), [g.reshape(shape)], lr=0.1, adjust_lr_fn="match_rms_adamw")
        assert np.sqrt(np.mean(w**2)) / 0.1 == pytest.approx(0.2, rel=0.15)


# ── matrices side by side ─────────────────────────────────────────────────────────────────────


def test_matrices_side_by_side_move_as_they_would_apart():
    widths = (8, 4, 4)  # Q, and K and V of half as many heads
    start, steps = normal(6, 16), [normal(6, 16, seed=seed) for seed in (1, 2)]
    together, _ = moved(start, steps, widths, lr=0.1)
    cuts = np.cumsum(widths)[:-1]
    apart = [
        moved(w, gradients, lr=0.1)[0]
        for w, *gradients in zip(*(np.hsplit(x, cuts) for x in (start, *steps)), strict=True)
    ]
    np.testing.assert_allclose(together, np.hstack(apart), atol=1e-14)
    as_one, _ = moved(start, steps, lr=0.1)
    assert np.abs(together - as_one).max() > 0.01


def test_modules_say_what_stands_side_by_side_in_their_matrices():
    sizes = nn.BlockConfig(n_embd=8, n_head=2)
    assert nn.CausalSelfAttention(sizes, seed=0).qkv_proj.weight.parts == (8, 8, 8)
    assert nn.CausalSelfAttention(sizes, seed=0).out_proj.weight.parts == ()
    assert nn.CrossAttention(sizes, seed=0).kv_proj.weight.parts == (8, 8)
    assert (
        nn.LSTM(3, 5, seed=0).weight_hh.parts == nn.LSTM(3, 5, seed=0).weight_ih.parts == 4 * (5,)
    )

    model = GPT(GPTConfig(vocab_size=9, block_size=4, n_layer=1, n_head=2, n_embd=8))
    nn.add_lora(model, rank=2)
    adapted = copy.deepcopy(model).astype(np.float64)
    adapted.load_state_dict({n: a.astype(np.float64) for n, a in model.state_dict().items()})
    layer = adapted.blocks[0].attention.qkv_proj
    assert (layer.lora_a.parts, layer.lora_b.parts) == ((), (8, 8, 8))
    nn.merge_lora(adapted)
    assert adapted.blocks[0].attention.qkv_proj.weight.parts == (8, 8, 8)


def test_parts_must_add_up():
    with pytest.raises(ValueError, match=r"parts must be widths that add up to that of a matrix"):
        Parameter(np.ones((2, 6)), (2, 2))
    with pytest.raises(ValueError, match=r"of a matrix of shape \(6,\): got \(2, 4\)"):
        Parameter(np.ones(6), (2, 4))


# ── who takes which step ──────────────────────────────────────────────────────────────────────


def hidden(optimizer):
    return [slot.name for slot in optimizer.slots if "momentum" in slot.arrays]


def test_of_every_model_the_hidden_matrices_are_muons():
    sizes = {"vocab_size": 9, "block_size": 4, "n_layer": 1, "n_head": 2, "n_embd": 8}
    block = ["attention.qkv_proj", "attention.out_proj", "mlp.up_proj", "mlp.down_proj"]
    lstm = LSTMLanguageModel(LSTMConfig(vocab_size=9, n_embd=8, n_hidden=6))
    of = {
        GPT(GPTConfig(**sizes, tie_head=False)): [f"blocks.0.{name}.weight" for name in block],
        Encoder(EncoderConfig(**sizes)): [f"stack.blocks.0.{name}.weight" for name in block],
        TextClassifier(ClassifierConfig(GPTConfig(**sizes), n_classes=2)): [
            f"backbone.blocks.0.{name}.weight" for name in block
        ],
        lstm: [name for name, _ in lstm.named_parameters() if "weight_" in name],
    }
    for model, names in of.items():
        assert names and hidden(Muon(model.named_parameters())) == names
    seq2seq = EncoderDecoder(Seq2SeqConfig(9, 7, 4, 4, n_layer=1, n_head=2, n_embd=8))
    outside = {n for n, p in seq2seq.named_parameters() if p.ndim == 2}
    outside -= set(hidden(Muon(seq2seq.named_parameters())))
    assert outside and all("embedding" in name for name in outside)


@pytest.mark.parametrize("name", ["lm_head.weight", "wte.embed_tokens.weight", "head.lora_a"])
def test_embeddings_and_heads_by_other_names_are_not_hidden(name):
    pairs = [("w", Parameter(np.ones((2, 2)))), (name, Parameter(np.ones((2, 2))))]
    assert hidden(Muon(pairs)) == ["w"]


def test_an_embedding_is_known_whatever_it_is_called():
    pairs = [("w", Parameter(np.ones((2, 2)))), ("table.weight", Embedding(3, 2, seed=0).weight)]
    assert hidden(Muon(pairs)) == ["w"]


def test_all_else_takes_adamws_step_bit_for_bit():
    values = {
        "token_embedding.weight": normal(5, 4),
        "norm.weight": normal(4),
        "table": normal(2, 3, 2),
    }
    ours, theirs = ({n: Parameter(v.copy()) for n, v in values.items()} for _ in range(2))
    matrix = Parameter(np.ones((4, 4)))
    named = [*ours.items(), ("w", matrix)]
    muon = Muon(named, 0.125, 0.3, adamw_lr=0.25, adamw_betas=(0.8, 0.9))
    adamw = AdamW(theirs.items(), 0.25, (0.8, 0.9), weight_decay=0.3)
    for step in range(3):
        muon.lr, adamw.lr = 0.125 / (step + 1), 0.25 / (step + 1)
        for index, name in enumerate(values):
            ours[name].grad = theirs[name].grad = normal(*values[name].shape, seed=9 * step + index)
        muon.step()
        adamw.step()
    for name in values:
        np.testing.assert_array_equal(ours[name].data, theirs[name].data)
    assert (matrix.data == 1).all()  # it had no gradient


def test_adamws_learning_rate():
    def rates(groups, **options):
        optimizer = Muon(groups, **options)
        optimizer.lr *= 0.5
        return {slot.name: optimizer.lr * slot.lr_scale for slot in optimizer.slots}

    w, b, e = ((name, Parameter(np.ones((2, 2)))) for name in ("w", "head", "embedding"))
    pairs = [w, b]
    assert rates(pairs, lr=0.02) == pytest.approx({"w": 0.01, "head": 1.5e-4})
    assert rates(pairs, lr=0.02, adamw_lr=0.1) == pytest.approx({"w": 0.01, "head": 0.05})
    assert rates(pairs, lr=0.02, adjust_lr_fn="match_rms_adamw") == {"w": 0.01, "head": 0.01}
    groups = [{"params": [w]}, {"params": [b], "lr_scale": 2}, {"params": [e], "lr": 0.1}]
    assert rates(groups, lr=0.02, adamw_lr=0.01) == pytest.approx(
        {"w": 0.01, "head": 0.01, "embedding": 0.05}
    )


def test_a_group_may_say_what_is_hidden():
    w, e = Parameter(np.ones((2, 2))), Parameter(np.ones((2, 2)))
    groups = [{"params": [w], "hidden": True}, {"params": [e], "hidden": False}]
    assert hidden(Muon(groups)) == ["0"]
    groups = [
        {"params": [("embedding", w)], "hidden": True},
        {"params": [("w", e)], "hidden": False},
    ]
    assert hidden(Muon(groups)) == ["embedding"]


# ── what all optimizers must do ───────────────────────────────────────────────────────────────


def test_gradients_stay_and_parameters_are_changed_in_place_in_any_layout():
    values, g = normal(5, 3), normal(5, 3, seed=1)
    usual, transposed = Parameter(values.copy()), Parameter(values.copy())
    transposed.data = np.asfortranarray(values)
    usual.grad, transposed.grad = g.copy(), np.asfortranarray(g)
    data = usual.data
    for p in (usual, transposed):
        optimizer = Muon([("w", p)], lr=0.1)
        optimizer.step()
        optimizer.step()
    np.testing.assert_array_equal(usual.grad, g)
    assert usual.data is data
    np.testing.assert_array_equal(usual.data, transposed.data)


def test_a_shared_step_is_the_same_step():
    def parameters():
        rng = np.random.default_rng(0)
        shapes = {"a": (30, 50), "b": (50, 30), "embedding": (7, 3), "bias": (9,), "c": (30, 50)}
        made = {n: Parameter(rng.standard_normal(s, np.float32)) for n, s in shapes.items()}
        for p in made.values():
            p.grad = rng.standard_normal(p.shape, np.float32)
        return made

    alone, shared = parameters(), parameters()
    one, other = Muon(alone.items(), lr=0.1), Muon(shared.items(), lr=0.1)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            one.step()
            other.step(lambda function, items: list(pool.map(function, items)))
    for key, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[key])
    for name, p in alone.items():
        np.testing.assert_array_equal(p.data, shared[name].data)


def test_it_minimises(rng):
    x, w = rng.standard_normal((64, 6)), rng.standard_normal((6, 4))
    p = Parameter(np.zeros((6, 4)))
    optimizer = Muon([("w", p)], lr=0.1, weight_decay=0)
    for step in range(200):
        optimizer.lr = 0.1 * (1 - step / 200) + 1e-9
        p.grad = x.T @ (x @ p.data - x @ w) / 64
        optimizer.step()
    np.testing.assert_allclose(p.data, w, atol=0.01)


def test_the_repr_says_who_moves_what():
    pairs = [("w", Parameter(np.ones((2, 2)))), ("b", Parameter(np.ones(2)))]
    assert repr(Muon(pairs)) == (
        "Muon(lr=0.02, momentum=0.95, nesterov=True, adjust_lr_fn=original, hidden=1, "
        "adamw_lr=0.0003, weight_decay=0.1: 2 parameters, 1 of them decayed, 6 numbers)"
    )


def one(shape=(2, 2), name="w"):
    return [(name, Parameter(np.ones(shape)))]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Muon(one(), momentum=1), ValueError, "momentum must be a number of at least 0 an"),
        (lambda: Muon(one(), nesterov=1), TypeError, "nesterov must be True or False: got 1"),
        (lambda: Muon(one(), ns_coefficients=(1, 2)), TypeError, "ns_coefficients must be three"),
        (lambda: Muon(one(), ns_coefficients=(1, 2, "x")), TypeError, r"ns_coefficients\[2\] must"),
        (lambda: Muon(one(), eps=0), ValueError, "eps must be a number above 0: got 0"),
        (lambda: Muon(one(), ns_steps=0), ValueError, "ns_steps must be an integer from 1 to 99"),
        (
            lambda: Muon(one(), adjust_lr_fn="adam"),
            ValueError,
            r'adjust_lr_fn must be "original" \(√max.* or "match_rms_adamw" \(0\.2',
        ),
        (lambda: Muon(one(), lr=0), ValueError, "lr must be a number above 0: got 0; AdamW's"),
        (lambda: Muon(one(), adamw_lr=-1), ValueError, "adamw_lr must be a number of at least 0"),
        (lambda: Muon(one(), adamw_betas=(1, 0)), ValueError, r"betas\[0\] must be a number"),
        (lambda: Muon([p for _, p in one()]), ValueError, "a matrix without a name, number 0"),
        (lambda: Muon(one((3,))), ValueError, "params must be parameters with a hidden matrix am"),
        (lambda: Muon(one(name="token_embedding")), ValueError, "AdamW is the optimizer"),
        (
            lambda: Muon([{"params": one((3,)), "hidden": True}]),
            ValueError,
            "the parameter 'w' must be an array of two dimensions: got .* holds matrices only",
        ),
        (lambda: Muon([{"params": one(), "hidden": 1}]), TypeError, "hidden must be True or False"),
        (lambda: AdamW([{"params": one(), "hidden": True}]), ValueError, "a key must be"),
    ],
)
def test_errors_name_what_is_wrong(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_state_of_adamw_is_refused():
    pairs = one()
    with pytest.raises(ValueError, match="does not fit this Muon") as caught:
        Muon(pairs).load_state_dict(AdamW(pairs).state_dict())
    assert "momentum.w: missing" in str(caught.value)
