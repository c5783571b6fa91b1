"""Texts and their translations: how they become tokens, and what an encoder–decoder writes."""

from __future__ import annotations

import re

import pytest

import minigpt as mg
from minigpt.models import EncoderDecoder, Seq2SeqConfig
from minigpt.tasks import TRANSLATION_TOKENS, pair_batches, translate

TOKENIZER = mg.CharTokenizer.train("abcdefgh ABCDEFGH", special_tokens=TRANSLATION_TOKENS)
TASK = {"a b": "AB", "a b c": "ABC", "f g h": "FGH", "h": "H", "d c b": "DCB", "g a": "GA"}


def untrained(seed=0):
    v = TOKENIZER.vocab_size
    return EncoderDecoder(
        Seq2SeqConfig(v, v, 5, 5, n_layer=1, n_head=2, n_embd=24, share_embeddings=True), seed
    )


@pytest.fixture(scope="module")
def translator():
    """An encoder–decoder that has learned six texts by heart."""
    model = untrained()
    batches = pair_batches(TOKENIZER, list(TASK), list(TASK.values()), batch_size=6, seed=0)
    training = mg.TrainerConfig(
        max_steps=100, learning_rate=2e-2, workers=1, progress=False, eval_interval=1000
    )
    mg.Trainer(model, batches, None, training).fit()
    return model


@pytest.mark.parametrize(
    "options",
    [{}, {"num_beams": 3}, {"num_beams": 2, "length_penalty": 0.5}, {"batch_size": 1},
     {"batch_size": 4}, {"max_new_tokens": 4}],
)  # fmt: skip
def test_translations_come_in_the_order_of_the_sources(translator, options):
    assert translate(translator, TOKENIZER, list(TASK), **options) == list(TASK.values())


def test_translations_are_cut_where_told(translator):
    assert translate(translator, TOKENIZER, ["a b c", "h"], max_new_tokens=2) == ["AB", "H"]


def test_a_row_is_as_if_alone():
    model = untrained(seed=1)
    alone = [translate(model, TOKENIZER, [source])[0] for source in TASK]
    assert translate(model, TOKENIZER, list(TASK)) == alone
    lengths = [len(TOKENIZER.encode(text, "all")) for text in alone]
    assert max(lengths) == 5  # the whole context of the decoder


def test_a_model_with_more_ids_than_its_tokenizer_writes_only_those():
    v = TOKENIZER.vocab_size
    config = Seq2SeqConfig(v + 50, v + 50, 5, 5, n_layer=1, n_head=2, n_embd=8, init_std=0.5)
    model = EncoderDecoder(config, 0)
    for options in ({}, {"num_beams": 2}):
        written = translate(model, TOKENIZER, list(TASK), **options)
        assert len(written) == len(TASK) and any(written)


def test_other_special_tokens():
    tokenizer = mg.BPETokenizer.train("ab ab", 260, ("<s>", "<e>"), progress=False)
    names = {"start_token": "<s>", "end_token": "<e>"}
    ((_, target_in, target_out, _),) = pair_batches(tokenizer, ["ab"], ["ba"], 1, 0, **names)
    assert tokenizer.decode(target_in[0]) == "<s>ba" and tokenizer.decode(target_out[0]) == "ba<e>"
    with pytest.raises(ValueError, match=re.escape("no special token '<|start|>'")):
        pair_batches(tokenizer, ["ab"], ["ba"], 1, 0)


@pytest.mark.parametrize(
    ("sources", "changes", "error", "message"),
    [
        ("ab", {}, TypeError, r"sources must be a list of strings: got 'ab'; write \[source\]"),
        ([], {}, ValueError, "sources is empty"),
        (["a", ""], {}, ValueError, r"sources\[1\] is empty: there is nothing to read"),
        (["a", "a b c "], {}, ValueError, r"sources\[1\] has 6 tokens.*source_block_size=5"),
        (["a<|end|>"], {}, ValueError, "holds the special token"),
        (
            ["a"],
            {"max_new_tokens": 6},
            ValueError,
            "max_new_tokens .* 0 to 5: got 6; .*block_size=5",
        ),
        (["a"], {"max_new_tokens": -1}, ValueError, "max_new_tokens must be .*: got -1"),
        (["a"], {"batch_size": True}, TypeError, "batch_size must be an integer .*: got True"),
        (["a"], {"length_penalty": "x", "num_beams": 2}, TypeError, "length_penalty"),
    ],
)
def test_wrong_arguments(sources, changes, error, message):
    with pytest.raises(error, match=message):
        translate(untrained(), TOKENIZER, sources, **changes)


def test_something_else_than_a_model_and_a_tokenizer():
    for model in (None, mg.GPT(mg.GPTConfig(5, 8, n_layer=1, n_head=1, n_embd=8))):
        with pytest.raises(TypeError, match="model must be an EncoderDecoder: got"):
            translate(model, TOKENIZER, ["a"])
    with pytest.raises(
        TypeError, match="tokenizer must be a tokenizer, such as a CharTokenizer: got None"
    ):
        translate(untrained(), None, ["a"])
