"""JSON out of files: bounded, and every name once."""

import pytest

from minigpt.json_files import parse_json, read_json, read_object


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON in UTF-8"),
        (b"\xff", "not JSON in UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', "the name 'a' stands twice"),
        (b"[NaN]", "NaN is not a number of JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[" + b"[]," * 2**20 + b"0]", "more than 1,048,576 lists and objects"),
        (b"[" + b"{}," * 2**20 + b"0]", "more than 1,048,576 lists and objects"),
        (b"[" + b"1.5," * (2**22 + 1) + b"0]", "more than 4,194,304 values"),
    ],
)
def test_what_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        parse_json(content)


def test_many_names_are_read_in_linear_time_and_a_late_double_is_found():
    names = ", ".join(f'"n{i}": {i}' for i in range(200_000))
    with pytest.raises(ValueError, match="the name 'n7' stands twice"):
        parse_json(f'{{{names}, "n7": 0}}'.encode())


def test_a_file_is_read_whole_or_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"a": [1, null]}', encoding="utf-8")
    assert read_json(path, 100) == {"a": [1, None]}
    with pytest.raises(ValueError, match=r"it has 19 bytes, 5 are the most"):
        read_json(path, 5)
    with pytest.raises(ValueError, match="not a regular file"):
        read_json(tmp_path, 5)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "b.json", 5)
    assert read_object(path, 100) == {"a": [1, None]}
    path.write_text("[]")
    with pytest.raises(ValueError, match="it is not a JSON object but a list"):
        read_object(path, 100)
