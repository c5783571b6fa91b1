"""GPTs out of GPT-2 folders and into them; tests/parity holds them against Transformers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest

from minigpt import GPT, BPETokenizer, CharTokenizer, GPTConfig, Tensor, load_tokenizer
from minigpt.functional import ACTIVATIONS
from minigpt.interop import PretrainedError, SafetensorsFile, write_safetensors
from minigpt.nn import add_lora, merge_lora
from minigpt.nn.initial_weights import without_initial_weights
from minigpt.optim import AdamW

SIZES = {"vocab_size": 13, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 12}
KINDS = {
    "GPT-2": {},
    "untied head": {"tie_head": False},
    "n_inner": {"n_inner": 5},
    "dropout": {"dropout": 0.25},
    "numbers": {"layer_norm_eps": 0.01, "init_std": 0.5},
    **{name: {"activation": name} for name in ACTIVATIONS},
}
IDS = np.arange(16).reshape(2, 8) % 13


def small(**changes) -> GPT:
    model = GPT(GPTConfig(**SIZES | changes), seed=1)
    rng = np.random.default_rng(2)
    for parameter in model.parameters():  # biases and norms too
        parameter.data += rng.normal(0, 0.3, parameter.shape).astype(np.float32)
    return model


@pytest.fixture
def folder(tmp_path):
    """The folder of a small model."""
    small().save_pretrained(tmp_path)
    return tmp_path


def tensors(folder):
    file = SafetensorsFile(folder / "model.safetensors", memory_map=False)
    return {name: file.read(name) for name in file.tensors}


def change(folder, renamed=str, **changes):
    """Write the folder's weights again, under other names and with other arrays."""
    arrays = {renamed(name): array for name, array in tensors(folder).items()}
    for name, array in changes.items():
        arrays["transformer." + name.replace("__", ".")] = array
    write_safetensors(folder / "model.safetensors", arrays)


def configure(folder, **changes):
    keys = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(keys | changes))


def same(one, other):
    assert one.config == other.config
    state, expected = one.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(state[name], array, strict=True, err_msg=name)


# ── there and back ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("memory_map", [True, False], ids=["mapped", "copied"])
def test_there_and_back(tmp_path, kind, memory_map):
    model = small(**kind)
    model.save_pretrained(tmp_path / "new" / "folder")
    loaded = GPT.from_pretrained(tmp_path / "new" / "folder", memory_map=memory_map)
    assert type(loaded) is GPT and not loaded.training
    same(loaded, model)
    np.testing.assert_array_equal(loaded(IDS).data, model.eval()(IDS).data)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "config.json", "model.safetensors"
    ]  # fmt: skip


def test_float64_stays(tmp_path):
    model = small().astype(np.float64)
    model.save_pretrained(tmp_path)
    same(GPT.from_pretrained(tmp_path), model)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float64"


def test_names_are_gpt2s(folder):
    names = list(tensors(folder))
    assert names[:3] == [
        "transformer.wte.weight", "transformer.wpe.weight", "transformer.h.0.ln_1.weight"
    ]  # fmt: skip
    assert len(names) == 2 + 12 * 2 + 2


def test_names_without_the_prefix_and_with_masks(folder):
    model = GPT.from_pretrained(folder, memory_map=False)
    masks = {"h__0__attn__bias": np.tri(8, dtype=np.float32)[None, None]}
    change(folder, **masks, h__1__attn__masked_bias=np.array(-1e4, np.float32))
    same(GPT.from_pretrained(folder), model)
    change(folder, renamed=lambda name: name.removeprefix("transformer."))
    same(GPT.from_pretrained(folder), model)


def test_a_tied_head_may_be_stored_once_more(folder):
    wte = tensors(folder)["transformer.wte.weight"]
    model = GPT.from_pretrained(folder, memory_map=False)

    def with_head(array):
        write_safetensors(folder / "model.safetensors", tensors(folder) | {"lm_head.weight": array})

    with_head(wte)
    same(GPT.from_pretrained(folder, memory_map=False), model)
    for other in (wte + 1, wte[:-1]):
        with_head(other)
        with pytest.raises(PretrainedError, match=r"ties the head .* but lm_head.weight differs"):
            GPT.from_pretrained(folder)


def test_options_that_change_no_weight(folder):
    model = GPT.from_pretrained(folder, dropout=0.5, recompute=True)
    assert (model.config.dropout, model.config.recompute) == (0.5, True)
    assert model.blocks[0].mlp.dropout.p == 0.5
    configure(folder, attn_pdrop=0.3)
    with pytest.raises(PretrainedError, match=r"attn_pdrop=0\.3: .* choose it: dropout=0\.1"):
        GPT.from_pretrained(folder)
    assert GPT.from_pretrained(folder, dropout=0.3).config.dropout == 0.3


def test_arguments_are_not_blamed_on_the_file(folder):
    for arguments, error, message in (
        ({"dropout": 1.5}, ValueError, r"^dropout must be a probability.*: got 1\.5"),
        ({"dropout": "0.1"}, TypeError, "^dropout must be a probability.*: got '0.1'"),
        ({"recompute": 1}, TypeError, "^recompute must be True or False: got 1"),
    ):
        with pytest.raises(error, match=message) as caught:
            GPT.from_pretrained(folder, **arguments)
        assert not isinstance(caught.value, OSError)


def test_training_a_mapped_model_leaves_its_file_alone(folder):
    before = (folder / "model.safetensors").read_bytes()
    mapped = GPT.from_pretrained(folder).train()
    copied = GPT.from_pretrained(folder, memory_map=False).train()
    for model in (mapped, copied):
        optimizer = AdamW(model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            model.loss(IDS[:, :-1], IDS[:, 1:]).backward()
            optimizer.step()
    same(mapped, copied)
    assert (folder / "model.safetensors").read_bytes() == before
    mapped.load_state_dict(small().state_dict())
    same(mapped, small())


@pytest.mark.skipif(os.name == "nt", reason="a mapped file is not replaced on Windows")
def test_saving_a_mapped_model_where_it_came_from(folder):
    model = GPT.from_pretrained(folder)
    model.save_pretrained(folder)
    same(GPT.from_pretrained(folder), model)
    same(model, small())


def test_no_weight_is_drawn_and_no_memory_taken_to_load_a_model(tmp_path):
    config = GPTConfig(vocab_size=2000, block_size=64, n_layer=2, n_head=2, n_embd=128)
    GPT(config).save_pretrained(tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    tracemalloc.start()
    try:
        model = GPT.from_pretrained(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()
    assert model.num_parameters() * 4 < size


def test_weights_that_nobody_fills_are_nan():
    with without_initial_weights():
        model = GPT(GPTConfig(**SIZES))
    assert np.isnan(model(IDS).data).all()
    assert np.isfinite(GPT(GPTConfig(**SIZES))(IDS).data).all()


# ── what does not fit ─────────────────────────────────────────────────────────────────────────────


def fails(folder, message):
    with pytest.raises(PretrainedError, match=message) as caught:
        GPT.from_pretrained(folder)
    assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"vocab_size": 14}, r"wte.weight is \(13, 12\), by the configuration it is \(14, 12\)"),
        ({"n_positions": 9}, r"wpe.weight is \(8, 12\), by the configuration it is \(9, 12\)"),
        ({"n_embd": 14}, r"wte.weight is \(13, 12\).*; and 23 more"),
        ({"n_inner": 47}, r"h.0.mlp.c_fc.weight is \(12, 48\)"),
        ({"n_layer": 3}, r"h.2.ln_1.weight \(12,\) is missing.*; and 7 more"),
        ({"n_layer": 1}, r"'transformer.h.1.ln_1.weight' is not a parameter of such a model"),
        ({"tie_word_embeddings": False}, r"lm_head.weight \(13, 12\) is missing"),
        ({"n_layer": 10**12}, "n_layer=1000000000000, and the weights are 28 tensors in all"),
        ({"vocab_size": 10**12}, "wte.weight is"),
        ({"n_head": 5}, "by minigpt's names, n_embd=12 is not divisible by n_head=5"),
        ({"n_layer": 0}, "n_layer must be an integer of at least 1: got 0"),
        ({"n_layer": "2"}, "n_layer must be an integer of at least 1: got '2'"),
        ({"n_layer": True}, "n_layer must be an integer of at least 1: got True"),
        ({"n_embd": 12.0}, r"n_embd must be an integer of at least 1: got 12\.0"),
        ({"vocab_size": None}, "vocab_size must be an integer of at least 1: got None"),
        ({"layer_norm_epsilon": 0}, "layer_norm_eps must be a number above 0: got 0"),
        ({"layer_norm_epsilon": "tiny"}, "layer_norm_eps must be a number"),
        ({"tie_word_embeddings": 1}, "tie_head must be True or False"),
        (
            {key: 2 for key in ("resid_pdrop", "embd_pdrop", "attn_pdrop")},
            "dropout must be a probability.*: got 2",
        ),
        ({"model_type": "gpt_neo"}, "model_type='gpt_neo'"),
    ],
)
def test_a_config_that_does_not_fit(folder, keys, message):
    configure(folder, **keys)
    fails(folder, message)


def test_tensors_that_do_not_fit(folder):
    arrays = tensors(folder)
    path = folder / "model.safetensors"
    write_safetensors(path, arrays | {"h.0.crossattention.c_attn.weight": np.ones(3)})
    fails(folder, "'h.0.crossattention.c_attn.weight' is not a parameter of such a model")
    write_safetensors(path, {k: v for k, v in arrays.items() if "ln_f.bias" not in k})
    fails(folder, r"ln_f.bias \(12,\) is missing")
    write_safetensors(path, arrays | {"wte.weight": np.ones((13, 12), np.float32)})
    fails(folder, "holds both 'transformer.wte.weight' and 'wte.weight'")
    write_safetensors(path, arrays | {"transformer.ln_f.bias": np.ones(12)})
    fails(folder, "some of its tensors are stored as F64, others are not")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_warned_of(folder, bad):
    array = tensors(folder)["transformer.h.1.mlp.c_fc.weight"].copy()
    array[3, :2] = bad
    change(folder, h__1__mlp__c_fc__weight=array)
    message = r"2 of 576 numbers of .*h.1.mlp.c_fc.weight are NaN or infinite"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        GPT.from_pretrained(folder)
    assert caught[0].filename == __file__


def test_large_weights_are_not_taken_for_infinite(folder):
    change(folder, ln_f__weight=np.full(12, 3e38, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GPT.from_pretrained(folder)


def test_folders_without_a_model(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    fails(tmp_path / "empty", "it has no config.json: pass a folder as Transformers writes it")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    fails(folder, "does not read pytorch_model.bin")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_config(folder, content):
    (folder / "config.json").write_bytes(content)
    fails(folder, "config.json: it is n")


def test_weights_cut_off_anywhere(folder):
    content = (folder / "model.safetensors").read_bytes()
    for length in range(0, len(content), len(content) // 100):
        (folder / "model.safetensors").write_bytes(content[:length])
        fails(folder, "model.safetensors: .*cut off")


# ── what cannot be saved ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "option",
    [
        {"bias": False}, {"norm": "post"}, {"positions": "sinusoidal"},
        {"positions": "alibi"}, {"causal": False}, {"residual": False}, {"positions": "rotary"},
        {"normalization": "rms"}, {"mlp": "gated"}, {"n_kv_head": 1}, {"qk_norm": True},
    ],
)  # fmt: skip
def test_options_of_no_gpt2_are_refused_before_anything_is_written(tmp_path, option):
    ((name, value),) = option.items()
    with pytest.raises(ValueError, match=f"^{name}={value!r} cannot be saved as a GPT-2"):
        GPT(GPTConfig(**SIZES, **option)).save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_says_the_same_in_other_words_is_saved(tmp_path):
    small().save_pretrained(tmp_path / "one")
    small(n_kv_head=2, head_width=6, qkv_bias=True).save_pretrained(tmp_path / "other")
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_a_model_that_is_not_what_its_config_says(tmp_path):
    model = small()
    model.extra = small().final_norm
    with pytest.raises(
        ValueError, match=r"not the GPT that its config describes: extra.bias, extra.w"
    ):
        model.save_pretrained(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_saving_to_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        small().save_pretrained(tmp_path / "file")


def test_a_model_with_adapters_is_refused_before_anything_is_written(tmp_path):
    tokenizer = trained_tokenizer()
    model = small(vocab_size=270)
    model.save_pretrained(tmp_path, tokenizer)
    before = contents(tmp_path)
    add_lora(model, rank=2)
    with pytest.raises(ValueError, match=r"low-rank adapters, .*merge_lora\(model\)"):
        model.save_pretrained(tmp_path, BPETokenizer.train("other text " * 9, 260))
    assert contents(tmp_path) == before
    merge_lora(model)
    model.save_pretrained(tmp_path, tokenizer)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("with_tokenizer", [True, False])
def test_a_save_that_fails_anywhere_has_changed_nothing(tmp_path, monkeypatch, with_tokenizer):
    old, new = (trained_tokenizer(special_tokens=[name]) for name in ("<old>", "<new>"))
    small(vocab_size=271).save_pretrained(tmp_path, old)
    (tmp_path / "generation_config.json").write_text("{}")
    before = contents(tmp_path)
    model = small(vocab_size=271, n_head=1)
    replace, calls = os.replace, 0
    for failing in range(1, 100):
        calls = 0

        def fail_once(*args, failing=failing):
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(28, "No space left on device", str(args[0]))
            replace(*args)

        with monkeypatch.context() as patch:
            patch.setattr("os.replace", fail_once)
            try:
                model.save_pretrained(tmp_path, new if with_tokenizer else None)
            except OSError as error:
                assert ".saving" not in str(error) or "/old/" in str(error)
                assert contents(tmp_path) == before
                continue
        break
    assert failing > (10 if with_tokenizer else 4)
    assert contents(tmp_path).keys() == before.keys() - {"generation_config.json"}
    assert GPT.from_pretrained(tmp_path).config.n_head == 1


def test_a_new_folder_that_fails_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left") as caught:
        small().save_pretrained(tmp_path / "new")
    assert caught.value.filename == str(tmp_path / "new" / "model.safetensors")
    assert not (tmp_path / "new").exists()


def test_what_describes_another_model_or_tokenizer_is_removed(tmp_path):
    stale = ["tokenizer.json", "added_tokens.json", "special_tokens_map.json"]
    of_model = ["model.safetensors.index.json", "model-00001-of-00002.safetensors",
                "generation_config.json"]  # fmt: skip
    for name in [*stale, *of_model, "README.md"]:
        (tmp_path / name).write_text("of another model")
    small(vocab_size=270).save_pretrained(tmp_path)
    assert contents(tmp_path).keys() == {*stale, "README.md", "config.json", "model.safetensors"}
    small(vocab_size=270).save_pretrained(tmp_path, trained_tokenizer())
    assert not contents(tmp_path).keys() & {*stale, *of_model}
    assert (tmp_path / "README.md").exists()


def test_what_a_killed_save_has_left_goes_with_the_next(tmp_path):
    code = (
        "import os, sys, minigpt as mg\n"
        "os.replace = lambda *_: os._exit(9)\n"
        f"mg.GPT(mg.GPTConfig(**{SIZES})).save_pretrained(sys.argv[1])"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 9
    assert len(list(tmp_path.glob(".saving.*"))) == 2
    fails(tmp_path, "it has no config.json")
    other = tmp_path / f".saving.{os.getppid()}.01234567.minigpt-tmp"  # of a process that goes on
    other.mkdir()
    small().save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.json", "model.safetensors", other.name
    }  # fmt: skip


# ── with a tokenizer ──────────────────────────────────────────────────────────────────────────────


def trained_tokenizer(**options):
    return BPETokenizer.train("to be or not to be, that is the question " * 9, 270, **options)


def test_a_tokenizer_goes_along(tmp_path):
    tokenizer = trained_tokenizer(special_tokens=["<|endoftext|>"])
    small(vocab_size=tokenizer.vocab_size).save_pretrained(tmp_path, tokenizer)
    read = BPETokenizer.from_gpt2(tmp_path / "vocab.json", tmp_path / "merges.txt")
    text = "not to be, déjà vu"
    assert read.encode(text) == tokenizer.encode(text)
    keys = json.loads((tmp_path / "config.json").read_text())
    end = tokenizer.special_tokens["<|endoftext|>"]
    assert keys["eos_token_id"] == keys["bos_token_id"] == end
    small(vocab_size=tokenizer.vocab_size).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] is None


def test_tokenizers_that_do_not_fit(tmp_path):
    tokenizer = trained_tokenizer()
    with pytest.raises(ValueError, match="vocab_size=270, more than the model's 13"):
        small().save_pretrained(tmp_path, tokenizer)
    with pytest.raises(
        TypeError,
        match=r"tokenizer must be a BPETokenizer, .*: got a CharTokenizer; leave another one out",
    ):
        small().save_pretrained(tmp_path, CharTokenizer.train("abc"))
    taken = BPETokenizer(tokenizer.vocab, tokenizer.merges, ["Ġt"])  # how " t" is written
    with pytest.raises(ValueError, match="added token 'Ġt' cannot be told from the bytes"):
        small(vocab_size=300).save_pretrained(tmp_path, taken)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_gpt2s_files_cannot_tell_goes_along(tmp_path):
    names = ["<|endoftext|>", "<|im_end|>"]
    made = trained_tokenizer(pattern="gpt4", special_tokens=names)
    more = {"eos_token": "<|im_end|>", "chat_template": "{{ messages }}"}
    tokenizer = BPETokenizer(made.vocab, made.merges, names, "gpt4", **more)
    small(vocab_size=300).save_pretrained(tmp_path, tokenizer)
    assert load_tokenizer(tmp_path) == tokenizer
    keys = json.loads((tmp_path / "config.json").read_text())
    assert keys["eos_token_id"] == tokenizer.special_tokens["<|im_end|>"]


# ── looking inside ────────────────────────────────────────────────────────────────────────────────


def test_a_checkpoint_is_read_by_load_model(tmp_path):
    (tmp_path / "step-00000100.npz").write_bytes(b"")
    with pytest.raises(PretrainedError, match=r"no config.json: .* by mg\.load_model\(folder\)"):
        GPT.from_pretrained(tmp_path)
    with pytest.raises(PretrainedError, match=r"it is a file: .* by mg\.load_model\(path\)"):
        GPT.from_pretrained(tmp_path / "step-00000100.npz")


def test_hidden_states():
    model = small().eval()
    states = model.hidden_states(IDS)
    assert len(states) == model.config.n_layer + 1
    assert all(type(x) is np.ndarray and x.shape == (2, 8, 12) for x in states)
    np.testing.assert_array_equal(model.unembed(Tensor(states[-1])).data, model(IDS).data)
    np.testing.assert_array_equal(model.blocks[0](Tensor(states[0])).data, states[1])
    with pytest.raises(IndexError):
        model.hidden_states(IDS + 13)


def test_fields_of_the_config_come_out_as_plain_numbers(folder):
    config = GPT.from_pretrained(folder).config
    assert json.loads(json.dumps(dataclasses.asdict(config))) == dataclasses.asdict(config)
