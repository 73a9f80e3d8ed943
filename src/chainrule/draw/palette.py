"""Colours by role, light and dark, after Okabe and Ito; every text role has a contrast of at least 4.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.errors import ArgumentError

# "back" is the ground of a picture, "panel" that of boxes on it; "ink" is text, "muted" quiet text and
# borders, "grid" hairlines that carry no meaning; the four hues are series. Blue #0072B2 and
# orange #E69F00 of Okabe and Ito each fail on one ground, so each theme has its own shade.
LIGHT: Mapping[str, str] = {
    "back": "#ffffff", "panel": "#f3f5f8", "ink": "#1f2328", "muted": "#57606a", "grid": "#d5dbe1",
    "blue": "#0072b2", "orange": "#b35900", "green": "#00734f", "purple": "#8f3b76",
    "level0": "#00224e", "level1": "#013271", "level2": "#2f426d", "level3": "#48526c",
    "level4": "#5e636f", "level5": "#727374", "level6": "#7c786c", "level7": "#857c5a",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "back": "#14171c", "panel": "#1f242c", "ink": "#e6edf3", "muted": "#9aa4af", "grid": "#333b45",
    "blue": "#56b4e9", "orange": "#e69f00", "green": "#2bbf93", "purple": "#d68fb8",
    "level0": "#6f8fc4", "level1": "#7b8fae", "level2": "#878f9a", "level3": "#878478",
    "level4": "#9d9576", "level5": "#b6a96f", "level6": "#cebc63", "level7": "#e7d150",
}  # fmt: skip
SERIES = ("blue", "orange", "green", "purple")
DASHES = ("", "7 4", "2 4", "9 3 2 3")  # a series is told by its dashes too, never by colour alone
LEVELS = 8


def level_role(index: int, count: int) -> str:
    """Role of contour line `index` of `count`, from low to high (cividis, without its ends)."""
    return f"level{round(index * (LEVELS - 1) / max(count - 1, 1))}"


def theme_rules(scope: str, colours: Mapping[str, str]) -> str:
    """CSS that gives the classes of a picture these colours; `scope` is a selector that holds the picture."""
    return "".join(
        f"{scope} .f-{role}{{fill:{colour}}}{scope} .s-{role}{{stroke:{colour}}}"
        for role, colour in colours.items()
    )


@dataclass(frozen=True, slots=True)
class Brush:
    """How roles become attributes of SVG elements in one theme.

    Colours are attributes, which every viewer of SVG reads. Where the theme is not fixed, classes beside them
    let a style sheet win over the attributes.
    """

    colours: Mapping[str, str]
    classes: bool
    style: str = ""

    def paint(
        self, *, fill: str = "none", stroke: str = "none", width: float = 0.0, dash: str = ""
    ) -> dict[str, object]:
        """Attributes for a filled or outlined shape."""
        chosen: dict[str, object] = {"fill": self.colours.get(fill, "none")}
        if stroke != "none":
            chosen |= {
                "stroke": self.colours[stroke],
                "stroke-width": width,
                "stroke-dasharray": dash or None,
            }
            chosen |= {"stroke-linecap": "round" if not dash else None, "stroke-linejoin": "round"}
        if self.classes:
            names = [f"f-{fill}"] * (fill != "none") + [f"s-{stroke}"] * (stroke != "none")
            chosen["class"] = " ".join(names)
        return chosen


def brush_for(theme: str) -> Brush:
    """Brush of a theme: `light`, `dark`, `auto` (the system decides) or `page` (its style sheet does).

    Raises
    ------
    ArgumentError (E104)
        Another word.
    """
    if theme == "light":
        return Brush(LIGHT, classes=False)
    if theme == "dark":
        return Brush(DARK, classes=False)
    if theme == "auto":
        return Brush(
            LIGHT,
            classes=True,
            style=f"@media (prefers-color-scheme:dark){{{theme_rules('.cr-auto', DARK)}}}",
        )
    if theme == "page":
        return Brush(LIGHT, classes=True)
    raise ArgumentError(
        "there is no such theme", given=repr(theme), fix="use 'light', 'dark', 'auto' or 'page'"
    )
