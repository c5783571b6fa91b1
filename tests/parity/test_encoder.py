"""The encoder against PyTorch's layers and against Transformers' BERT: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import Tensor
from minigpt.models import Encoder, EncoderConfig
from minigpt.nn import Block, BlockConfig

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

from tests.parity import reference_layers as reference  # noqa: E402 (it needs torch)

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
LENGTHS = np.array([7, 3, 5])
MASK = np.arange(7) < LENGTHS[:, None]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu_erf"])
@pytest.mark.parametrize("bias", [True, False])
def test_block(rng, dtype, norm, activation, bias):
    ours = Block(
        BlockConfig(12, 3, n_inner=20, activation=activation, norm=norm, bias=bias, causal=False),
        seed=1,
    ).astype(dtype)
    theirs = torch.nn.TransformerEncoderLayer(
        12, 3, 20, dropout=0, activation=activation.removesuffix("_erf"), batch_first=True,
        norm_first=norm == "pre", bias=bias, dtype=getattr(torch, dtype),
    )  # fmt: skip
    reference.load(reference.encoder_layer("", theirs), ours.state_dict())
    x, v = rng.standard_normal((2, 3, 7, 12)).astype(dtype)
    v *= MASK[..., None]  # what comes out at padding means nothing

    ours_x = Tensor(x, requires_grad=True)
    y = ours(ours_x, MASK[:, None, None])
    y.backward(v)
    theirs_x = torch.tensor(x, requires_grad=True)
    expected = theirs(theirs_x, src_key_padding_mask=torch.from_numpy(~MASK))
    expected.backward(torch.from_numpy(v))

    close = {"rtol": 0, "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(y.data[MASK], expected.detach().numpy()[MASK], **close)
    np.testing.assert_allclose(ours_x.grad, theirs_x.grad.numpy(), **close)
    named = reference.encoder_layer("", theirs)
    reference.assert_same_gradients(ours, named, 10 * TOLERANCE[dtype])


def bert_names(model):
    """minigpt's name of each of BERT's parameters; the segment embedding is none of them."""
    bert, head = model.bert, model.cls.predictions
    emb = "stack.embeddings."
    yield from reference.plain(f"{emb}token_embedding", bert.embeddings.word_embeddings)
    yield from reference.plain(f"{emb}position_embedding", bert.embeddings.position_embeddings)
    yield from reference.plain(f"{emb}norm", bert.embeddings.LayerNorm)
    for i, layer in enumerate(bert.encoder.layer):
        block = f"stack.blocks.{i}."
        yield from reference.plain(f"{block}attention_norm", layer.attention.output.LayerNorm)
        yield from reference.linear(f"{block}attention.out_proj", layer.attention.output.dense)
        yield from reference.plain(f"{block}mlp_norm", layer.output.LayerNorm)
        yield from reference.linear(f"{block}mlp.up_proj", layer.intermediate.dense)
        yield from reference.linear(f"{block}mlp.down_proj", layer.output.dense)
    yield from reference.linear("head.dense", head.transform.dense)
    yield from reference.plain("head.norm", head.transform.LayerNorm)
    yield "head.bias", head.bias, reference.same


def load_bert(theirs, state):
    """BERT keeps Q, K and V apart."""
    state = dict(state)
    with torch.no_grad():
        theirs.bert.embeddings.token_type_embeddings.weight.zero_()
        for i, layer in enumerate(theirs.bert.encoder.layer):
            name = f"stack.blocks.{i}.attention.qkv_proj"
            weights = np.split(state.pop(f"{name}.weight"), 3, axis=1)
            biases = np.split(state.pop(f"{name}.bias"), 3)
            attention = layer.attention.self
            each = (attention.query, attention.key, attention.value)
            for module, weight, bias in zip(each, weights, biases, strict=True):
                module.weight.copy_(torch.from_numpy(weight.T.copy()))
                module.bias.copy_(torch.from_numpy(bias))
    reference.load(bert_names(theirs), state)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_whole_model_is_bert(rng, dtype):
    transformers = pytest.importorskip(
        "transformers", reason='transformers is not installed: pip install -e ".[parity]"'
    )
    config = EncoderConfig(
        23, block_size=9, n_layer=2, n_head=2, n_embd=16, norm="post", activation="gelu_erf",
        embedding_norm=True, n_inner=24, layer_norm_eps=1e-12, init_std=0.2,
    )  # fmt: skip
    ours = Encoder(config, seed=0).astype(dtype)
    theirs = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=23, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=24, max_position_embeddings=9, hidden_dropout_prob=0,
            attention_probs_dropout_prob=0, hidden_act="gelu", pad_token_id=None,
        )
    ).to(getattr(torch, dtype))  # fmt: skip
    load_bert(theirs, ours.state_dict())
    ids = rng.integers(0, 23, (3, 7))
    targets = np.where(MASK & (rng.random(ids.shape) < 0.4), rng.integers(0, 23, ids.shape), -1)

    loss = ours.loss(ids, targets, MASK)
    expected = theirs(
        torch.from_numpy(ids),
        attention_mask=torch.from_numpy(MASK.astype(np.int64)),
        labels=torch.from_numpy(np.where(targets == -1, -100, targets)),
    )
    logits, expected_logits = ours(ids, MASK).data, expected.logits.detach().numpy()
    np.testing.assert_allclose(logits[MASK], expected_logits[MASK], atol=TOLERANCE[dtype], rtol=0)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=TOLERANCE[dtype])

    loss.backward()
    expected.loss.backward()
    gradients = {name: p.grad for name, p in ours.named_parameters()}
    for name, parameter, view in bert_names(theirs):
        gradient = view(parameter.grad).numpy()
        error = np.abs(gradients.pop(name) - gradient).max() / np.abs(gradient).max()
        assert error < 100 * TOLERANCE[dtype], f"{name}: {error:.1e}"
    for i, layer in enumerate(theirs.bert.encoder.layer):
        attention = layer.attention.self
        each = (attention.query, attention.key, attention.value)
        weight = np.concatenate([module.weight.grad.numpy().T for module in each], axis=1)
        found = gradients.pop(f"stack.blocks.{i}.attention.qkv_proj.weight")
        assert np.abs(found - weight).max() / np.abs(weight).max() < 100 * TOLERANCE[dtype]
        bias = np.concatenate([module.bias.grad.numpy() for module in each])
        found = gradients.pop(f"stack.blocks.{i}.attention.qkv_proj.bias")
        assert np.abs(found - bias).max() / np.abs(bias).max() < 100 * TOLERANCE[dtype]
    assert not gradients
