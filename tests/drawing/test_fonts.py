"""Any text is drawn: with the machine's fonts, or as escapes."""

import shutil

import pytest

from minigpt.drawing import Lettering, fonts

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'minigpt[viz]'")


@pytest.fixture(autouse=True)
def _forget_the_fonts():
    fonts._fonts_for.cache_clear()
    yield
    fonts._fonts_for.cache_clear()


@pytest.fixture
def installed(monkeypatch):
    """Fonts by their name, with the characters that each has."""
    found: dict[str, str] = {}
    monkeypatch.setattr(fonts, "_installed", lambda: [(name, name) for name in found])
    real = fonts._characters_in
    monkeypatch.setattr(
        fonts,
        "_characters_in",
        lambda path, wanted: wanted & set(found[path]) if path in found else real(path, wanted),
    )
    return found


def test_what_no_font_has_is_escaped(installed):
    write = Lettering(["类 a\n", "b"])
    assert write.family == ("DejaVu Sans",)
    assert write("类 a") == r"\u7c7b a" and write("\n") == r"\n"
    assert write.style(fontsize=7) == {
        "family": ["DejaVu Sans"], "parse_math": False, "fontsize": 7
    }  # fmt: skip


def test_the_font_that_has_the_most_comes_first_and_chinese_before_others(installed):
    installed |= {
        "Brush": "类语",
        "Noto Sans CJK JP": "类语",
        "Noto Sans CJK SC": "类语",
        "Z": "龘",
    }
    write = Lettering(["类语龘"])
    assert write.family == ("DejaVu Sans", "Noto Sans CJK SC", "Z")
    assert write("类语龘") == "类语龘"


def test_fonts_are_asked_for_only_where_matplotlibs_own_does_not_do(monkeypatch):
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("fonts were looked for"))
    assert Lettering(["γ∘x̂ + β ␣⏎", "Привет"])("γ") == "γ"


def test_a_real_font_is_found():
    """Only the second of the fonts that come with matplotlib has this character."""
    write = Lettering(["a\u1d81"])
    assert write.family[0] == "DejaVu Sans" and len(write.family) == 2
    assert write("a\u1d81") == "a\u1d81"


def test_a_damaged_font_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_installed", lambda: [("Broken", str(tmp_path / "broken.ttf"))])
    assert Lettering(["类"])("类") == r"\u7c7b"


def test_what_was_installed_after_matplotlib_made_its_list_is_found(tmp_path, monkeypatch):
    from matplotlib import font_manager

    path = font_manager.findfont("DejaVu Sans")
    new = tmp_path / "New.ttf"
    shutil.copy(path, new)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(new), str(tmp_path / "no")])
    listed = list(font_manager.fontManager.ttflist)
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    assert str(new) in [path for _, path in fonts._installed()]
