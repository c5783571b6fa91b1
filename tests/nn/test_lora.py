"""Low-rank adapters: the equation, what learns, folding them in and out, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import minigpt.functional as F
from minigpt import Tensor, gradcheck
from minigpt.models import GPT, EncoderDecoder, GPTConfig, Seq2SeqConfig
from minigpt.nn import (
    MLP,
    Adapter,
    BlockConfig,
    Identity,
    Linear,
    LoRALinear,
    Module,
    add_lora,
    freeze,
    load_lora_state_dict,
    lora_parameters,
    lora_state_dict,
    merge_lora,
    num_trainable,
    trainable,
    unfreeze,
    unmerge_lora,
)
from minigpt.nn.lora import lora_layers
from minigpt.nn.replacing import replace_modules

ALL = ("qkv_proj", "out_proj", "up_proj", "down_proj")
ROUNDING = {np.float32: 2e-5, np.float64: 1e-12}


def small(dtype=np.float32, **changes) -> GPT:
    sizes = {"vocab_size": 13, "block_size": 12, "n_layer": 2, "n_head": 2, "n_embd": 16}
    return GPT(GPTConfig(**sizes | {"init_std": 0.3} | changes), seed=0).astype(dtype)


def adapted(rank=3, alpha=6, targets=ALL, **changes) -> GPT:
    """Adapters that have learned something: their B is not zero."""
    model = small(**changes)
    add_lora(model, rank, alpha, targets, seed=1)
    rng = np.random.default_rng(2)
    for parameter in lora_parameters(model).values():
        parameter.data[...] = rng.normal(0, 0.3, parameter.shape)
    return model


@pytest.fixture
def ids(rng):
    return rng.integers(0, 13, (3, 10))


# ── one layer ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rank", "alpha"), [(1, 1), (3, 12), (4, 0.5)])
def test_the_equation(bias, rank, alpha, rng):
    linear = Linear(6, 4, bias, seed=0).astype(np.float64)
    layer = LoRALinear(linear, rank, alpha, seed=1)
    layer.lora_b.data[...] = rng.normal(size=(rank, 4))
    x = rng.normal(size=(2, 5, 6))
    a, b = layer.lora_a.data, layer.lora_b.data
    expected = linear(Tensor(x)).data + alpha / rank * x @ a @ b
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=0, atol=1e-12)


def test_the_derivatives(rng):
    layer = LoRALinear(Linear(5, 4, seed=0).astype(np.float64), 2, 3, seed=1)
    layer.lora_b.data[...] = rng.normal(size=(2, 4))
    x = Tensor(rng.normal(size=(3, 5)), requires_grad=True)

    def output(x, weight, bias, a, b):
        layer.weight, layer.bias, layer.lora_a, layer.lora_b = weight, bias, a, b
        return layer(x)

    assert gradcheck(output, [x, layer.weight, layer.bias, layer.lora_a, layer.lora_b])


def test_the_equation_with_dropout(rng):
    linear = Linear(6, 4, seed=0).astype(np.float64)
    layer = LoRALinear(linear, 3, 12, dropout=0.4, seed=1)
    layer.lora_b.data[...] = rng.normal(size=(3, 4))
    x = Tensor(rng.normal(size=(2, 5, 6)))
    product = layer.lora_a.data @ layer.lora_b.data
    seen = F.dropout(x, 0.4, np.random.default_rng(5)).data
    assert (seen == 0).any()
    expected = linear(x).data + 12 / 3 * seen @ product  # W sees all of x
    found = layer(x, np.random.default_rng(5)).data
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)

    with pytest.raises(TypeError, match="rng of dropout in training must be a Generator"):
        layer(x)
    whole = linear(x).data + 12 / 3 * x.data @ product
    np.testing.assert_allclose(layer.eval()(x).data, whole, rtol=0, atol=1e-12)


def test_how_it_begins():
    linear = Linear(400, 300, seed=0)
    layer = LoRALinear(linear, 8, 8, seed=1)
    assert layer.weight is linear.weight and layer.bias is linear.bias
    assert (layer.lora_b.data == 0).all() and layer.lora_b.shape == (8, 300)
    assert layer.lora_a.shape == (400, 8) and layer.lora_a.dtype == np.float32
    assert layer.lora_a.data.std() == pytest.approx(1 / 20, rel=0.1)
    again, other = LoRALinear(linear, 8, 8, seed=1), LoRALinear(linear, 8, 8, seed=2)
    assert (again.lora_a.data == layer.lora_a.data).all()
    assert (other.lora_a.data != layer.lora_a.data).any()
    assert repr(layer).startswith("LoRALinear(rank=8, alpha=8, weight (400, 300)")


@pytest.mark.parametrize(
    ("rank", "alpha", "error", "message"),
    [
        (0, 1, ValueError, "rank must be an integer from 1 to 4: got 0"),
        (True, 1, TypeError, "rank must be an integer from 1 to 4: got True"),
        (
            5,
            1,
            ValueError,
            r"rank must be an integer from 1 to 4: got 5; as the matrix is \(6, 4\)",
        ),
        (2, 0, ValueError, "alpha must be a number above 0: got 0"),
        (2, float("nan"), ValueError, "alpha must be a number above 0: got nan"),
        (2, "8", TypeError, "alpha must be a number above 0: got '8'"),
    ],
)
def test_wrong_rank_and_alpha(rank, alpha, error, message):
    with pytest.raises(error, match=message):
        LoRALinear(Linear(6, 4, seed=0), rank, alpha, seed=0)


# ── a whole model ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ROUNDING)
def test_at_first_nothing_changes(dtype, ids):
    model = small(dtype)
    before, names = model(ids).data, set(model.state_dict())
    layers = add_lora(model, rank=2, targets=ALL)
    assert len(layers) == 8 and all(name.split(".")[-1] in ALL for name in layers)
    np.testing.assert_array_equal(model(ids).data, before)
    assert model(ids).dtype == dtype
    assert set(model.state_dict()) == names | set(lora_parameters(model))


def test_adapters_alone_learn(ids):
    model = small()
    add_lora(model, rank=2, targets=["qkv_proj"])
    assert trainable(model) == [
        f"blocks.{i}.attention.qkv_proj.lora_{part}" for i in (0, 1) for part in "ab"
    ]
    assert num_trainable(model) == 2 * (16 * 2 + 2 * 48)
    model.loss(ids, ids[:, ::-1]).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == ("lora" not in name)


def test_only_the_part_that_it_is_added_to_is_frozen():
    model = small(tie_head=False)
    add_lora(model.blocks[1], targets=["qkv_proj"], rank=2)
    assert "head.weight" in trainable(model) and "blocks.0.mlp.up_proj.weight" in trainable(model)
    assert "blocks.1.mlp.up_proj.weight" not in trainable(model)


def test_alpha_is_the_rank_where_it_is_not_given():
    model = small()
    add_lora(model, rank=4)
    layer = model.blocks[0].attention.out_proj
    assert isinstance(layer, LoRALinear) and (layer.rank, layer.alpha) == (4, 4.0)


def test_the_seed_makes_the_adapters():
    states = []
    for seed in (5, 5, 6):
        model = small()
        add_lora(model, rank=2, seed=seed)
        states.append(lora_state_dict(model))
    first, again, other = states
    name = "blocks.1.attention.qkv_proj.lora_a"
    assert all((first[n] == again[n]).all() for n in first)
    assert (first[name] != other[name]).any()
    assert (first[name] != first["blocks.0.attention.qkv_proj.lora_a"]).any()


@pytest.mark.parametrize("dtype", ROUNDING)
def test_merged_is_the_same_and_an_ordinary_model(dtype, ids):
    model = adapted(dtype=dtype)
    expected, plain = model(ids).data, small(dtype)
    assert np.abs(expected - plain(ids).data).max() > 0.1  # the adapters say something
    merge_lora(model)
    np.testing.assert_allclose(model(ids).data, expected, rtol=0, atol=ROUNDING[dtype])
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert not any(isinstance(module, LoRALinear) for _, module in model.named_modules())
    plain.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(plain(ids).data, model(ids).data)


def test_merging_folds_in_exactly_the_product():
    model = adapted()
    layer = model.blocks[0].mlp.up_proj
    w, a, b = (x.data.astype(np.float64) for x in (layer.weight, layer.lora_a, layer.lora_b))
    merge_lora(model)
    expected = (w + 6 / 3 * a @ b).astype(np.float32)
    np.testing.assert_array_equal(model.blocks[0].mlp.up_proj.weight.data, expected)


@pytest.mark.parametrize("dtype", ROUNDING)
def test_unmerging_brings_it_back(dtype, ids):
    model = adapted(dtype=dtype)
    expected, state = model(ids).data, model.state_dict()
    adapters = merge_lora(model)
    unmerge_lora(model, adapters)
    assert set(model.state_dict()) == set(state)
    for name, array in model.state_dict().items():
        np.testing.assert_allclose(array, state[name], rtol=0, atol=ROUNDING[dtype] / 10)
    for name, parameter in lora_parameters(model).items():
        np.testing.assert_array_equal(parameter.data, state[name])
    np.testing.assert_allclose(model(ids).data, expected, rtol=0, atol=ROUNDING[dtype])


def test_generation_uses_the_adapters(ids):
    """The key–value cache goes through the same layers."""
    from minigpt import no_grad

    model = adapted().eval()
    with no_grad():
        cache = model.new_cache(3)
        parts = [model(ids[:, :6], cache=cache).data, model(ids[:, 6:], cache=cache).data]
        expected = model(ids).data
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, atol=1e-4)


def test_adapters_alone_are_saved_and_loaded(tmp_path, ids):
    model = adapted()
    np.savez(tmp_path / "adapters.npz", **lora_state_dict(model))
    again = small()
    add_lora(again, rank=3, alpha=6, targets=ALL, seed=9)
    with np.load(tmp_path / "adapters.npz", allow_pickle=False) as stored:
        load_lora_state_dict(again, stored)
    np.testing.assert_array_equal(again(ids).data, model(ids).data)


@pytest.mark.parametrize(("rank", "alpha"), [(3, 16), (3, 3), (2, 6)])
def test_adapters_of_another_rank_or_alpha_are_refused(ids, rank, alpha):
    model, other = adapted(), small()  # adapted: rank 3, alpha 6
    add_lora(other, rank=rank, alpha=alpha, targets=ALL)
    state, before = lora_state_dict(model), other.state_dict()
    assert {float(state[n]) for n in state if n.endswith("lora_alpha")} == {6.0}
    message = f"rank={rank} and alpha={alpha}, the stored one rank=3 and alpha=6: use add_lora"
    with pytest.raises(ValueError, match=message):
        load_lora_state_dict(other, state)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_adapters_that_do_not_fit_are_refused():
    model = adapted()
    state, before = lora_state_dict(model), model.state_dict()
    other = small()
    add_lora(other, rank=3, targets=["qkv_proj"])
    with pytest.raises(ValueError, match=r"state does not fit .*: missing \[\], unexpected"):
        load_lora_state_dict(other, state)
    with pytest.raises(ValueError, match=r"missing \['blocks.0.attention.out_proj.lora_a'"):
        load_lora_state_dict(model, lora_state_dict(other))
    state["blocks.0.mlp.up_proj.lora_a"] = np.zeros((16, 2), np.float32)
    with pytest.raises(ValueError, match=r"'blocks.0.mlp.up_proj' has rank=3 .* one rank=2"):
        load_lora_state_dict(model, state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


EVERY_PLACE = {
    "gpt": (small, ["qkv_proj", "out_proj", "up_proj", "down_proj"]),
    "gated": (lambda: small(mlp="gated"), ["gate_proj", "up_proj", "down_proj"]),
    "encoder-decoder": (
        lambda: EncoderDecoder(Seq2SeqConfig(13, 13, 12, 12, n_layer=1, n_head=2, n_embd=16)),
        ["q_proj", "kv_proj", "qkv_proj"],
    ),
}


@pytest.mark.parametrize(
    ("make", "target"),
    [(make, target) for make, targets in EVERY_PLACE.values() for target in targets],
)
def test_dropout_draws_from_the_generator_of_the_call(make, target, ids):
    model = make()
    add_lora(model, 3, targets=[target], seed=1, dropout=0.5)
    for parameter in lora_parameters(model).values():
        parameter.data[...] = np.random.default_rng(2).normal(0, 0.5, parameter.shape)
    inputs = (ids,) if isinstance(model, GPT) else (ids, ids)

    def outputs(seed):
        return model(*inputs, rng=np.random.default_rng(seed)).data

    np.testing.assert_array_equal(outputs(1), outputs(1))
    assert (outputs(1) != outputs(2)).any()
    model.eval()
    np.testing.assert_array_equal(outputs(1), outputs(2))


def test_attention_weights_in_training_drop_nothing(ids):
    model = small()
    add_lora(model, 3, seed=1, dropout=0.5)
    for layer in lora_layers(model).values():
        layer.lora_b.data[...] = np.random.default_rng(2).normal(0, 0.5, layer.lora_b.shape)
    inside = model.embed(ids, np.arange(10))
    found = model.blocks[0].attention.weights(inside)
    expected = model.eval().blocks[0].attention.weights(inside)
    np.testing.assert_array_equal(found, expected)


def test_merging_and_unmerging_keep_the_dropout():
    model = small()
    names = add_lora(model, 3, dropout=0.25)
    unmerge_lora(model, merge_lora(model))
    assert {name: layer.dropout.p for name, layer in lora_layers(model).items()} == dict.fromkeys(
        names, 0.25
    )


@pytest.mark.parametrize("dropout", [-0.1, 1, "0.1", None, float("nan")])
def test_wrong_dropout_changes_nothing(dropout):
    model = small()
    before = list(model.state_dict())
    with pytest.raises((ValueError, TypeError), match="dropout must be"):
        add_lora(model, 3, dropout=dropout)
    assert list(model.state_dict()) == before == trainable(model)


def test_an_encoder_decoder_can_have_them():
    config = Seq2SeqConfig(9, 9, 8, 8, n_layer=1, n_head=2, n_embd=8)
    model = EncoderDecoder(config)
    names = add_lora(model, rank=1, targets=["out_proj"])
    assert len(names) == 3  # self-attention twice, cross-attention once


class Places(Module):
    """Linear layers in every place where a module may be kept; one of them under two names."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.proj = Linear(3, 3, seed=rng)
        self.again = self.proj
        self.in_list = [Linear(3, 3, seed=rng), (Identity(), Linear(3, 3, seed=rng))]
        self.in_dict = {"proj": Linear(3, 3, seed=rng), "number": 7}


def test_adapters_go_wherever_a_layer_is_kept():
    model = Places()
    assert add_lora(model, 1, targets=["proj", "0", "1"]) == [
        "proj", "in_list.0", "in_list.1.1", "in_dict.proj"
    ]  # fmt: skip
    assert model.again is model.proj and isinstance(model.proj, LoRALinear)
    assert isinstance(model.in_list[1][1], LoRALinear) and model.in_dict["number"] == 7
    merge_lora(model)
    assert model.again is model.proj and type(model.proj) is Linear


def test_replacing_leaves_the_rest_alone():
    mlp = MLP(BlockConfig(4, 1), seed=0)
    up, down = mlp.up_proj, mlp.down_proj
    other = Linear(4, 16, seed=1)
    replace_modules(mlp, {id(up): other})
    assert mlp.up_proj is other and mlp.down_proj is down


class Tied(Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = (Linear(3, 3, bias=False, seed=i) for i in (0, 1))
        self.second.weight = self.first.weight


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (small(), {"targets": "qkv_proj"}, TypeError, "targets must be a list of names"),
        (
            small(),
            {"targets": ["q_proj"]},
            ValueError,
            "linear layers of GPT, which has .*got .'q_proj'",
        ),
        (small(), {"targets": []}, ValueError, r"targets must be .*got \[\]"),
        (Linear(3, 3, seed=0), {}, ValueError, "linear layers of Linear, which has none"),
        (
            adapted(),
            {},
            ValueError,
            "GPT has adapters already, beside 'blocks.0.attention.qkv_proj'",
        ),
        (
            small(),
            {"alpha": 10**400},
            ValueError,
            "alpha must be a number above 0: got an integer o",
        ),
        (small(), {"rank": 17}, ValueError, "rank must be an integer from 1 to 16: got 17"),
        (small(), {"alpha": -1}, ValueError, "alpha must be a number above 0: got -1"),
        (small(), {"seed": -1}, ValueError, "seed must be an integer of at least 0: got -1"),
        (Tied(), {"targets": ["first"], "rank": 1}, ValueError, "is another layer's too"),
    ],
)
def test_wrong_arguments_change_nothing(model, options, error, message):
    names, learning = list(model.state_dict()), trainable(model)
    with pytest.raises(error, match=message):
        add_lora(model, **options)
    assert list(model.state_dict()) == names and trainable(model) == learning


@pytest.mark.parametrize("call", [add_lora, freeze, unfreeze, merge_lora, lora_state_dict])
@pytest.mark.parametrize("model", [None, GPT, 3])
def test_what_is_not_a_model(call, model):
    with pytest.raises(TypeError, match=r"(model|module) must be a Module: got (None|the|3)"):
        call(model)


def test_what_is_not_a_state_or_targets():
    with pytest.raises(TypeError, match="targets must be a list of names: got 3"):
        add_lora(small(), targets=3)
    with pytest.raises(TypeError, match="state must be a dict of arrays by name: got None"):
        load_lora_state_dict(adapted(), None)
    with pytest.raises(
        TypeError, match="adapters must be a dict of adapters by name: got None; pass"
    ):
        unmerge_lora(small(), None)


def test_wrong_merging():
    with pytest.raises(ValueError, match="GPT has no adapters: there is nothing to merge"):
        merge_lora(small())
    with pytest.raises(ValueError, match="'x' is not a linear layer without an adapter"):
        unmerge_lora(small(), {"x": Adapter(np.zeros((2, 1)), np.zeros((1, 2)), 1.0)})
    model = adapted()
    adapters = merge_lora(model)
    other = small(n_embd=8)
    with pytest.raises(ValueError, match=r"changes a matrix of \(16, 48\).*has one of \(8, 24\)"):
        unmerge_lora(other, adapters)
    assert not lora_parameters(other)


@pytest.mark.parametrize("frozen", [True, False])
def test_merging_ends_every_graph_from_before(ids, frozen):
    model = adapted()
    layer = model.blocks[0].mlp.up_proj
    layer.weight.requires_grad = not frozen
    loss = model(ids).sum()
    merge_lora(model)
    with pytest.raises(RuntimeError, match="has changed since it was recorded"):
        loss.backward()
