"""The GPT: initial weights, causality, loss, gradients, learning, looking inside, errors."""

from __future__ import annotations

import copy
import dataclasses
import math
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import GPT, GPTConfig, gradcheck, no_grad
from minigpt.autograd import gradients
from minigpt.models import build_model

# ── initial weights ───────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def initial_weights():
    config = GPTConfig(300, 100, n_layer=8, n_head=2, n_embd=64, tie_head=False)
    return GPT(config, seed=0).state_dict()


def test_weights_start_as_gpt2s(initial_weights):
    for name, array in initial_weights.items():
        if name.endswith("bias"):
            assert not array.any(), name
        elif "norm" in name:
            assert (array == 1).all(), name
        else:
            residual = name.endswith(("out_proj.weight", "down_proj.weight"))
            std = 0.02 / math.sqrt(2 * 8) if residual else 0.02
            assert array.std() == pytest.approx(std, rel=0.05), name
            assert array.mean() == pytest.approx(0, abs=4 * std / math.sqrt(array.size)), name
        assert array.dtype == np.float32


def test_no_two_weights_start_the_same(initial_weights):
    drawn = [array for array in initial_weights.values() if array.std() > 0]
    assert len({array.flat[0] for array in drawn}) == len(drawn)


def test_the_first_loss_is_that_of_a_guess(make_gpt, ids):
    model = make_gpt(init_std=0.02)
    assert model.loss(ids, (ids + 5) % 13).item() == pytest.approx(math.log(13), abs=0.05)


def test_the_same_seed_gives_the_same_bits(make_gpt, ids):
    models = [make_gpt(seed) for seed in (1, 1, np.random.default_rng(1), 2)]
    for name, array in models[0].state_dict().items():
        np.testing.assert_array_equal(array, models[1].state_dict()[name])
        np.testing.assert_array_equal(array, models[2].state_dict()[name])
    np.testing.assert_array_equal(models[0](ids).data, models[1](ids).data)
    assert (models[0](ids).data != models[3](ids).data).any()


# ── logits ────────────────────────────────────────────────────────────────────────────────────


def test_a_later_token_changes_nothing_before_it(any_gpt, ids):
    before = any_gpt(ids).data
    for t in range(1, ids.shape[1]):
        changed = ids.copy()
        changed[:, t:] = (changed[:, t:] + 1) % 13
        after = any_gpt(changed).data
        np.testing.assert_allclose(after[:, :t], before[:, :t], atol=1e-6, rtol=0)
        assert (after[:, t:] != before[:, t:]).any(axis=-1).all()


def test_a_shorter_text_has_the_same_logits(any_gpt, ids):
    whole = any_gpt(ids).data
    for t in (1, 4, 9):
        np.testing.assert_allclose(any_gpt(ids[:, :t]).data, whole[:, :t], atol=1e-5)


def test_sequences_of_a_batch_do_not_see_each_other(any_gpt, ids):
    together = any_gpt(ids).data
    for row in range(3):
        np.testing.assert_allclose(any_gpt(ids[[row]]).data[0], together[row], atol=1e-5)


def test_last_only_gives_the_last_place(any_gpt, ids):
    last = any_gpt(ids, last_only=True)
    assert last.shape == (3, 1, 13)
    np.testing.assert_allclose(last.data, any_gpt(ids).data[:, -1:], atol=1e-5)


def test_order_matters(any_gpt):
    """Without positions, the last token would not know in which order the others came."""
    one, other = (any_gpt(np.array([order])).data[0, -1] for order in ([1, 2, 3], [2, 1, 3]))
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_types_are_kept(any_gpt, ids, dtype):
    model = any_gpt.astype(dtype)
    assert model(ids).dtype == dtype
    loss = model.loss(ids, ids[:, ::-1])
    loss.backward()
    assert loss.dtype == dtype
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(dtype)}


@pytest.mark.parametrize("integers", [np.int32, np.uint8, np.uint16])
def test_ids_of_any_integers(make_gpt, ids, integers):
    model = make_gpt()
    np.testing.assert_array_equal(model(ids.astype(integers)).data, model(ids).data)


def test_sinusoidal_positions_come_beside_scaled_tokens(make_gpt, ids):
    model = make_gpt(positions="sinusoidal")
    expected = 4 * model.token_embedding.weight.data[ids] + F.sinusoidal_positions(10, 16)
    np.testing.assert_allclose(model.embed(ids, np.arange(10)).data, expected, atol=1e-6)


def test_alibi_scales_tokens_and_goes_by_distance_alone(make_gpt, ids):
    model = make_gpt(positions="alibi").eval()
    scaled = 4 * model.token_embedding.weight.data[ids]
    np.testing.assert_allclose(model.embed(ids, np.arange(10)).data, scaled, atol=1e-6)
    further = model(ids, positions=np.arange(2, 12)).data
    np.testing.assert_array_equal(further, model(ids).data)
    turned = ids.copy()
    turned[:, [0, 1]] = turned[:, [1, 0]]
    assert not np.allclose(model(turned).data[:, -1], model(ids).data[:, -1])
    flat = make_gpt(positions="none").eval()
    assert not np.allclose(flat(ids).data, model(ids).data)


def test_alibi_scale_is_that_of_the_slopes(make_gpt, ids):
    steep = make_gpt(positions="alibi", alibi_scale=8).eval()
    for block in steep.blocks:
        np.testing.assert_array_equal(block.attention.slopes, F.alibi_slopes(2, 8))
    assert not np.allclose(steep(ids).data, make_gpt(positions="alibi").eval()(ids).data)


def test_a_tied_head_is_the_token_embedding(make_gpt, ids):
    names = [name for name, _ in make_gpt().named_parameters()]
    assert not any(name.startswith("head") for name in names)
    untied = make_gpt(tie_head=False)
    assert untied.head.weight.shape == (16, 13)
    assert untied.num_parameters() == make_gpt().num_parameters() + 16 * 13
    state = untied.state_dict()
    state["head.weight"] = state["token_embedding.weight"].T
    untied.load_state_dict(state)
    del state["head.weight"]
    tied = make_gpt()
    tied.load_state_dict(state)
    np.testing.assert_allclose(tied(ids).data, untied(ids).data, atol=1e-5)


def test_a_post_norm_model_has_no_final_norm(make_gpt):
    assert make_gpt(norm="post").final_norm is None
    assert "final_norm.weight" in make_gpt().state_dict()


def test_without_bias_there_is_none(make_gpt):
    assert not any(name.endswith("bias") for name in make_gpt(bias=False).state_dict())


# ── loss and gradients ────────────────────────────────────────────────────────────────────────


def test_the_loss_is_the_cross_entropy_of_the_targets_that_count(any_gpt, ids):
    targets = np.roll(ids, -1, axis=1)
    targets[0, 3:] = -1
    logits = any_gpt(ids).data.astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    picked = [log_p[b, t, targets[b, t]] for b, t in np.argwhere(targets >= 0)]
    assert any_gpt.loss(ids, targets).item() == pytest.approx(-np.mean(picked), rel=1e-5)
    assert any_gpt.loss_weight(ids, targets) == len(picked) == 23


def test_metrics(any_gpt, ids):
    targets = np.roll(ids, -1, axis=1)
    targets[0, 3:] = -1
    likeliest = any_gpt(ids).data.argmax(axis=-1)
    targets[1] = likeliest[1]
    metrics = any_gpt.metrics(ids, targets)
    right = (likeliest == targets)[targets != -1].mean()
    assert metrics["accuracy"] == pytest.approx(right)
    assert metrics["loss"] == pytest.approx(any_gpt.loss(ids, targets).item(), rel=1e-6)
    assert {type(value) for value in metrics.values()} == {float}


@pytest.mark.parametrize("measure", ["loss", "metrics"])
def test_targets_of_other_rows_or_none_that_counts(make_gpt, ids, measure):
    model = make_gpt()
    with pytest.raises(ValueError, match=r"targets .*\(3, 10\).*\(2, 10\)"):
        getattr(model, measure)(ids, ids[:2])
    with pytest.raises(ValueError, match="ignore_index"):
        getattr(model, measure)(ids, np.full_like(ids, -1))
    with pytest.raises(ValueError, match=r"ids must be .* with rows of one length"):
        getattr(model, measure)([[1, 2], [3]], ids[:2, :2])


def test_every_parameter_gets_a_gradient(any_gpt, ids):
    any_gpt.loss(ids, np.roll(ids, -1, axis=1)).backward()
    for name, p in any_gpt.named_parameters():
        assert p.grad.shape == p.shape, name
        assert np.isfinite(p.grad).all(), name
        assert np.abs(p.grad).max() > 1e-6, name


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"norm": "post", "positions": "sinusoidal", "activation": "relu", "tie_head": False},
        {"bias": False, "activation": "gelu_erf", "dropout": 0.2},
    ],
    ids=lambda kind: ", ".join(map(str, kind.values())) or "GPT-2",
)
def test_the_whole_loss_passes_gradcheck(make_gpt, kind):
    model = make_gpt(
        vocab_size=5, block_size=4, n_layer=2, n_embd=4, n_inner=5, layer_norm_eps=1e-2, **kind
    ).astype(np.float64)
    ids, targets = np.array([[1, 2, 1, 4], [0, 3, 3, 2]]), np.array([[2, 1, 4, -1], [3, 3, 2, 0]])
    mask = np.array([[1, 1, 1, 1], [0, 1, 1, 1]])

    def loss(*_):
        return model.loss(ids, targets, mask, rng=np.random.default_rng(3))

    assert gradcheck(loss, model.parameters())


def test_a_few_steps_of_descent_learn_a_batch(any_gpt, ids):
    targets = np.roll(ids, -1, axis=1)
    losses = []
    for _ in range(30):
        loss = any_gpt.loss(ids, targets)
        any_gpt.zero_grad()
        loss.backward()
        losses.append(loss.item())
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in any_gpt.parameters()))
        for p in any_gpt.parameters():
            p.data -= 0.5 / max(norm, 1.0) * p.grad
    assert losses[-1] < 0.5 * losses[0]


def test_shards_of_a_batch_add_up_to_its_gradient(make_gpt, ids):
    """What gradient accumulation and parallel batches stand on, weights included."""
    model = make_gpt().astype(np.float64)
    targets = np.roll(ids, -1, axis=1)
    targets[0, 2:] = -1
    model.loss(ids, targets).backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()
    total = model.loss_weight(ids, targets)
    for rows in ([0], [1, 2]):
        share = model.loss_weight(ids[rows], targets[rows]) / total
        (model.loss(ids[rows], targets[rows]) * share).backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(p.grad, expected[name], rtol=1e-9, atol=1e-12)


def test_threads_share_a_model(make_gpt, ids):
    """Each gets its own gradients, as if it were alone; nothing is written to the model."""
    model = make_gpt()
    batches = [((ids + i) % 13, (ids + 2 * i) % 13) for i in range(8)]
    alone = [gradients(model.loss(*batch)) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda batch: gradients(model.loss(*batch)), batches))
    for expected, found in zip(alone, together, strict=True):
        assert found.keys() == expected.keys() == set(model.parameters())
        for p, gradient in expected.items():
            np.testing.assert_array_equal(found[p], gradient)
    assert all(p.grad is None for p in model.parameters())


# ── dropout ───────────────────────────────────────────────────────────────────────────────────


def test_dropout_is_repeatable_and_ends_with_eval(make_gpt, ids):
    model = make_gpt(dropout=0.3)
    first, again, other = (model(ids, rng=np.random.default_rng(seed)).data for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    model.eval()
    np.testing.assert_array_equal(model(ids).data, model(ids).data)
    np.testing.assert_allclose(model(ids).data, make_gpt()(ids).data)


def test_dropout_without_a_generator_uses_the_models_own(make_gpt, ids):
    one, twin = make_gpt(dropout=0.3), make_gpt(dropout=0.3)
    first = one(ids).data
    assert (first != one(ids).data).any()
    np.testing.assert_array_equal(first, twin(ids).data)


# ── looking inside ────────────────────────────────────────────────────────────────────────────


def test_attention_weights(any_gpt, ids):
    maps = any_gpt.attention_weights(ids)
    assert len(maps) == 2
    for weights in maps:
        assert weights.shape == (3, any_gpt.config.n_head, 10, 10)
        assert not np.triu(weights, 1).any()
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        any_gpt.attention_weights(ids[:, :4])[1], maps[1][:, :, :4, :4], atol=1e-5
    )


def test_inspecting_drops_nothing_and_leaves_the_mode(make_gpt, ids):
    model, plain = make_gpt(dropout=0.5), make_gpt()
    for look in (GPT.attention_weights, GPT.hidden_states):
        for found, again, expected in zip(
            look(model, ids), look(model, ids), look(plain, ids), strict=True
        ):
            np.testing.assert_array_equal(found, again)
            np.testing.assert_array_equal(found, expected)
    assert model.training


def test_repr_and_summary_show_the_model(make_gpt):
    model = make_gpt()
    first, *rest = repr(model).split("\n")
    assert first == f"GPT(vocab_size=13, block_size=12)  # {model.num_parameters():,} parameters"
    assert any(line.startswith("  blocks.1: Block(norm='pre')") for line in rest)
    assert "    mlp: MLP(activation='gelu_tanh')" in repr(model)
    assert "attention: CausalSelfAttention(n_head=2)" in repr(model)
    assert "blocks.1.mlp.down_proj.weight" in model.summary()


# ── errors ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ids", "options", "error", "message"),
    [
        ([1, 2], {}, ValueError,
         r"ids must be .*\(batch, tokens\): got .* of shape \(2,\); .*ids\[None"),
        ([[]], {}, ValueError, r"ids must be .*of shape \(1, 0\).*a token at least"),
        ([[1] * 13], {}, ValueError, "13 tokens do not fit the context, block_size=12"),
        ([[13]], {}, IndexError,
         "ids must be from 0 to .*, as the vocabulary has 13 entries: got 13"),
        ([[-1]], {}, IndexError, "ids must be from 0 to .*got -1"),
        (["a", "b"], {}, TypeError, r"ids must be integers.*; encode a text first"),
        ([[1.0]], {}, TypeError, "ids must be integers: got a float64 array"),
        ([[1, 2]], {"attention_mask": np.ones((1, 3))}, ValueError,
         r"attention_mask must have shape \(1, 2\): got \(1, 3\)"),
        ([[1, 2]], {"attention_mask": np.array([[1, 2]])}, ValueError,
         r"must be 1 \(token\) and 0 \(padding\): got 2"),
        ([[1, 2]], {"attention_mask": np.array([[1, np.nan]])}, ValueError,
         r"must be 1 \(token\) and 0 \(padding\): got nan"),
        ([[1, 2]], {"positions": np.array([0, 12])}, IndexError,
         "positions must be from 0 to 11, as block_size=12: got 0 to 12"),
        ([[1, 2]], {"positions": np.array([-1, 0])}, IndexError,
         "positions must be from 0 to 11.*got -1 to 0"),
        ([[1, 2]], {"positions": np.array([0])}, ValueError,
         r"positions must have shape \(2,\) or \(1, 2\).*: got \(1,\)"),
        ([[1, 2]], {"positions": np.zeros((2, 2), int)}, ValueError,
         r"positions must have shape.*got \(2, 2\)"),
        ([[1, 2]], {"positions": np.array([0.0, 1.0])}, TypeError, "positions must be integers"),
    ],
)  # fmt: skip
def test_wrong_arguments(make_gpt, ids, options, error, message):
    with pytest.raises(error, match=message):
        make_gpt()(np.array(ids), **options)


def test_a_text_is_to_be_encoded_first(make_gpt):
    for ids, shown in (("to be", "'to be'"), ([["to"]], r"\[\['to'\]\]"), (None, "None")):
        with pytest.raises(
            TypeError, match=f"ids must be .*: got {shown}; encode a text first.*tok"
        ):
            make_gpt()(ids)


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), ("x", TypeError), (None, TypeError)])
def test_wrong_seeds(make_gpt, seed, error):
    with pytest.raises(error, match="seed"):
        make_gpt(seed=seed)
    config = make_gpt().config
    with pytest.raises(error, match="seed"):
        build_model("GPT", dataclasses.asdict(config), seed=seed)


@pytest.mark.parametrize("targets", [[[1, 13]], [[1, -2]]])
def test_targets_outside_the_vocabulary(make_gpt, targets):
    with pytest.raises(IndexError, match=r"targets (holds|must be from 0 to 12)"):
        make_gpt().loss(np.array([[1, 2]]), np.array(targets))


def test_nothing_is_recorded_under_no_grad(any_gpt, ids):
    with no_grad():
        assert not any_gpt(ids).requires_grad


# ── what is looked for where it is not ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("save", r"trainer\.save\(path\).*mg\.load_model\(path\).*model\.save_pretrained"),
        ("load", r"mg\.load_model\(path\).*from_pretrained\(folder\).*load_state_dict"),
        ("generate", r"mg\.Sampler\(model, tokenizer\)\.generate"),
        ("fit", r"mg\.Trainer\(model"),
        ("to", r"model\.astype"),
        ("blokcs", "^'GPT' object has no attribute 'blokcs'$"),
    ],
)
def test_an_attribute_that_is_not_there_says_where_to_look(make_gpt, name, message):
    model = make_gpt()
    with pytest.raises(AttributeError, match=message):
        getattr(model, name)
    assert not hasattr(model, name)


def test_a_model_can_be_copied(make_gpt, ids):
    model = make_gpt()
    np.testing.assert_array_equal(copy.deepcopy(model)(ids).data, model(ids).data)


def test_targets_that_are_the_ids_are_warned_of():
    model, ids = GPT(GPTConfig(5, 8, 1, 1, 4), seed=0), np.array([[1, 2, 3, 3], [0, 0, 0, 0]])
    with pytest.warns(UserWarning, match="the targets one place on") as caught:
        model.loss(ids, ids)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.loss(ids[1:], ids[1:])  # a text of one token
        model.loss(ids[:, :-1], ids[:, 1:])
        GPT(GPTConfig(5, 8, 1, 1, 4, causal=False), seed=0).loss(ids, ids)
