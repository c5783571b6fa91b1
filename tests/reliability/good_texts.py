"""Good calls of tokenizers, datasets, files and metrics."""

# mypy: disable-error-code="misc"

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

import minigpt as mg
from minigpt import checkpoints, datasets, interop, metrics, tokenizers
from minigpt.datasets import Completion
from tests.reliability.good_call import GoodCalls
from tests.reliability.good_files import TEXT, folder, gpt, gpt_with_lora

CHARACTERS = mg.CharTokenizer("abc", unknown_token="?", special_tokens=["<s>"])
PAIRS = mg.BPETokenizer.train("abc abc", 258, ["<s>"], progress=False)
ENCODE = dict(allowed_special={"<s>"}, disallowed_special="all")
DECODE = dict(ids=[0, 1], skip_special_tokens=False)
FLAGS = ("special", "lstrip", "rstrip", "single_word", "normalized")
SEQUENCES = [[1, 2, 3], [2]]
TOKENS = np.arange(40)
BATCH = dict(block_size=4, batch_size=2)


def write_by(path, vocab_size):
    with datasets.token_writer(path, vocab_size) as writer:
        writer.write([0, 1])


def curriculum():
    return datasets.Curriculum([(datasets.SequentialBatches(TOKENS, **BATCH), 2)])


def table():
    return metrics.MatchTable(["a", "b"], ["x", "y"])


TOKENIZERS: GoodCalls = {
    "tokenizers.AddedToken": lambda: (
        tokenizers.AddedToken, dict(name="<s>", id=7, **dict.fromkeys(FLAGS, False)),
    ),
    "tokenizers.CharTokenizer": lambda: (
        mg.CharTokenizer, dict(characters="abc", unknown_token="?", special_tokens=["<s>"]),
    ),
    "tokenizers.CharTokenizer.train": lambda: (
        mg.CharTokenizer.train,
        dict(text_or_iterable="abc", unknown_token="?", special_tokens=["<s>"]),
    ),
    "tokenizers.CharTokenizer.from_dict": lambda: (
        mg.CharTokenizer.from_dict, dict(data=CHARACTERS.to_dict()),
    ),
    "tokenizers.BPETokenizer": lambda: (
        mg.BPETokenizer,
        dict(vocab=PAIRS.vocab, merges=PAIRS.merges, special_tokens=["<s>"], pattern="gpt2",
             added_tokens=[tokenizers.AddedToken("<a>", normalized=True)], ignore_merges=False,
             normalization="NFC", bos_token="<s>", eos_token="<s>", add_bos_token=False,
             chat_template="{{ 1 }}"),
    ),
    "tokenizers.BPETokenizer.train": lambda: (
        mg.BPETokenizer.train,
        dict(text_or_iterable="abc", vocab_size=258, special_tokens=["<s>"], pattern="gpt2",
             progress=False),
    ),
    "tokenizers.BPETokenizer.from_dict": lambda: (
        mg.BPETokenizer.from_dict, dict(data=PAIRS.to_dict()),
    ),
    "tokenizers.BPETokenizer.from_gpt2": lambda: (
        mg.BPETokenizer.from_gpt2,
        dict(vocab_json=folder() / "gpt2" / "vocab.json",
             merges_txt=folder() / "gpt2" / "merges.txt", special_tokens=["<s>"]),
    ),
    "tokenizers.BPETokenizer.to_gpt2": lambda: (PAIRS.to_gpt2, dict(folder="out")),
    "tokenizers.BPETokenizer.to_transformers": lambda: (PAIRS.to_transformers, dict(folder="out")),
    "tokenizers.Tokenizer.save": lambda: (PAIRS.save, dict(path="t.json")),
    "tokenizers.Tokenizer.encode_mixed": lambda: (
        CHARACTERS.encode_mixed, dict(pieces=[("ab", False), ("<s>", True)]),
    ),
    "tokenizers.BPETokenizer.encode_mixed": lambda: (
        PAIRS.encode_mixed, dict(pieces=[("ab", False), ("<s>", True)]),
    ),
    **{
        f"tokenizers.{name}.{method}": lambda t=tokenizer, method=method: (
            getattr(t, method), dict(text="abc", **ENCODE),
        )
        for name, tokenizer in (("CharTokenizer", CHARACTERS), ("BPETokenizer", PAIRS))
        for method in ("encode", "encode_array")
    },
    **{
        f"tokenizers.{name}.{method}": lambda t=tokenizer, method=method: (
            getattr(t, method), dict(iterable=["abc", "a"], **ENCODE),
        )
        for name, tokenizer in (("CharTokenizer", CHARACTERS), ("BPETokenizer", PAIRS))
        for method in ("encode_iterable", "encode_arrays")
    },
    **{
        f"tokenizers.{name}.{method}": lambda t=tokenizer, method=method: (
            getattr(t, method), dict(DECODE),
        )
        for name, tokenizer in (("CharTokenizer", CHARACTERS), ("BPETokenizer", PAIRS))
        for method in ("decode", "decode_bytes")
    },
    "tokenizers.load_tokenizer": lambda: (
        tokenizers.load_tokenizer, dict(path=folder() / "tokenizer.json"),
    ),
    "tokenizers.tokenizer_from_dict": lambda: (
        tokenizers.tokenizer_from_dict, dict(data=CHARACTERS.to_dict()),
    ),
    "load_tokenizer": lambda: (mg.load_tokenizer, dict(path=folder() / "tokenizer.json")),
}  # fmt: skip

DATASETS: GoodCalls = {
    **{
        f"datasets.{name}": lambda name=name: (
            getattr(datasets, name), dict(tokens=TOKENS, **BATCH, seed=0),
        )
        for name in ("EpochBatches", "RandomBatches")
    },
    **{
        f"datasets.{name}": lambda name=name: (
            getattr(datasets, name), dict(tokens=TOKENS, **BATCH),
        )
        for name in ("SequentialBatches", "StreamBatches")
    },
    "datasets.ResumableBatches.load_state_dict": lambda: (
        datasets.RandomBatches(TOKENS, **BATCH, seed=0).load_state_dict,
        dict(state=datasets.RandomBatches(TOKENS, **BATCH, seed=0).state_dict()),
    ),
    "datasets.Completion": lambda: (Completion, dict(ids=(1, 2), said=(False, True))),
    "datasets.Completion.read": lambda: (Completion.read, dict(ids=[1, 2])),
    "datasets.Completion.say": lambda: (Completion.say, dict(ids=[1, 2])),
    "datasets.CompletionBatches": lambda: (
        datasets.CompletionBatches,
        dict(completions=[Completion.read([1]) + Completion.say([2])], batch_size=1, seed=0,
             pad_id=0, block_size=4),
    ),
    "datasets.Curriculum.load_state_dict": lambda: (
        curriculum().load_state_dict, dict(state=curriculum().state_dict()),
    ),
    "datasets.Curriculum": lambda: (
        datasets.Curriculum, dict(stages=[(datasets.SequentialBatches(TOKENS, **BATCH), 2)]),
    ),
    "datasets.LabelledBatches": lambda: (
        datasets.LabelledBatches,
        dict(sequences=SEQUENCES, labels=[0, 1], batch_size=1, seed=0, pad_id=0),
    ),
    "datasets.MaskedBatches": lambda: (
        datasets.MaskedBatches,
        dict(sequences=SEQUENCES, batch_size=1, seed=0, mask_id=5, vocab_size=6, probability=0.5,
             special_ids=[0], pad_id=0),
    ),
    "datasets.PairBatches": lambda: (
        datasets.PairBatches,
        dict(sources=SEQUENCES, targets=SEQUENCES, batch_size=1, seed=0, bos_id=7, eos_id=8,
             pad_id=0),
    ),
    "datasets.get_corpus": lambda: (datasets.get_corpus, dict(name="python-docs")),
    "datasets.iter_text": lambda: (
        datasets.iter_text,
        dict(name_or_path=folder() / "texts", chunk_chars=100, suffixes=[".txt"]),
    ),
    "datasets.load_text": lambda: (
        datasets.load_text,
        dict(name_or_path=folder() / "texts", suffixes=[".txt"], max_bytes=1000),
    ),
    "datasets.masked": lambda: (
        datasets.masked,
        dict(ids=np.ones((2, 3), int), rng=np.random.default_rng(0), mask_id=5, vocab_size=6,
             probability=0.5, special_ids=[0], attention_mask=np.ones((2, 3), bool)),
    ),
    "datasets.open_tokens": lambda: (datasets.open_tokens, dict(path=folder() / "tokens.npy")),
    "datasets.split_point": lambda: (datasets.split_point, dict(length=100, val_fraction=0.1)),
    "datasets.train_val_split": lambda: (
        datasets.train_val_split, dict(tokens=TOKENS, val_fraction=0.25, block_size=4),
    ),
    "datasets.token_dtype": lambda: (datasets.token_dtype, dict(vocab_size=100)),
    "datasets.token_writer": lambda: (write_by, dict(path="tokens.npy", vocab_size=100)),
    "datasets.TokenWriter.write": lambda: (
        datasets.TokenWriter(io.BytesIO(), 100).write, dict(ids=[1, 2]),
    ),
    "datasets.write_tokens": lambda: (
        datasets.write_tokens, dict(path="tokens.npy", ids=[1, 2], vocab_size=100),
    ),
}  # fmt: skip

FILES: GoodCalls = {
    "interop.GGUFFile": lambda: (
        interop.GGUFFile, dict(path=folder() / "x.gguf", memory_map=False),
    ),
    **{
        f"interop.GGUFFile.{method}": lambda method=method: (
            getattr(interop.GGUFFile(folder() / "x.gguf"), method), dict(name="x"),
        )
        for method in ("blocks", "dtype", "lies_as_in_memory", "read")
    },
    "interop.GGUFFile.read_into": lambda: (
        interop.GGUFFile(folder() / "x.gguf").read_into,
        dict(name="x", x=np.empty((2, 3), np.float32)),
    ),
    "interop.SafetensorsFile": lambda: (
        interop.SafetensorsFile, dict(path=folder() / "x.safetensors", memory_map=False),
    ),
    "interop.dequantize": lambda: (
        interop.dequantize, dict(blocks=interop.quantize(np.ones((2, 32)), "Q8_0"), name="Q8_0"),
    ),
    "interop.quantize": lambda: (interop.quantize, dict(x=np.ones((2, 32)), name="Q8_0")),
    "interop.pretrained_folder": lambda: (
        interop.pretrained_folder, dict(folder_or_name=folder() / "model", weights=True),
    ),
    "interop.read_generation_config": lambda: (
        interop.read_generation_config, dict(path=folder() / "generation_config.json"),
    ),
    "interop.write_safetensors": lambda: (
        interop.write_safetensors,
        dict(path=Path("x.safetensors"), arrays={"x": np.ones(2)}, metadata={"a": "b"}),
    ),
    "checkpoints.latest_checkpoint": lambda: (
        checkpoints.latest_checkpoint, dict(folder=folder() / "runs"),
    ),
    "checkpoints.load_checkpoint": lambda: (
        checkpoints.load_checkpoint, dict(path=folder() / "arrays.npz"),
    ),
    "checkpoints.load_lora": lambda: (
        checkpoints.load_lora, dict(path=folder() / "lora.npz", model=gpt(), other_weights=False),
    ),
    "checkpoints.load_model": lambda: (
        checkpoints.load_model, dict(path=folder() / "run.npz", best=False, model=None),
    ),
    "checkpoints.save_checkpoint": lambda: (
        checkpoints.save_checkpoint,
        dict(path="c.npz", arrays={"a": np.ones(2)}, metadata={"b": 1}),
    ),
    "checkpoints.save_lora": lambda: (
        checkpoints.save_lora, dict(path="lora.npz", model=gpt_with_lora()),
    ),
}  # fmt: skip

PAIRED = dict(predictions=["a b", "c"], references=["a b", "d"])
METRICS: GoodCalls = {
    "metrics.MatchTable": lambda: (
        metrics.MatchTable,
        dict(references=["a", "b"], groups=["x", "y"], normalize=str.lower),
    ),
    "metrics.MatchTable.add": lambda: (table().add, dict(title="t", predictions=["a", "b"])),
    "metrics.MatchTable.add_shares": lambda: (
        table().add_shares, dict(title="t", shares={"x": 0.5}),
    ),
    "metrics.accuracy": lambda: (
        metrics.accuracy, dict(predictions=[1, 2], targets=[1, 1], ignore_index=-1),
    ),
    "metrics.bits_per_byte": lambda: (
        metrics.bits_per_byte, dict(total_nll_nats=10.0, n_bytes=10),
    ),
    "metrics.perplexity_of": lambda: (metrics.perplexity_of, dict(loss=1.0)),
    "metrics.corpus_bleu": lambda: (
        metrics.corpus_bleu,
        dict(**PAIRED, tokenize=str.split, max_order=4, smoothing="exp"),
    ),
    "metrics.exact_match": lambda: (metrics.exact_match, dict(**PAIRED, normalize=str.lower)),
    "metrics.rouge_l": lambda: (metrics.rouge_l, dict(**PAIRED, tokenize=str.split)),
    "metrics.token_f1": lambda: (metrics.token_f1, dict(**PAIRED, tokenize=str.split)),
    **{
        f"metrics.{name}": lambda name=name: (getattr(metrics, name), dict(text=TEXT))
        for name in ("characters", "lowercase_words", "normalize_answer", "tokenize_13a", "words")
    },
}  # fmt: skip
