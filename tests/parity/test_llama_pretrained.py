"""Llamas, Mistrals, Qwens 2 and 3 that Transformers makes and saves, read by minigpt, and back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from minigpt import GPT, Sampler, Tensor
from minigpt.interop import llama_config
from tests.interop.gguf_files import write
from tests.interop.gguf_models import gpt2, model_file

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
EVERY_FAMILY: dict[str, dict[str, Any]] = {
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
    "deep and narrow": {"num_hidden_layers": 6, "hidden_size": 16, "head_dim": 4},
    "another activation": {"hidden_act": "gelu_pytorch_tanh", "intermediate_size": 7},
}
OF_A_FAMILY: dict[str, dict[str, dict[str, Any]]] = {
    "llama": {"biases": {"attention_bias": True, "mlp_bias": True}},
    "mistral": {
        "no window": {"sliding_window": None},
        "a window as long as the context": {"sliding_window": 64},
        "heads that do not divide the width": {"hidden_size": 50, "sliding_window": None},
    },
    "qwen2": {
        "a window that is not used": {"use_sliding_window": False, "sliding_window": 8},
        "a window of further layers": {"use_sliding_window": True, "sliding_window": 8,
                                       "max_window_layers": 3},
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


@pytest.mark.parametrize("family", FAMILIES)
def test_the_defaults_are_those_of_transformers(family):
    config = CONFIGS[family]()
    derived = {"sliding_window", "layer_types"}  # in Transformers, from other keys
    derived |= {"head_dim"} if family != "qwen3" else set()
    derived |= {"num_key_value_heads"} if family == "llama" else set()
    for key in llama_config.FAMILIES[family].keys() - derived:
        assert getattr(config, key) == llama_config.FAMILIES[family][key], key


# ── ways to store the same model ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize(("family", "shards"), [("llama", "1GB"), ("qwen3", "20KB")])
def test_types_and_shards(tmp_path, family, dtype, shards, memory_map):
    theirs = published(family).to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path, max_shard_size=shards)
    files = list(tmp_path.glob("*.safetensors"))
    assert len(files) == 1 if shards == "1GB" else len(files) > 3
    ours = GPT.from_pretrained(tmp_path, memory_map=memory_map)
    wider = "float64" if dtype == "float64" else "float32"  # what is computed with here too
    exact = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=wider).eval()
    q_proj = exact.get_parameter("model.layers.1.self_attn.q_proj.weight").detach().numpy()
    found = ours.state_dict()["blocks.1.attention.qkv_proj.weight"][:, : len(q_proj)]
    np.testing.assert_array_equal(found, q_proj.T, strict=True)
    ids = prompts(length=40)
    np.testing.assert_allclose(ours(ids).data, their_logits(exact, ids), rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bare_model_without_head_and_prefix(tmp_path, family):
    theirs = published(family, tie_word_embeddings=True)
    theirs.model.save_pretrained(tmp_path)
    ids = prompts()
    ours = GPT.from_pretrained(tmp_path)
    np.testing.assert_allclose(ours(ids).data, their_logits(theirs, ids), rtol=0, atol=1e-4)


# ── GGUF ──────────────────────────────────────────────────────────────────────────────────────────

GGUF_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip


def convert(model, path, kind):
    """Write a model as llama.cpp's converter does."""
    gguf = pytest.importorskip("gguf", reason='gguf is missing: pip install -e ".[parity]"')
    config = model.config
    architecture = "llama" if config.model_type == "mistral" else config.model_type
    d = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_key_length(d)
    writer.add_value_length(d)
    if architecture == "llama":
        writer.add_rope_dimension_count(d)
    for name, parameter in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = parameter.numpy()
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        module, ending = name.rsplit(".", 1)
        if architecture == "llama" and module[-6:] in heads:  # as convert_hf_to_gguf.py permutes
            halves = array.reshape(heads[module[-6:]], 2, d // 2, *array.shape[1:])
            array = halves.swapaxes(1, 2).reshape(array.shape)
        block = ""
        if module.startswith("model.layers."):
            _, _, i, module = module.split(".", 3)
            block = f"blk.{i}."
        stored = gguf.GGMLQuantizationType[kind if array.ndim > 1 else "F32"]
        blocks = gguf.quantize(array, stored)
        writer.add_tensor(f"{block}{GGUF_NAMES[module]}.{ending}", blocks, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


OF_GGUF: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "as it is": ({}, ("F16", "Q8_0")),
    "tied": ({"tie_word_embeddings": True}, ("BF16", "Q4_1")),
    "one key and value for all": ({"num_key_value_heads": 1}, ("Q4_0", "Q5_0")),
    "another base": ({"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}}, ("Q5_1",)),
}


@pytest.mark.parametrize(("changes", "kinds"), OF_GGUF.values(), ids=OF_GGUF)
@pytest.mark.parametrize("family", FAMILIES)
def test_gguf_files(tmp_path, family, changes, kinds):
    """The same logits as Transformers, which wrote the model, and which reads the file too."""
    sizes = {"hidden_size": 64, "head_dim": 16, "intermediate_size": 96}
    if family == "qwen3":  # the only width that Transformers takes from such a file
        sizes["head_dim"] = 128
    theirs = published(family, **sizes, **changes)
    ids = prompts(length=40)
    convert(theirs, tmp_path / "F32.gguf", "F32")
    ours = GPT.from_pretrained(tmp_path / "F32.gguf")
    np.testing.assert_allclose(ours(ids).data, their_logits(theirs, ids), rtol=0, atol=1e-4)
    for kind in kinds:
        convert(theirs, tmp_path / f"{kind}.gguf", kind)
        assert_read_alike(tmp_path / f"{kind}.gguf", ids)


def test_a_gguf_file_of_a_gpt2(tmp_path):
    model = gpt2(vocab_size=50257, block_size=1024)  # which Transformers takes for granted
    path = write(tmp_path / "gpt2.gguf", model_file(model, "gpt2", "Q8_0"))
    assert_read_alike(path, prompts(length=30))


def assert_read_alike(path, ids):
    pytest.importorskip("accelerate", reason='accelerate is missing: pip install -e ".[parity]"')
    theirs = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)
    found, expected = GPT.from_pretrained(path)(ids).data, their_logits(theirs.eval(), ids)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
