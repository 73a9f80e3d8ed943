import pytest

from chainrule.draw.palette import DARK, LIGHT, SERIES, brush_for, level_role
from chainrule.errors import ArgumentError


def contrast(a: str, b: str) -> float:
    """Contrast of WCAG 2.2: relative luminances, from 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_largest_contrast():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["back", "panel"])
@pytest.mark.parametrize("role", ["ink", "muted"])
def test_text_can_be_read(colours, ground, role):
    assert contrast(colours[role], colours[ground]) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("role", SERIES)
def test_series_stand_out_as_text_does(colours, role):
    assert contrast(colours[role], colours["back"]) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contour_lines_can_be_seen(colours):
    levels = [colours[level_role(k, 8)] for k in range(8)]
    assert len(set(levels)) == 8
    assert all(contrast(c, colours["back"]) >= 3 for c in levels)


def test_both_themes_have_the_same_roles():
    assert list(LIGHT) == list(DARK)


def test_another_theme_is_refused_with_the_way_out():
    with pytest.raises(ArgumentError, match="'light', 'dark', 'auto' or 'page'"):
        brush_for("sepia")
