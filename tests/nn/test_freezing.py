"""Frozen parameters: they stay, they get no gradient, and the others get the same as before."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt.autograd import Node
from minigpt.models import GPT, Encoder, EncoderConfig, GPTConfig
from minigpt.nn import (
    Linear,
    add_lora,
    freeze,
    freeze_all_but_last,
    freeze_parts,
    frozen,
    num_trainable,
    trainable,
    unfreeze,
)

MODERN = {
    "normalization": "rms", "mlp": "gated", "positions": "rotary", "n_kv_head": 1, "qk_norm": True,
    "bias": False, "activation": "silu",
}  # fmt: skip
SIZES = {"vocab_size": 13, "block_size": 12, "n_layer": 3, "n_head": 2, "n_embd": 16}


def small(**changes) -> GPT:
    return GPT(GPTConfig(**SIZES | {"init_std": 0.3} | changes), seed=0)


def gradients(model, ids, targets):
    model.zero_grad()
    model.loss(ids, targets).backward()
    return {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("changes", [{}, {"norm": "post"}, {"recompute": True}])
@pytest.mark.parametrize("n_blocks", [0, 1, 2, 3])
def test_the_others_get_the_same_gradients(changes, n_blocks, rng):
    ids, targets = rng.integers(0, 13, (2, 3, 10))
    model = small(tie_head=False, **changes)
    before = gradients(model, ids, targets)
    freeze_all_but_last(model, n_blocks)
    unfreeze(model.head)
    after = gradients(model, ids, targets)
    for name, gradient in after.items():
        if name in trainable(model):
            np.testing.assert_allclose(gradient, before[name], rtol=1e-5, atol=1e-7, err_msg=name)
        else:
            assert gradient is None


@pytest.mark.parametrize("kind", ["Embedding", "LayerNorm", "Linear", "bias"])
def test_any_part_may_be_frozen_alone(kind, rng):
    ids, targets = rng.integers(0, 13, (2, 3, 10))
    model = small()
    before = gradients(model, ids, targets)
    for _, module in model.named_modules():
        if kind == "bias" and getattr(module, "bias", None) is not None:
            module.bias.requires_grad = False
        elif type(module).__name__ == kind:
            freeze(module)
    assert frozen(model)
    for name, gradient in gradients(model, ids, targets).items():
        if name in frozen(model):
            assert gradient is None
        else:
            np.testing.assert_allclose(gradient, before[name], rtol=1e-5, atol=1e-7, err_msg=name)


def in_vain(loss):
    """What the walk back computes for inputs that require no gradient, by operation."""
    found, seen, waiting = [], set(), [loss.node]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Node) or id(node) in seen:
            continue
        seen.add(id(node))
        waiting += node.inputs

        def watched(g, vjp=node.vjp, inputs=node.inputs):
            parts = vjp(g)
            wasted = [p for x, p in zip(inputs, parts, strict=True) if x is None and p is not None]
            found.extend((vjp.__qualname__, p.shape) for p in wasted if p is not g and p.size > 1)
            return parts

        node.vjp = watched
    loss.backward()
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "post", "positions": "sinusoidal", "dropout": 0.1},
        {"positions": "alibi", "tie_head": False, "bias": False},
        MODERN,
        MODERN | {"qkv_bias": True, "qk_norm": False, "recompute": True},
    ],
    ids=str,
)
def test_nothing_is_computed_for_what_is_frozen(changes, rng):
    ids, targets = rng.integers(0, 13, (2, 3, 10))
    model = small(**changes)
    freeze_all_but_last(model, 1)
    assert in_vain(model.loss(ids, targets)) == []
    add_lora(model, 2, targets=["qkv_proj", "out_proj", "down_proj"])
    assert in_vain(model.loss(ids, targets)) == []


def test_what_is_left_to_learn():
    model = small()
    freeze_all_but_last(model, 1)
    assert {name.rsplit(".", 1)[0].split(".")[0] for name in trainable(model)} == {
        "blocks", "final_norm"
    }  # fmt: skip
    assert all(name.startswith(("blocks.2.", "final_norm.")) for name in trainable(model))
    assert sorted(trainable(model) + frozen(model)) == sorted(dict(model.named_parameters()))
    assert num_trainable(model) == model.blocks[2].num_parameters() + 32
    freeze_all_but_last(model, 0)
    assert trainable(model) == [] and num_trainable(model) == 0
    unfreeze(model)
    assert frozen(model) == [] and num_trainable(model) == model.num_parameters()


def test_freezing_forgets_the_gradient():
    layer = Linear(2, 2, seed=0)
    layer.weight.grad = np.ones((2, 2), np.float32)
    freeze(layer)
    assert layer.weight.grad is None


def test_an_encoder_s_stack_and_post_norm():
    encoder = Encoder(EncoderConfig(**SIZES, norm="post"))
    freeze_all_but_last(encoder.stack, 1)
    assert all(n.startswith(("stack.blocks.2.", "head.")) for n in trainable(encoder))


@pytest.mark.parametrize(
    ("module", "n_blocks", "error", "message"),
    [
        (
            Linear(2, 2, seed=0),
            1,
            TypeError,
            "module must be a module with blocks: got a Linear; pass a GPT",
        ),
        (small(), 4, ValueError, "n_blocks must be an integer from 0 to 3: got 4"),
        (small(), -1, ValueError, "n_blocks must be an integer from 0 to 3: got -1"),
        (small(), True, TypeError, "n_blocks must be an integer from 0 to 3: got True"),
    ],
)
def test_wrong_arguments(module, n_blocks, error, message):
    with pytest.raises(error, match=message):
        freeze_all_but_last(module, n_blocks)
    assert frozen(module) == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["token_embedding"], {"token_embedding.weight"}),
        (["blocks.1.mlp", "final_norm.bias"], {"blocks.1.mlp.up_proj.weight", "final_norm.bias"}),
        (["mlp"], {f"blocks.{i}.mlp.down_proj.bias" for i in range(3)}),
        (("blocks.0", "blocks.2"), {"blocks.0.attention.qkv_proj.weight"}),
        ([], set()),
    ],
)
def test_parts_are_frozen_by_name(names, expected):
    model = small()
    freeze_parts(model, ["position_embedding"])
    found = freeze_parts(model, names)
    assert expected <= set(found)
    for name in found:
        assert any(f".{part}." in f".{name}." for part in names)
    assert frozen(model) == [
        n for n in model.state_dict() if n in found or n.startswith("position_embedding")
    ]


def test_a_block_is_not_frozen_for_its_first_digit():
    model = GPT(GPTConfig(**SIZES | {"n_layer": 11}))
    assert {name.split(".")[1] for name in freeze_parts(model, ["blocks.1"])} == {"1"}


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["blocks.0", "blocks.7"], ValueError, "attention, attention_norm, bias, .*got 'blocks.7'"),
        (["head"], ValueError, "names of parts of this GPT: .*got 'head'"),
        ([""], ValueError, "got ''"),
        (["locks.0"], ValueError, "got 'locks.0'"),
        ("mlp", TypeError, "names must be a list of names: got 'mlp'"),
        ([3], TypeError, r"names\[0\] must be a str: got 3"),
    ],
)
def test_parts_that_there_are_not(names, error, message):
    model = small()
    with pytest.raises(error, match=message):
        freeze_parts(model, names)
    assert frozen(model) == []
