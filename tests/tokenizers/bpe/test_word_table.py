"""Keys in a hash table, and words in a table of words: equal ones have the same number."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.tokenizers.bpe import word_table
from minigpt.tokenizers.bpe.hash_table import HashTable
from minigpt.tokenizers.bpe.word_table import WordTable, count_words_of_text, words_in_bytes

KEYS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 2**64 - 1)), max_size=40)
WORDS = st.lists(
    st.one_of(
        st.text("a\0é漢", min_size=1, max_size=30),
        st.builds(lambda n: "a" * n, st.integers(1, 70)),
    ),
    max_size=30,
)


@given(first=KEYS, second=KEYS, bits=st.integers(1, 6))
def test_a_key_has_one_place_and_no_other_key_has_it(
    first: list[tuple[int, int]], second: list[tuple[int, int]], bits: int
) -> None:
    table = HashTable(numbers=2, bits=bits)
    place_of: dict[tuple[int, int], int] = {}
    for keys in (first, second):
        given_keys = np.array(keys, np.uint64).reshape(-1, 2).T
        before = table.places(given_keys).tolist()
        assert before == [place_of.get(key, -1) for key in keys]
        for key, place in zip(keys, table.places(given_keys, add=True).tolist(), strict=True):
            if place >= 0:
                assert place_of.setdefault(key, place) == place
        assert table.places(given_keys).tolist() == [place_of.get(key, -1) for key in keys]
    assert len(set(place_of.values())) == len(place_of) <= 1 << bits
    if 2 * len({*first, *second}) <= 1 << bits:
        assert set(place_of) == {*first, *second}  # there was room


@given(texts=st.lists(WORDS, max_size=3), bits=st.sampled_from([2, 17]))
def test_equal_words_have_the_same_number(texts: list[list[str]], bits: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_table, "PLACES_BITS", bits)
        table = WordTable()
        number_of: dict[str, int] = {}
        for words in texts:
            starts = np.cumsum([0, *map(len, words)])[:-1].astype(int)
            held = len(table)
            numbers, new = table.number(*words_in_bytes("".join(words), starts))
            assert [int(numbers[i]) for i in new] == list(range(held, len(table)))
            for word, number in zip(words, numbers.tolist(), strict=True):
                if number >= 0:
                    assert number_of.setdefault(word, number) == number
                else:
                    assert bits == 2 or len(word.encode()) >= 64
            assert count_words_of_text("".join(words), starts) == Counter(
                word.encode() for word in words
            )
        assert sorted(number_of.values()) == list(range(len(table)))
