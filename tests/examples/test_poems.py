"""examples/poems.py: a small run, what it writes and draws, and the measures beside it."""

from __future__ import annotations

import importlib
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import minigpt as mg
from tang_poems import FORMS, Poem, collected_poems, regular_lines, written
from tests.data.tang_collection import write_collection

SMALL = (
    "--data poems.txt --n-layer 1 --n-head 2 --n-embd 32 --batch-size 16 --learning-rate 0.01 "
    "--output r --quiet --first 春山明月生白江"
)


@pytest.fixture(autouse=True)
def corpus(folder: Path) -> list[Poem]:
    write_collection(folder / "collection")
    poems, _ = collected_poems(folder / "collection")
    (folder / "poems.txt").write_text("".join(map(written, poems)), encoding="utf-8")
    return poems


def rows_of(out: str) -> dict[str, list[str]]:
    """The cells of the table by the name of their row."""
    table = out[out.index("keeps the form") :].splitlines()[1:5]
    return {row[:20].strip(): re.split(r"  +", row[20:].strip()) for row in table}


def test_a_small_run_keeps_the_form_and_is_loaded_again(run, folder):
    code, out, err = run("poems", f"{SMALL} --steps 150 --poems 12 --samples 2 --temperature 0.5")
    assert (code, err) == (0, "")
    rows = rows_of(out)
    assert list(rows) == ["the GPT", "untrained", "pairs of characters", "the unseen poems"]
    kept = {
        name: int(re.match(r"\d+% of 12", cells[0])[0].split("%")[0])
        for name, cells in rows.items()
    }
    assert kept["the GPT"] >= 75 and kept["the unseen poems"] == 100
    assert kept["untrained"] == kept["pairs of characters"] == 0
    assert rows["the unseen poems"][2].startswith("100% of ") and rows["untrained"][2] == "–"
    losses = {name: float(rows[name][3]) for name in list(rows)[:3]}
    assert losses["the GPT"] < losses["pairs of characters"] < losses["untrained"]
    assert "first lines of the test part, temperature 0.5; 150 steps" in out

    poems = re.findall(r"── qijue: 4 lines of 7 ─+\n.*\n((?:.*。\n){2})\n", out)
    assert len(poems) == 2 and all(poem.startswith("春山明月生白江，") for poem in poems)
    assert all(regular_lines(poem.replace("\n", "")) for poem in poems)
    drawn = ET.parse(folder / "r/poems.svg")
    columns = ["".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    for poem in poems:
        assert set(re.split("[，。\n]+", poem.strip("。\n"))) <= set(columns)

    again = "--load r --samples 2 --temperature 0.5 --first 春山明月生白江"
    code, out_again, _ = run("poems", again)
    assert code == 0 and all(poem in out_again for poem in poems)
    assert run("poems", f"{again} --seed 1")[1] != out_again


def test_the_parts_share_no_poem_and_only_new_first_lines_are_judged(corpus):
    poems = importlib.import_module("poems")
    parts = poems.split(corpus, seed=0)
    assert [len(part) for part in parts.values()] == [128, 16, 16]
    assert sorted(p.text for part in parts.values() for p in part) == sorted(p.text for p in corpus)
    tokenizer = poems.characters(parts["train"])
    known = {line for poem in parts["train"] for line in poem.lines}
    test = [*parts["test"], *parts["train"][:8]]
    chosen = poems.to_judge(test, known, tokenizer, 8)
    assert all(poem.lines[0] not in known for poem in chosen)
    assert len({poem.form for poem in chosen}) >= 3
    with pytest.raises(ValueError, match="0 unseen first lines to judge by"):
        poems.to_judge(parts["train"], known, tokenizer, 1)


def test_a_poem_as_tokens(corpus):
    poems = importlib.import_module("poems")
    tokenizer = poems.characters(corpus)
    poem = Poem("題春山", ("春山乙秋水", "明月過東風") * 2)
    assert "題" not in tokenizer.characters and "春" in tokenizer.characters
    long = poems.sequence(poem, tokenizer, block_size=30)
    assert tokenizer.decode(long.ids) == f"<wujue>{poem.text}\n□春山<|end|>".replace("乙", "□")
    assert [i for i, said in enumerate(long.said) if not said] == [3, 15, 26]
    assert long.said.count(False) == long.ids.count(tokenizer.unknown_id)
    short = poems.sequence(poem, tokenizer, block_size=28)
    assert tokenizer.decode(short.ids) == tokenizer.decode(long.ids)[: -len("□春山<|end|>")]


def test_pairs_of_tokens():
    bigrams = importlib.import_module("bigrams")
    train, val, n, k = [0, 1, 0, 1, 0, 2], [0, 1, 2, 0], 4, bigrams.TRUST_IN_PAIRS
    share = [(train.count(t) + 1) / (len(train) + n) for t in range(n)]
    pairs = [*itertools.pairwise(train)]

    def p(a: int, b: int) -> float:
        return (pairs.count((a, b)) + k * share[b]) / (train[:-1].count(a) + k)

    model = bigrams.Bigrams(np.array(train, np.uint16), n)
    found = model.losses(np.array(val[:-1], np.uint16), np.array(val[1:], np.uint16))
    assert np.allclose(found, [-np.log(p(a, b)) for a, b in itertools.pairwise(val)])
    for a in range(n):
        assert np.allclose(model.after(a), [p(a, b) for b in range(n)])


def test_what_is_measured():
    measures_of = importlib.import_module("poem_measures")
    a, b, c, d = "一二三四五", "六七八九十", "上下左右中", "東西南北方"
    measures = measures_of.Measures(
        [Poem("題", (a, b, c, d)), Poem("題", (a, d, a, d, a, b, c, "甲乙丙丁中"))]
    )
    begun = [measures_of.Beginning("wujue", a)] * 4
    text = f"{a}，{b}。{c}，{d}。"
    rhymeless = f"{a}，{b}。甲乙丙丁戊，己庚辛壬癸。"
    assert measures.of(begun, [text, rhymeless, text[:-1], f"{c}，{b}。{a}，{d}。"]) == [
        "50% of 4",
        "10 of 12",
        "50% of 2",
    ]
    assert ("方", "中") in measures.rhymes and ("五", "十") not in measures.rhymes
    assert measures.of(begun[:1], [""]) == ["0% of 1", "0 of 0", "–"]
    for form, (n, n_lines) in FORMS.items():
        whole = f"{'字' * n}，{'文' * n}。" * (n_lines // 2)
        for other in FORMS:
            asked = measures_of.Beginning(other, "字" * n)
            assert measures_of.keeps_form(asked, whole) == (form == other)


def test_the_picture_of_odd_poems():
    picture = importlib.import_module("poem_picture")
    drawn = picture.svg(
        [
            picture.Written("<題>&", ["一二三四五", "<|𠀀\"'"], "a < b"),
            picture.Written("題" * 30, ["一二三四五六七"] * 8, ""),
            picture.Written("", [], ""),
        ]
    )
    root = ET.fromstring(drawn)
    text = [
        "".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")
    ]
    assert text[:4] == ["<題>&", "一二三四五", "<|𠀀\"'", "a < b"]
    width, height = float(root.get("width")), float(root.get("height"))
    for place in root.iter("{http://www.w3.org/2000/svg}tspan"):
        assert 0 < float(place.get("x")) < width and 0 < float(place.get("y")) < height
    ET.fromstring(picture.svg([picture.Written("", ["\x00\x0b\ufffe字"], "")]))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "give --data, a corpus to learn from, or --load"),
        ("--data poems.txt --load r", "give --data, a corpus to learn from, or --load"),
        ("--data nothing.txt", "nothing.txt"),
        (
            f"{SMALL} --form wujue",
            "the first line 春山明月生白江 has 7 characters: lines of wujue have 5",
        ),
        (f"{SMALL} --first 春山明月生白碼", "has 碼, which is rare in the poems: give another"),
        ("--data collection/quantangshi/poet.tang.0.json", "holds 0 poems of the forms"),
        (f"{SMALL} --poems 1000", "unseen first lines to judge by: --poems 1000"),
        (f"{SMALL} --block-size 20", "block_size"),
        ("--load other", "no special token '<qijue>'"),
    ],
)
def test_whatever_is_wrong_is_one_line(run, arguments, complaint):
    tokenizer = mg.CharTokenizer.train("春山")
    model = mg.GPT(mg.GPTConfig(2, block_size=8, n_layer=1, n_head=1, n_embd=4), seed=0)
    trainer = mg.Trainer(
        model, np.zeros(40, int), config=mg.TrainerConfig(max_steps=1), tokenizer=tokenizer
    )
    Path("other").mkdir()
    trainer.save("other/step-00000001.npz")
    code, out, err = run("poems", arguments)
    assert code == 2 and err.count("\n") == 1 and err.startswith("poems.py: error: ")
    assert complaint in err and "loss" not in out
