"""Cutting lines to a frame and joining contour lines; plain coordinates in, plain coordinates out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Spot = tuple[float, float]


def clip_segment(a: Spot, b: Spot, width: float, height: float) -> tuple[Spot, Spot] | None:
    """Part of the segment a–b inside the frame [0, width] × [0, height], or None (Liang and Barsky 1984)."""
    (x, y), dx, dy = a, b[0] - a[0], b[1] - a[1]
    t0, t1 = 0.0, 1.0
    for p, q in ((-dx, x), (dx, width - x), (-dy, y), (dy, height - y)):
        if p == 0:
            if q < 0:
                return None
        elif p < 0:
            t0 = max(t0, q / p)
        else:
            t1 = min(t1, q / p)
    if t0 > t1:
        return None
    start = a if t0 == 0 else (x + t0 * dx, y + t0 * dy)
    end = b if t1 == 1 else (x + t1 * dx, y + t1 * dy)
    return start, end


def clip_line(spots: Iterable[Spot], width: float, height: float) -> list[list[Spot]]:
    """Visible pieces of a line of many points. NaN breaks it; a lonely point is a piece of one."""
    pieces: list[list[Spot]] = []
    previous: Spot | None = None
    for spot in spots:
        if math.isnan(spot[0]) or math.isnan(spot[1]):
            previous = None
            continue
        part = clip_segment(previous or spot, spot, width, height)
        if part:
            if previous is None:
                pieces.append([spot])
            elif pieces and pieces[-1][-1] == part[0]:
                pieces[-1].append(part[1])
            else:
                pieces.append([*part])
        previous = spot
    return pieces


def thin(piece: Sequence[Spot], distance: float) -> list[Spot]:
    """The same line without points that lie nearer than `distance` to the last one kept; both ends stay."""
    kept = [piece[0]]
    for spot in piece[1:-1]:
        if abs(spot[0] - kept[-1][0]) >= distance or abs(spot[1] - kept[-1][1]) >= distance:
            kept.append(spot)
    return kept + list(piece[1:][-1:])


# Corners of a cell: 1 = (i, j), 2 = (i+1, j), 4 = (i+1, j+1), 8 = (i, j+1). Sides: b(ottom), r(ight), t(op),
# l(eft). Which sides the line crosses, by the sum of the corners above the level; 5 and 10 are saddles, which
# the mean of the corners splits.
_CROSSINGS = {
    1: ("lb",), 2: ("br",), 3: ("lr",), 4: ("rt",), 6: ("bt",), 7: ("lt",),
    8: ("lt",), 9: ("bt",), 11: ("rt",), 12: ("lr",), 13: ("br",), 14: ("lb",),
}  # fmt: skip
_SADDLES = {
    (5, True): ("lt", "br"),
    (5, False): ("lb", "rt"),
    (10, True): ("lb", "rt"),
    (10, False): ("lt", "br"),
}


def contour_lines(
    xs: Sequence[float], ys: Sequence[float], values: Sequence[Sequence[float]], level: float
) -> list[list[Spot]]:
    """Lines along which a function on a grid has the value `level` (marching squares).

    Parameters
    ----------
    xs, ys
        Coordinates of the columns and of the rows of the grid.
    values
        ``values[j][i]`` is the value at ``(xs[i], ys[j])``. Cells with a corner that is not finite
        are left out.

    Examples
    --------
    >>> contour_lines([0.0, 1.0], [0.0, 1.0], [[0.0, 1.0], [0.0, 1.0]], 0.25)
    [[(0.25, 0.0), (0.25, 1.0)]]
    """
    links: dict[tuple, list[tuple]] = {}
    for j in range(len(ys) - 1):
        for i in range(len(xs) - 1):
            for sides in _cell_crossings(values, i, j, level):
                a, b = (_side(i, j, s) for s in sides)
                links.setdefault(a, []).append(b)
                links.setdefault(b, []).append(a)
    return [[_crossing(xs, ys, values, side, level) for side in chain] for chain in _chains(links)]


def _cell_crossings(values, i: int, j: int, level: float) -> tuple[str, ...]:
    corners = (values[j][i], values[j][i + 1], values[j + 1][i + 1], values[j + 1][i])
    if not all(map(math.isfinite, corners)):
        return ()
    case = sum(1 << k for k, v in enumerate(corners) if v > level)
    if case in (5, 10):
        return _SADDLES[case, sum(v / 4 for v in corners) > level]
    return _CROSSINGS.get(case, ())


def _side(i: int, j: int, side: str) -> tuple[str, int, int]:
    """Name of a cell's side, the same from both cells that share it."""
    return {"b": ("h", i, j), "t": ("h", i, j + 1), "l": ("v", i, j), "r": ("v", i + 1, j)}[side]


def _crossing(xs, ys, values, side: tuple[str, int, int], level: float) -> Spot:
    along, i, j = side
    i2, j2 = (i + 1, j) if along == "h" else (i, j + 1)
    a, b = values[j][i], values[j2][i2]
    t = (level / 2 - a / 2) / (b / 2 - a / 2)  # halves: b - a may overflow
    t = min(max(t, 0.0), 1.0) if t == t else 0.5
    return xs[i] * (1 - t) + xs[i2] * t, ys[j] * (1 - t) + ys[j2] * t


def _chains(links: dict[tuple, list[tuple]]) -> list[list[tuple]]:
    """Join sides into lines: open ones from their ends first, then the closed ones."""
    chains = []
    for start in [s for s, near in links.items() if len(near) == 1] + list(links):
        if not links[start]:
            continue
        chain = [start]
        while links[chain[-1]]:
            near = links[chain[-1]].pop(0)
            links[near].remove(chain[-1])
            chain.append(near)
        chains.append(chain)
    return chains
