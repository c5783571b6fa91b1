"""GPT-2s that Transformers makes and saves, read by minigpt; and the other way round."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from minigpt import GPT, BPETokenizer, GPTConfig, Sampler, Tensor
from minigpt.interop import SafetensorsFile, write_safetensors
from minigpt.optim import AdamW

torch = pytest.importorskip("torch", reason='torch is not installed: pip install -e ".[parity]"')
transformers = pytest.importorskip(
    "transformers", reason='transformers is not installed: pip install -e ".[parity]"'
)

SIZES = {"vocab_size": 61, "n_positions": 96, "n_layer": 3, "n_head": 4, "n_embd": 48}
SHAPES = {
    "as it is": {},
    "one head": {"n_head": 1},
    "heads of width 1": {"n_head": 24, "n_embd": 24},
    "narrow": {"n_embd": 8, "n_head": 2},
    "wide": {"n_embd": 160, "n_head": 5},
    "one layer": {"n_layer": 1},
    "deep": {"n_layer": 8, "n_embd": 32},
    "the shortest context for 64 new tokens": {"n_positions": 72},
    "a long context": {"n_positions": 300},
    "a vocabulary of 7": {"vocab_size": 7},
    "a large vocabulary": {"vocab_size": 2003},
    "untied head": {"tie_word_embeddings": False},
    "narrow inside": {"n_inner": 20},
    "wide inside": {"n_inner": 301},
    "a large epsilon": {"layer_norm_epsilon": 0.1},
    "upcast": {"reorder_and_upcast_attn": True, "attn_implementation": "eager"},
    "no dropout": dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    **{
        activation: {"activation_function": activation}
        for activation in (
            "relu", "silu", "gelu", "tanh", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "swish"
        )
    },
}  # fmt: skip
PROMPT, NEW = 8, 64


def gpt2(seed=0, **changes):
    """A GPT-2 whose every number is drawn, so widely that its greedy choices are clear ones."""
    config = transformers.GPT2Config(
        **SIZES | changes, bos_token_id=None, eos_token_id=None, pad_token_id=None
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        scale = 1.5 / p.shape[0] ** 0.5 if p.dim() == 2 and "h." in name else 0.3
        noise = scale * torch.randn(p.shape, generator=generator)
        p.data = noise if p.dim() == 2 else p.data + noise
    return model


def prompts(vocab_size, batch_size=2, length=PROMPT):
    return np.random.default_rng(1).integers(0, vocab_size, (batch_size, length))


def their_logits(model, ids):
    with torch.inference_mode():
        return model(torch.from_numpy(ids)).logits.float().numpy()


def generate(model, ids, new=NEW, **options):
    """What Transformers writes, greedily."""
    ids = torch.from_numpy(ids)
    with torch.inference_mode():
        return model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, **options
        ).numpy()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models as small as these are slower on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=SHAPES, ids=SHAPES)
def models(request, tmp_path_factory):
    """A GPT-2 of Transformers, and ours out of the folder that it was saved to."""
    theirs = gpt2(**SHAPES[request.param])
    folder = tmp_path_factory.mktemp("gpt2")
    theirs.save_pretrained(folder)
    return GPT.from_pretrained(folder), theirs


def test_logits(models):
    ours, theirs = models
    ids = prompts(theirs.config.vocab_size, length=theirs.config.n_positions)
    expected = their_logits(theirs, ids)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(ours(ids).data, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"scale_attn_weights": False},
        {"scale_attn_by_inverse_layer_idx": True},
        {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True},
    ],
    ids=str,
)
def test_scales_of_attention_are_honoured_in_and_out(tmp_path, options):
    theirs, plain = gpt2(**options), gpt2()
    theirs.save_pretrained(tmp_path / "theirs")
    ours = GPT.from_pretrained(tmp_path / "theirs")
    ids = prompts(theirs.config.vocab_size, length=40)
    expected = their_logits(theirs, ids)
    assert np.abs(their_logits(plain, ids) - expected).max() > 0.1
    np.testing.assert_allclose(ours(ids).data, expected, rtol=0, atol=1e-4)
    written = generate(theirs, ids, 16)
    np.testing.assert_array_equal(Sampler(ours).generate_ids(ids, 16, temperature=0), written)
    ours.save_pretrained(tmp_path / "ours")
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "ours").eval()
    np.testing.assert_allclose(their_logits(again, ids), expected, rtol=0, atol=1e-4)
    with torch.inference_mode():
        maps = gpt2_maps(theirs, ids)
    for found, wanted in zip(ours.attention_weights(ids), maps, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def gpt2_maps(model, ids):
    model.set_attn_implementation("eager")
    maps = model(torch.from_numpy(ids), output_attentions=True).attentions
    return [layer.numpy() for layer in maps]


def test_weights_under_the_heads_name_only_and_with_wrappers_prefixes(tmp_path):
    """As safetensors.torch.save_model writes a tied model, and as wrapped models are saved."""
    from safetensors.torch import save_file, save_model

    theirs, ids = gpt2(), prompts(SIZES["vocab_size"])
    expected = their_logits(theirs, ids)
    theirs.save_pretrained(tmp_path)
    save_model(theirs, str(tmp_path / "model.safetensors"))
    names = SafetensorsFile(tmp_path / "model.safetensors", memory_map=False).tensors
    assert ("lm_head.weight" in names) != ("transformer.wte.weight" in names)
    np.testing.assert_allclose(GPT.from_pretrained(tmp_path)(ids).data, expected, atol=1e-4)
    state = {n: t.clone() for n, t in theirs.state_dict().items() if "wte" not in n}
    for wrapper in ("", "module.", "_orig_mod.", "model.", "_orig_mod.module."):
        save_file({wrapper + n: t for n, t in state.items()}, tmp_path / "model.safetensors")
        np.testing.assert_allclose(
            GPT.from_pretrained(tmp_path, memory_map=False)(ids).data, expected, atol=1e-4
        )


def test_hidden_states_of_every_layer(models):
    ours, theirs = models
    ids = prompts(theirs.config.vocab_size, length=40)
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(ids), output_hidden_states=True).hidden_states
    states = ours.hidden_states(ids)
    assert len(states) == len(expected) == theirs.config.n_layer + 1
    states[-1] = ours.final_norm(Tensor(states[-1])).data  # theirs comes after it
    for layer, (found, right) in enumerate(zip(states, expected, strict=True)):
        np.testing.assert_allclose(
            found, right.numpy(), rtol=0, atol=1e-4, err_msg=f"layer {layer}"
        )


def test_greedy_continuations_of_64_tokens(models):
    ours, theirs = models
    ids = prompts(theirs.config.vocab_size)
    found = Sampler(ours).generate_ids(ids, NEW, temperature=0)
    assert found.shape == (2, PROMPT + NEW)
    assert len(np.unique(found[:, PROMPT:])) > 1  # it does not say the same all the time
    np.testing.assert_array_equal(found, generate(theirs, ids))


def test_four_beams(models):
    ours, theirs = models
    ids = prompts(theirs.config.vocab_size)
    found = Sampler(ours).generate_ids(ids, NEW, num_beams=4)
    np.testing.assert_array_equal(found, generate(theirs, ids, num_beams=4))


# ── ways to store the same model ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("shards", ["1GB", "20KB"])
def test_types_and_shards(tmp_path, dtype, shards, memory_map):
    theirs = gpt2().to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path, max_shard_size=shards)
    files = list(tmp_path.glob("*.safetensors"))
    assert len(files) == 1 if shards == "1GB" else len(files) > 5
    ours = GPT.from_pretrained(tmp_path, memory_map=memory_map)
    wider = torch.float64 if dtype == "float64" else torch.float32
    exact = theirs.to(wider)  # the same numbers; the arithmetic is float32 or float64 here too
    for name, ours_name in (("wte.weight", "token_embedding"), ("ln_f.weight", "final_norm")):
        expected = exact.get_parameter(f"transformer.{name}").detach().numpy()
        np.testing.assert_array_equal(
            ours.state_dict()[f"{ours_name}.weight"], expected, strict=True
        )
    ids = prompts(61)
    np.testing.assert_allclose(ours(ids).data, their_logits(exact, ids), rtol=0, atol=1e-4)


def test_the_bare_model_without_the_prefix(tmp_path):
    theirs = gpt2()
    theirs.transformer.save_pretrained(tmp_path)
    ids = prompts(61)
    ours = GPT.from_pretrained(tmp_path)
    np.testing.assert_allclose(ours(ids).data, their_logits(theirs, ids), rtol=0, atol=1e-4)


def test_as_openai_published_it(tmp_path):
    """Names without the prefix, tables of masks, and a header of odd length."""
    theirs = gpt2()
    theirs.save_pretrained(tmp_path)
    file = SafetensorsFile(tmp_path / "model.safetensors", memory_map=False)
    arrays = {name.removeprefix("transformer."): file.read(name) for name in file.tensors}
    mask = np.tri(96, dtype=np.float32)[None, None]
    arrays |= {f"h.{layer}.attn.bias": mask for layer in range(3)}
    path = tmp_path / "model.safetensors"
    write_safetensors(path, arrays, {"format": "pt"})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little") + 3
    path.write_bytes(
        length.to_bytes(8, "little") + content[8 : 5 + length] + b"   " + content[5 + length :]
    )
    ids = prompts(61)
    ours = GPT.from_pretrained(tmp_path)
    assert all(p.data.flags.aligned for p in ours.parameters())
    np.testing.assert_allclose(ours(ids).data, their_logits(theirs, ids), rtol=0, atol=1e-4)


def test_our_reader_and_writer_against_the_safetensors_package(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    arrays = {
        "é": rng.standard_normal((3, 4)).astype(np.float32),
        "f64": rng.standard_normal((2, 1, 3)),
        "empty": np.zeros((0, 2), np.float32),
        "scalar": np.array(1, np.float32),
    }
    write_safetensors(tmp_path / "ours", arrays, {"format": "pt"})
    for name, array in safetensors.load_file(tmp_path / "ours").items():
        np.testing.assert_array_equal(array, arrays.pop(name), strict=True)
    assert not arrays
    half = {"half": rng.standard_normal(5).astype(np.float16)}
    safetensors.save_file(half, tmp_path / "theirs")
    read = SafetensorsFile(tmp_path / "theirs").read("half")
    np.testing.assert_array_equal(read, half["half"].astype(np.float32), strict=True)


# ── ours under Transformers ───────────────────────────────────────────────────────────────────────

KINDS = {
    "as it is": {},
    "untied head": {"tie_head": False},
    "everything else": {"n_inner": 33, "layer_norm_eps": 1e-3, "dropout": 0.3, "init_std": 0.1},
    **{name: {"activation": name} for name in ("gelu_erf", "relu", "silu", "tanh")},
}
TEXT = "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer. " * 20


def trained(tokens, **changes):
    sizes = {"block_size": 48, "n_layer": 2, "n_head": 2, "n_embd": 32}
    model = GPT(GPTConfig(**{"vocab_size": int(tokens.max()) + 1} | sizes | changes), seed=0)
    optimizer = AdamW(model.parameters(), lr=1e-2)
    for step in range(8):
        rows = np.stack([tokens[start : start + 33] for start in range(step, step + 80, 10)])
        optimizer.zero_grad()
        model.loss(rows[:, :-1], rows[:, 1:]).backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_trained_here_and_saved(tmp_path, kind, dtype):
    tokens = np.frombuffer(TEXT.encode(), np.uint8).astype(np.int64)
    ours = trained(tokens, **kind).astype(dtype)
    ours.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto").eval()
    assert theirs.dtype == getattr(torch, np.dtype(dtype).name)
    assert theirs.config.activation_function == json.loads(
        (tmp_path / "config.json").read_text()
    )["activation_function"]  # fmt: skip
    ids = tokens[None, :40]
    np.testing.assert_allclose(ours(ids).data, their_logits(theirs, ids), rtol=0, atol=1e-4)
    found = Sampler(ours).generate_ids(ids[:, :PROMPT], 40, temperature=0)
    expected = generate(theirs, ids[:, :PROMPT], new=40)
    np.testing.assert_array_equal(found, expected)

    again = tmp_path / "again"
    theirs.save_pretrained(again)
    for name, array in GPT.from_pretrained(again).state_dict().items():
        np.testing.assert_array_equal(array, ours.state_dict()[name], strict=True)


@pytest.mark.parametrize("special", [["<|endoftext|>"], []], ids=["end of text", "no special"])
def test_model_and_tokenizer(tmp_path, special):
    tokenizer = BPETokenizer.train(TEXT, 300, special_tokens=special)
    ours = trained(tokenizer.encode_array(TEXT).astype(np.int64), vocab_size=tokenizer.vocab_size)
    ours.save_pretrained(tmp_path, tokenizer)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in (TEXT, "déjà vu, 你好 🎈\n\n  a  b"):
        ids = tokenizer.encode(text)
        assert their_tokenizer(text, add_special_tokens=False)["input_ids"] == ids
        assert their_tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text
    assert len(their_tokenizer) == tokenizer.vocab_size
    assert theirs.config.eos_token_id == their_tokenizer.eos_token_id
    assert theirs.config.eos_token_id == tokenizer.special_tokens.get("<|endoftext|>")
    ids = np.array([tokenizer.encode(TEXT)[:30]])
    np.testing.assert_allclose(ours(ids).data, their_logits(theirs, ids), rtol=0, atol=1e-4)
