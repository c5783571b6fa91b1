"""Llamas, Mistrals, Qwens 2 and 3 that Transformers makes and saves, read by minigpt, and back."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minigpt import GPT, Sampler, Tensor

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
transformers = pytest.importorskip(
    "transformers", reason='transformers is not installed: pip install -e ".[parity]"'
)

SIZES = {
    "vocab_size": 61, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 1000.0, "factor": 4.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
}  # fmt: skip
EVERY_FAMILY = {
    "as it is": {},
    "no groups": {"num_key_value_heads": 4},
    "one key and value for all": {"num_key_value_heads": 1},
    "one head": {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 48},
    "wide heads": {"head_dim": 20},
    "narrow heads": {"head_dim": 2, "num_attention_heads": 6, "num_key_value_heads": 3},
    "a tied head": {"tie_word_embeddings": True},
    "a large epsilon": {"rms_norm_eps": 0.1},
    "another base": {"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}},
    "linear scaling": {
        "rope_parameters": {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.5}
    },
    "the scaling of Llama 3": {"rope_parameters": LLAMA3},
    "deep and narrow": {"num_hidden_layers": 9, "hidden_size": 16, "head_dim": 4},
    "another activation": {"hidden_act": "gelu_pytorch_tanh", "intermediate_size": 7},
}
OF_A_FAMILY = {
    "llama": {"biases": {"attention_bias": True, "mlp_bias": True}},
    "mistral": {
        "no window": {"sliding_window": None},
        "a window as long as the context": {"sliding_window": 64},
        "heads that do not divide the width": {"hidden_size": 50, "sliding_window": None},
    },
    "qwen2": {
        "a window that is not used": {"use_sliding_window": False, "sliding_window": 8},
        "a window as long as the context": {"use_sliding_window": True, "sliding_window": 64,
                                            "max_window_layers": 1},
        "heads that do not divide the width": {"hidden_size": 50},
    },
    "qwen3": {
        "a window as long as the context": {"use_sliding_window": True, "sliding_window": 64,
                                            "max_window_layers": 1},
        "heads that do not divide the width": {"hidden_size": 50},
    },
}  # fmt: skip
CONFIGS = {
    "llama": transformers.LlamaConfig,
    "mistral": transformers.MistralConfig,
    "qwen2": transformers.Qwen2Config,
    "qwen3": transformers.Qwen3Config,
}
FAMILIES = list(CONFIGS)
CASES = {
    f"{family}: {name}": (family, changes)
    for family in FAMILIES
    for name, changes in {**EVERY_FAMILY, **OF_A_FAMILY[family]}.items()
}
PROMPT, NEW = 7, 24


def published(family, seed=0, **changes):
    """A model whose every number is drawn, so widely that its greedy choices are clear ones."""
    options = SIZES | ({"sliding_window": None} if family == "mistral" else {}) | changes
    config = CONFIGS[family](**options, bos_token_id=None, eos_token_id=None, pad_token_id=None)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        scale = 1.5 / p.shape[1] ** 0.5 if p.dim() == 2 and "layers" in name else 0.3
        noise = scale * torch.randn(p.shape, generator=generator)
        p.data = noise if p.dim() == 2 else p.data + noise
    return model


def prompts(vocab_size=61, batch_size=2, length=PROMPT):
    return np.random.default_rng(1).integers(0, vocab_size, (batch_size, length))


def their_logits(model, ids):
    with torch.inference_mode():
        return model(torch.from_numpy(ids)).logits.float().numpy()


def generate(model, ids):
    """What Transformers writes, greedily."""
    ids = torch.from_numpy(ids)
    with torch.inference_mode():
        return model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False
        ).numpy()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models as small as these are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def models(request, tmp_path_factory):
    """A model of Transformers, and ours out of the folder that it was saved to."""
    family, changes = request.param
    theirs = published(family, **changes)
    folder = tmp_path_factory.mktemp(family)
    theirs.save_pretrained(folder)
    return GPT.from_pretrained(folder), theirs


def test_logits(models):
    ours, theirs = models
    ids = prompts(length=theirs.config.max_position_embeddings)
    expected = their_logits(theirs, ids)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(ours(ids).data, expected, rtol=0, atol=1e-4)


def test_hidden_states_of_every_layer(models):
    ours, theirs = models
    ids = prompts(length=40)
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(ids), output_hidden_states=True).hidden_states
    states = ours.hidden_states(ids)
    assert len(states) == len(expected) == theirs.config.num_hidden_layers + 1
    states[-1] = ours.final_norm(Tensor(states[-1])).data  # theirs comes after it
    for layer, (found, right) in enumerate(zip(states, expected, strict=True)):
        np.testing.assert_allclose(
            found, right.numpy(), rtol=0, atol=1e-4, err_msg=f"layer {layer}"
        )


def test_greedy_continuations(models):
    ours, theirs = models
    found = Sampler(ours).generate_ids(prompts(), NEW, temperature=0)
    assert len(np.unique(found[:, PROMPT:])) > 1  # it does not say the same all the time
    np.testing.assert_array_equal(found, generate(theirs, prompts()))


def test_the_way_back_out(models, tmp_path):
    ours, theirs = models
    ours.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again, info = transformers.AutoModelForCausalLM.from_pretrained(
            tmp_path, output_loading_info=True
        )
    assert not any(info.values())  # no tensor is missing, unexpected or of another shape
    family = theirs.config.model_type
    expected = {"mistral"} if theirs.config.hidden_size % 4 == 2 else {"llama"}
    assert again.config.model_type in (expected if family in ("llama", "mistral") else {family})
    ids = prompts(length=40)
    np.testing.assert_allclose(
        their_logits(again.eval(), ids), their_logits(theirs, ids), rtol=0, atol=1e-4
    )
    ours_again = GPT.from_pretrained(tmp_path)
    assert ours_again.config == ours.config
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(ours_again.state_dict()[name], array, strict=True)
