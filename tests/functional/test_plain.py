"""The GPT on the page of plain equations is the GPT of the library: value and gradient."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from minigpt import Tensor
from minigpt.autograd import gradients
from minigpt.functional import plain, plain_llama

ROOT = Path(__file__).resolve().parents[2]
IDS = np.array([[1, 4, 0, 2, 2, 3], [5, 5, 1, 0, 6, 2]])
TARGETS = np.array([[4, 0, 2, 2, 3, -1], [5, 1, 0, 6, 2, 1]])


def gpt2(bias):
    return mg.GPTConfig(7, block_size=8, n_layer=3, n_head=2, n_embd=12, bias=bias)


def model_and_arrays(dtype, config):
    """A model whose every parameter is random, biases and gains too, and its parameters by name."""
    model = mg.GPT(config, seed=0)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        noise = rng.standard_normal(parameter.shape) / 3
        parameter.data = (parameter.data + noise).astype(dtype)
    return model, {
        name: Tensor(parameter.data.copy(), requires_grad=True)
        for name, parameter in model.named_parameters()
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_gpt_on_the_page_is_the_gpt_of_the_library(dtype, tolerance, bias):
    model, arrays = model_and_arrays(dtype, gpt2(bias))
    logits = plain.gpt(IDS, arrays, n_head=2)
    np.testing.assert_allclose(logits.data, model(IDS).data, rtol=tolerance, atol=tolerance)
    loss, expected = plain.cross_entropy(logits, TARGETS), model.loss(IDS, TARGETS)
    assert loss.dtype == expected.dtype == dtype
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    found, wanted = gradients(loss), gradients(expected)
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            found[arrays[name]], wanted[parameter], rtol=tolerance, atol=tolerance, err_msg=name
        )


LLAMAS = {
    "Llama": {"n_kv_head": 2, "tie_head": True},
    "Qwen 3": {"n_kv_head": 1, "head_width": 4, "qk_norm": True},
    "Qwen 2": {"n_kv_head": 4, "qkv_bias": True},
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-5)])
@pytest.mark.parametrize("changes", LLAMAS.values(), ids=LLAMAS)
def test_the_llama_on_the_page_is_the_llama_of_the_library(dtype, tolerance, changes):
    config = mg.GPTConfig.llama(7, 8, n_layer=2, n_head=4, n_embd=8, n_inner=5, **changes)
    model, arrays = model_and_arrays(dtype, config)
    mask = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    targets = np.where(mask, TARGETS, -1)
    logits = plain_llama.llama(IDS, arrays, 4, config.n_kv_head, mask=mask[:, None, None, :])
    np.testing.assert_allclose(
        logits.data[mask], model(IDS, mask).data[mask], rtol=tolerance, atol=tolerance
    )
    found = gradients(plain.cross_entropy(logits, targets))
    wanted = gradients(model.loss(IDS, targets, mask))
    for name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            found[arrays[name]], wanted[parameter], rtol=tolerance, atol=tolerance, err_msg=name
        )


def test_padding_is_hidden_from_the_gpt_on_the_page_too():
    model, arrays = model_and_arrays(np.float64, gpt2(bias=True))
    mask = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    expected = model(IDS, attention_mask=mask).data[mask]
    logits = plain.gpt(IDS, arrays, n_head=2, mask=mask[:, None, None, :]).data[mask]
    np.testing.assert_allclose(logits, expected, rtol=1e-10, atol=1e-10)


def test_every_label_that_the_library_cites_is_explained_at_the_head_of_the_page():
    explained = set(re.findall(r"^E\d+", plain.__doc__, re.MULTILINE))
    assert explained == {f"E{i}" for i in range(1, 16)}
    for path in (ROOT / "minigpt").rglob("*.py"):
        cited = set(re.findall(r"\bE\d+\b", path.read_text(encoding="utf-8")))
        assert cited <= explained, path
