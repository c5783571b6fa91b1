"""A tiny collection of poems, in the layout of chinese-poetry, with verses of our own making.

    python -m tests.data.tang_collection FOLDER

The verses have the forms of the Tang, and no sense: each line is drawn from words of its own place,
and the even lines of a poem rhyme.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tang_poems import FORMS

WORDS = ("春山", "秋水", "明月", "白雲", "江城", "野寺", "故人", "孤舟", "落花", "飛鳥")
VERBS = ("生", "照", "過", "隨", "入")
RHYMES = ("東風空中", "天年邊煙", "家花斜沙")


def verse(rng: np.random.Generator, n: int, end: str) -> str:
    """A line of five or seven characters with this last one."""
    words = [WORDS[i] for i in rng.permutation(len(WORDS))[: n // 2]]
    return (words[0] + "".join(words[1:-1]) + VERBS[rng.integers(5)] + words[-1])[: n - 1] + end


def entry(rng: np.random.Generator, form: str, number: int) -> dict[str, Any]:
    n, n_lines = FORMS[form]
    rhymes = RHYMES[rng.integers(len(RHYMES))]
    paragraphs = [
        verse(rng, n, WORDS[rng.integers(10)][0]) + "，" + verse(rng, n, rhymes[i % 4]) + "。"
        for i in range(n_lines // 2)
    ]
    return {"author": "無名", "title": f"{WORDS[number % 10]} 一", "paragraphs": paragraphs}


def poems(per_form: int, seed: int = 0) -> list[dict[str, Any]]:
    """Entries of every form in turn."""
    rng = np.random.default_rng(seed)
    return [entry(rng, form, i) for i in range(per_form) for form in FORMS]


def write_collection(folder: Path, per_form: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """The collection as a folder; its poems, in its order."""
    entries = poems(per_form, seed)
    half = len(entries) // 2
    for path, content in {
        "quantangshi/poet.tang.1000.json": entries[half:],
        "quantangshi/poet.tang.0.json": entries[:half],
        "quantangshi/poet.song.0.json": entries[:1] * 9,
        "quantangshi/error/poet.tang.0.json": [{"no": "poem"}],
        "strains/json/poet.tang.0.json": [{"strains": ["平"]}],
    }.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return entries


if __name__ == "__main__":
    write_collection(Path(sys.argv[1]))
