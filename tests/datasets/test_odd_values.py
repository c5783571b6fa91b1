"""Values that nobody should pass: each is told by its name what it should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigpt.datasets import (
    Completion,
    CompletionBatches,
    Curriculum,
    EpochBatches,
    MaskedBatches,
    PairBatches,
    load_text,
    masked,
    split_point,
    train_val_split,
    write_tokens,
)
from minigpt.tokenizers import BPETokenizer

LARGE = 10**400
MASKED = np.ma.array([1, 2, 3], mask=[0, 1, 0])
IDS = np.ones((2, 3), int)
SETTINGS: dict[str, Any] = {"mask_id": 5, "vocab_size": 6}


def mask(rng: Any = 0, **options: Any) -> Any:
    generator = np.random.default_rng(rng) if rng == 0 else rng
    return masked(IDS, generator, **{**SETTINGS, **options})


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: CompletionBatches(None, 1, 0), "completions"),
        (lambda: Completion.read(None), "ids"),
        (lambda: Completion.say("ab"), "ids"),
        (lambda: Completion((1, 2), [[True], [True, False]]), "said"),
        (lambda: Completion((2**70,), (True,)), "ids"),
        (lambda: MaskedBatches([[1, 2]], 1, 0, **SETTINGS, special_ids=None), "special_ids"),
        (lambda: MaskedBatches([[1, 2]], 1, 0, mask_id=5, vocab_size=LARGE), "vocab_size"),
        (lambda: mask(rng=None), "rng"),
        (lambda: mask(special_ids=None), "special_ids"),
        (lambda: mask(attention_mask=[]), "attention_mask"),
        (lambda: mask(attention_mask=[[1], [1, 2]]), "attention_mask"),
        (lambda: mask(probability="x"), "probability"),
        (lambda: Curriculum(None), "stages"),
        (lambda: Curriculum("ab"), "stages"),
        (lambda: split_point(None, 0.1), "length"),
        (lambda: split_point(float("nan"), 0.1), "length"),
        (lambda: split_point(LARGE, 0.1), "length"),
        (lambda: train_val_split(MASKED), "tokens"),
        (lambda: train_val_split(None), "tokens"),
        (lambda: train_val_split([1, 2, 3], block_size=LARGE), "block_size"),
        (lambda: EpochBatches(MASKED, 1, 1, 0), "tokens"),
        (lambda: EpochBatches([1, 2, 3], 1, 1, None), "seed"),
        (lambda: PairBatches([[1]], [[1]], 1, 0, bos_id=1, eos_id=1, pad_id=LARGE), "pad_id"),
        (lambda: load_text(".", suffixes=True), "suffixes"),
        (lambda: load_text("python-docs", max_bytes=0.5), "max_bytes"),
        (lambda: write_tokens("t.npy", [1], LARGE), "vocab_size"),
        (lambda: write_tokens("t.npy", MASKED, 5), "ids"),
        (lambda: BPETokenizer.train("abc", LARGE, progress=None), "progress"),
        (lambda: BPETokenizer.train("abc", ["x" * 10**6]), "vocab_size"),
    ],
)
def test_the_error_names_the_argument(
    call: Any, name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=rf"\b{name} (must|is)\b") as caught:
        call()
    assert len(str(caught.value)) < 300
    assert not list(tmp_path.iterdir())
