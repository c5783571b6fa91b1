"""Colours that colour-blind eyes tell apart, and letters that can be read."""

from itertools import combinations, pairwise

import numpy as np
import pytest

from minigpt.drawing import DARK, LIGHT
from minigpt.drawing.theme import theme_of

# What a dichromat sees of linear red, green and blue: Machado, Oliveira & Fernandes 2009, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", table 1, severity 1.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
THEMES = [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]


def linear(color: str) -> np.ndarray:
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def luminance(color: str) -> float:
    return float(linear(color) @ [0.2126, 0.7152, 0.0722])


def lab(color: str, blindness: str = "none") -> np.ndarray:
    """CIE 1976 L*a*b* as somebody with that colour vision sees it."""
    seen = np.clip(np.array(BLINDNESS[blindness]) @ linear(color), 0, 1)
    to_xyz = [
        [0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505],
    ]  # fmt: skip
    x, y, z = np.cbrt(to_xyz @ seen / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES)
def test_colours_of_lines_are_told_apart(theme, blindness):
    """Neighbouring hues of one lightness differ by about 2.3; 10 is plain to see."""
    for one, other in combinations(theme.lines, 2):
        assert np.linalg.norm(lab(one, blindness) - lab(other, blindness)) > 10, (one, other)


def test_red_and_green_are_not_told_apart():
    """The measure can fail."""
    red, green = lab("#c0562b", "deuteranopia"), lab("#7a7d2b", "deuteranopia")
    assert np.linalg.norm(red - green) < 10


@pytest.mark.parametrize("theme", THEMES)
def test_letters_stand_out_from_the_paper(theme):
    """WCAG 2.1 asks for 4.5 where letters are small, and for 3 of lines."""

    def contrast(color: str) -> float:
        one, other = luminance(color) + 0.05, luminance(theme.paper) + 0.05
        return max(one, other) / min(one, other)

    assert contrast(theme.ink) > 12 and contrast(theme.muted) > 4.5
    assert all(contrast(color) > 2 for color in theme.lines)


@pytest.mark.parametrize("theme", THEMES)
def test_shades_rise_evenly_from_the_paper(theme):
    lightness = [lab(color)[0] for color in theme.shades]
    steps = np.diff(lightness)
    assert (steps < 0).all() if theme is LIGHT else (steps > 0).all()
    assert abs(steps).max() < 2.5 * abs(steps).min()
    assert theme.shades[0] == theme.signed[2] == theme.paper


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", THEMES)
def test_above_and_below_zero_are_told_apart(theme, blindness):
    for below, above in zip(theme.signed[:2], theme.signed[:2:-1], strict=True):
        assert np.linalg.norm(lab(below, blindness) - lab(above, blindness)) > 30
    for one, other in pairwise(theme.signed):
        assert np.linalg.norm(lab(one, blindness) - lab(other, blindness)) > 10


def test_a_theme_has_a_name():
    assert theme_of("light") is LIGHT and theme_of("dark") is DARK
    with pytest.raises(ValueError, match='theme must be "light" or "dark": got \'solarized\''):
        theme_of("solarized")
