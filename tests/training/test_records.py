"""Records in columns behave as a list of dicts."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.training.records import Records

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.integers(0, 9)
LISTS = st.lists(st.dictionaries(st.sampled_from(["step", "loss", "näme/0", ""]), NUMBERS))


@given(LISTS)
def test_it_is_the_list_of_its_records(expected) -> None:
    records = Records(expected)
    assert len(records) == len(expected)
    # An integer in a column with fractions is a float from then on: equal, if it is not huge.
    whole = [{name: float(value) for name, value in record.items()} for record in expected]
    assert [{n: float(v) for n, v in record.items()} for record in records] == whole
    assert [records[i] for i in range(-len(records), 0)] == list(records)
    assert records[1:3] == list(records)[1:3]
    assert records == list(records)
    for name in records.names:
        assert records.column(name) == [record[name] for record in records if name in record]


@given(LISTS)
def test_arrays_bring_it_back(expected) -> None:
    records = Records(expected)
    arrays, names = records.to_arrays()
    back = Records.from_arrays(arrays, json.loads(json.dumps(names)))
    assert back == records
    back.append({"step": 1, "new": 2.5})
    assert back[-1] == {"step": 1, "new": 2.5}
    assert back[:-1] == list(records)


def test_kinds_of_numbers_stay() -> None:
    mixed: list[Any] = [{"step": 1, "loss": np.float32(0.5)}, {"step": np.int64(2), "loss": 3}]
    records = Records(mixed)
    assert list(records) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 3.0}]
    assert type(records[0]["step"]) is int
    assert type(records[1]["loss"]) is float
    records.append({"step": 10**30, "loss": float("nan")})
    assert records[-1]["step"] == 1e30
    assert np.isnan(records[-1]["loss"])
    with pytest.raises(TypeError):
        records.append({"step": None})  # type: ignore[dict-item]


def test_a_long_run_takes_few_bytes() -> None:
    rng = np.random.default_rng(0)
    records: Any = Records()
    for step in range(20_000):
        loss, rate, norm, speed, elapsed = rng.random(5)
        records.append(
            {
                "step": step + 1,
                "loss": np.float32(loss),
                "learning_rate": rate,
                "grad_norm": norm,
                "tokens_per_second": speed,
                "elapsed": elapsed,
            }
        )
    arrays, _ = records.to_arrays()
    assert sum(array.nbytes for array in arrays.values()) < 20_000 * 40
    assert sum(map(sys.getsizeof, records._columns.values())) < 20_000 * 60


@pytest.mark.parametrize(
    "change",
    [
        lambda a, n: a.pop("0"),
        lambda a, n: a.update({"1": a["1"][:1]}),
        lambda a, n: a.update({name: array[None] for name, array in a.items()}),
        lambda a, n: a.update({"layout": a["layout"] + 7}),
        lambda a, n: a.update({"layout": a["layout"].astype(np.float32)}),
        lambda a, n: a.update({"0": a["0"].astype(np.complex64)}),
        lambda a, n: a.update({"0": a["0"].astype(np.uint64)}),
        lambda a, n: n.update(columns=["step"]),
        lambda a, n: n.update(columns=["step", 3]),
        lambda a, n: n.update(layouts=[["other"]]),
        lambda a, n: n.pop("layouts"),
        lambda a, n: n.update(layouts=3),
    ],
)
def test_other_arrays_are_refused(change) -> None:
    arrays, names = Records([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]).to_arrays()
    change(arrays, names)
    with pytest.raises((ValueError, KeyError, TypeError)):
        Records.from_arrays(arrays, names)
