"""The encoder–decoder against PyTorch's transformer layers: values and gradients, with masks."""

from __future__ import annotations

import numpy as np
import pytest

from minigpt import Tensor
from minigpt.models import EncoderDecoder, Seq2SeqConfig
from minigpt.nn import BlockConfig, CrossAttention, DecoderBlock

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')

from tests.parity import reference_layers as reference  # noqa: E402 (it needs torch)

TF = torch.nn.functional
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
SOURCE_MASK = np.arange(6) < np.array([[6], [2], [4]])
TARGET_MASK = np.arange(5) < np.array([[3], [5], [1]])
FUTURE = ~torch.tril(torch.ones(5, 5, dtype=torch.bool))  # PyTorch marks what is hidden


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_cross_attention(rng, dtype):
    ours = CrossAttention(BlockConfig(12, 3), seed=0).astype(dtype)
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=getattr(torch, dtype))
    reference.load(reference.cross_attention("", theirs), ours.state_dict())
    arrays = [rng.standard_normal((3, n, 12)).astype(dtype) for n in (5, 6)]
    v = rng.standard_normal((3, 5, 12)).astype(dtype)

    x, memory = (Tensor(a, requires_grad=True) for a in arrays)
    y = ours(x, memory, SOURCE_MASK[:, None, None])
    y.backward(v)
    tx, tm = (torch.tensor(a, requires_grad=True) for a in arrays)
    expected, weights = theirs(
        tx, tm, tm, key_padding_mask=torch.from_numpy(~SOURCE_MASK), average_attn_weights=False
    )
    expected.backward(torch.from_numpy(v))

    close = {"rtol": 0, "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(y.data, expected.detach().numpy(), **close)
    np.testing.assert_allclose(
        ours.weights(x, memory, SOURCE_MASK[:, None, None]), weights.detach().numpy(), **close
    )
    for leaf, reference_leaf in ((x, tx), (memory, tm)):
        np.testing.assert_allclose(leaf.grad, reference_leaf.grad.numpy(), **close)
    named = reference.cross_attention("", theirs)
    reference.assert_same_gradients(ours, named, 10 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("bias", [True, False])
def test_decoder_block(rng, dtype, norm, bias):
    ours = DecoderBlock(
        BlockConfig(12, 3, n_inner=20, activation="relu", norm=norm, bias=bias), seed=1
    ).astype(dtype)
    theirs = torch.nn.TransformerDecoderLayer(
        12, 3, 20, dropout=0, batch_first=True, norm_first=norm == "pre", bias=bias,
        dtype=getattr(torch, dtype),
    )  # fmt: skip
    reference.load(reference.decoder_layer("", theirs), ours.state_dict())
    arrays = [rng.standard_normal((3, n, 12)).astype(dtype) for n in (5, 6)]
    v = rng.standard_normal((3, 5, 12)).astype(dtype) * TARGET_MASK[..., None].astype(dtype)

    x, memory = (Tensor(a, requires_grad=True) for a in arrays)
    y = ours(x, memory, TARGET_MASK[:, None, None], SOURCE_MASK[:, None, None])
    y.backward(v)
    tx, tm = (torch.tensor(a, requires_grad=True) for a in arrays)
    expected = theirs(
        tx, tm, tgt_mask=FUTURE, tgt_key_padding_mask=torch.from_numpy(~TARGET_MASK),
        memory_key_padding_mask=torch.from_numpy(~SOURCE_MASK),
    )  # fmt: skip
    expected.backward(torch.from_numpy(v))

    close = {"rtol": 0, "atol": 2 * TOLERANCE[dtype]}
    expected_y = expected.detach().numpy()
    np.testing.assert_allclose(y.data[TARGET_MASK], expected_y[TARGET_MASK], **close)
    for leaf, reference_leaf in ((x, tx), (memory, tm)):
        np.testing.assert_allclose(leaf.grad, reference_leaf.grad.numpy(), **close)
    named = reference.decoder_layer("", theirs)
    reference.assert_same_gradients(ours, named, 10 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_whole_model(rng, dtype, norm, shared):
    config = Seq2SeqConfig(
        13, 13 if shared else 11, 6, 5, n_layer=2, n_head=2, n_embd=8, n_decoder_layer=3, norm=norm,
        share_embeddings=shared, positions="sinusoidal", label_smoothing=0.1, init_std=0.2,
    )  # fmt: skip
    ours = EncoderDecoder(config, seed=0).astype(dtype)
    theirs = reference.Translator(config).to(getattr(torch, dtype))
    reference.load(theirs.named(), ours.state_dict())
    source_ids, target_ids = rng.integers(0, 13, (3, 6)), rng.integers(0, 11, (3, 5))
    targets = np.where(TARGET_MASK, rng.integers(0, 11, (3, 5)), -1)

    logits = ours(source_ids, target_ids, SOURCE_MASK)
    expected = theirs(*map(torch.from_numpy, (source_ids, target_ids, SOURCE_MASK)))
    np.testing.assert_allclose(
        logits.data, expected.detach().numpy(), rtol=0, atol=2 * TOLERANCE[dtype]
    )
    loss = ours.loss(source_ids, target_ids, targets, SOURCE_MASK)
    expected_loss = TF.cross_entropy(
        expected.flatten(0, 1), torch.from_numpy(targets).flatten(), ignore_index=-1,
        label_smoothing=0.1,
    )  # fmt: skip
    assert loss.item() == pytest.approx(expected_loss.item(), rel=TOLERANCE[dtype])
    loss.backward()
    expected_loss.backward()
    reference.assert_same_gradients(ours, theirs.named(), 100 * TOLERANCE[dtype])
