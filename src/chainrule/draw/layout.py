"""Places for the boxes and lines of a layered graph, left to right. Same graph, same picture; no recursion.

After Sugiyama, Tagawa and Toda (1981): columns by longest path, bends where an edge passes a column, order in
each column by barycentre, then heights by least squares with the order kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chainrule.draw.geometry import Spot
from chainrule.errors import GraphError

Pair = tuple[int, int]

_ROW_GAP = 22.0  # between two boxes of a column
_BEND_HEIGHT = 20.0  # room for an edge that passes a column
_SWEEPS = 8
# Long edges through many columns would need a bend in each: beyond this many, edges go straight.
_MOST_BENDS = 4000


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies, in pixels from the upper left corner.

    boxes: (x, y) of the upper left corner of each node. routes: for each edge the points it passes: from the
    first to the second in a curve, from the second to the third straight, and so on. column: of each node.
    """

    boxes: tuple[Spot, ...]
    routes: tuple[tuple[Spot, ...], ...]
    column: tuple[int, ...]
    width: float
    height: float


def columns(count: int, edges: Sequence[Pair]) -> list[int]:
    """Column of each node: the last one for nodes that nothing uses, all others just before their first user.

    Raises
    ------
    GraphError (E301)
        The edges form a circle.
    """
    sources: list[list[int]] = [[] for _ in range(count)]
    uses = [0] * count
    for a, b in edges:
        sources[b].append(a)
        uses[a] += 1
    depth = [0] * count
    ready = [v for v in range(count) if not uses[v]]
    for v in ready:  # grows while it is walked
        for a in sources[v]:
            depth[a] = max(depth[a], depth[v] + 1)
            uses[a] -= 1
            if not uses[a]:
                ready.append(a)
    if len(ready) < count:
        stuck = next(v for v in range(count) if uses[v])
        raise GraphError("the edges form a circle", given=f"node number {stuck} is on it or before it",
                         fix="draw a graph in which no value depends on itself")  # fmt: skip
    last = max(depth, default=0)
    return [last - d for d in depth]


def layered(
    sizes: Sequence[Spot], edges: Sequence[Pair], *, gaps: Sequence[float], ports: float = 22.0
) -> Layout:
    """Lay out a graph.

    Parameters
    ----------
    sizes
        (width, height) of each node, in the order in which the nodes were made; ties are broken by it.
    edges
        Pairs (from, to) of node numbers; repeated pairs are drawn beside each other.
    gaps
        For each edge, the width that must be free in front of its end, for its label.
    ports
        Distance of the ends of edges that meet at one side of a box.
    """
    column = columns(len(sizes), edges)
    heights = [h for _, h in sizes]
    chains = _bend(column, heights, edges)
    links = list(dict.fromkeys((a, b) for chain in chains for a, b in pairwise(chain)))
    before, after = _neighbours(len(column), links)
    layers = _order(column, before, after)
    middles = _middles(layers, heights, before, after)
    lefts, widths, total = _lefts(layers, sizes, column, edges, gaps)
    corners = tuple(
        (lefts[column[v]] + (widths[column[v]] - w) / 2, middles[v] - h / 2) for v, (w, h) in enumerate(sizes)
    )
    outs, ins = _ports(chains, middles, heights, ports)
    routes = []
    for k, chain in enumerate(chains):
        start, end = chain[0], chain[-1]
        route = [(corners[start][0] + sizes[start][0], middles[start] + outs[k])]
        for v in chain[1:-1]:
            route += [(lefts[column[v]], middles[v]), (lefts[column[v]] + widths[column[v]], middles[v])]
        routes.append((*route, (corners[end][0], middles[end] + ins[k])))
    bottom = max((m + h / 2 for m, h in zip(middles, heights, strict=True)), default=0.0)
    return Layout(corners, tuple(routes), tuple(column[: len(sizes)]), total, bottom)


def _bend(column: list[int], heights: list[float], edges: Sequence[Pair]) -> list[list[int]]:
    """Nodes that each edge passes, with a new node in each column between; `column` and `heights` grow."""
    passing = sum(column[b] - column[a] - 1 for a, b in edges)
    chains = []
    for a, b in edges:
        chain = [a]
        if passing <= _MOST_BENDS:
            for c in range(column[a] + 1, column[b]):
                chain.append(len(column))
                column.append(c)
                heights.append(_BEND_HEIGHT)
        chains.append([*chain, b])
    return chains


def _neighbours(count: int, links: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    return before, after


def _order(column: Sequence[int], before: list[list[int]], after: list[list[int]]) -> list[list[int]]:
    """Nodes of each column from top to bottom, by the mean place of their neighbours; best of some sweeps."""
    layers: list[list[int]] = [[] for _ in range(max(column, default=-1) + 1)]
    # Nodes without any edge go to the end of their column: they take part in nothing.
    for v in sorted(range(len(column)), key=lambda v: (not before[v] and not after[v], v)):
        layers[column[v]].append(v)
    place = [0.0] * len(column)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, after, place)
    for sweep in range(_SWEEPS):
        if fewest == 0:
            break
        forward = sweep % 2 == 0
        near = before if forward else after
        for layer in layers if forward else reversed(layers):
            layer.sort(key=lambda v, near=near: (_barycentre(v, near, place), place[v], v))
            _number(layer, place)
        now = _crossings(layers, after, place)
        if now < fewest:
            best, fewest = [list(layer) for layer in layers], now
    return best


def _barycentre(v: int, near: list[list[int]], place: Sequence[float]) -> float:
    """Mean place of the neighbours, each place in [0, 1]; its own where there are none."""
    return sum(place[u] for u in near[v]) / len(near[v]) if near[v] else place[v]


def _number(layer: Sequence[int], place: list[float]) -> None:
    for i, v in enumerate(layer):
        place[v] = (i + 1) / (len(layer) + 1)


def _crossings(layers: Sequence[Sequence[int]], after: list[list[int]], place: list[float]) -> int:
    """Number of pairs of edges that cross, by inversions in a Fenwick tree (Barth, Jünger, Mutzel 2002)."""
    for layer in layers:
        _number(layer, place)
    total = 0
    for layer, following in pairwise(layers):
        index = {v: i for i, v in enumerate(following)}
        tree, seen = [0] * (len(following) + 1), 0
        for v in layer:
            ends = sorted(index[u] for u in after[v] if u in index)  # straight long edges are not counted
            total += sum(seen - _count_up_to(tree, end) for end in ends)
            for end in ends:
                _add(tree, end)
            seen += len(ends)
    return total


def _count_up_to(tree: Sequence[int], i: int) -> int:
    i, total = i + 1, 0
    while i:
        total += tree[i]
        i &= i - 1
    return total


def _add(tree: list[int], i: int) -> None:
    i += 1
    while i < len(tree):
        tree[i] += 1
        i += i & -i


def _middles(
    layers: Sequence[Sequence[int]], heights: Sequence[float], before: list[list[int]], after: list[list[int]]
) -> list[float]:
    """Height of the middle of each node: near the mean of its neighbours, without overlaps."""
    middle = [0.0] * len(heights)
    for layer in layers:
        y = 0.0
        for v in layer:
            middle[v] = y + heights[v] / 2
            y += heights[v] + _ROW_GAP
    for sweep in range(_SWEEPS):
        near = (before, after)[sweep % 2]
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [sum(middle[u] for u in near[v]) / len(near[v]) if near[v] else middle[v] for v in layer]
            for v, y in zip(layer, _apart(wanted, [heights[v] for v in layer]), strict=True):
                middle[v] = y
    top = min((m - h / 2 for m, h in zip(middle, heights, strict=True)), default=0.0)
    return [m - top for m in middle]


def _apart(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Places nearest to the wanted ones (least squares) with room between: pool adjacent violators."""
    shifts = [0.0]
    for h0, h1 in pairwise(heights):
        shifts.append(shifts[-1] + (h0 + h1) / 2 + _ROW_GAP)
    pools: list[tuple[float, int]] = []  # sum and number of the members
    for y, shift in zip(wanted, shifts, strict=False):
        total, n = y - shift, 1
        while pools and pools[-1][0] / pools[-1][1] > total / n:
            more, m = pools.pop()
            total, n = total + more, n + m
        pools.append((total, n))
    levels = [total / n for total, n in pools for _ in range(n)]
    return [level + shift for level, shift in zip(levels, shifts, strict=False)]


def _lefts(
    layers: Sequence[Sequence[int]],
    sizes: Sequence[Spot],
    column: Sequence[int],
    edges: Sequence[Pair],
    gaps: Sequence[float],
) -> tuple[list[float], list[float], float]:
    """Left side and width of each column, and the width of everything."""
    widths = [max((sizes[v][0] for v in layer if v < len(sizes)), default=0.0) for layer in layers]
    free = [0.0] * (len(layers) + 1)
    for (_, b), gap in zip(edges, gaps, strict=True):
        free[column[b]] = max(free[column[b]], gap)
    lefts, x = [], 0.0
    for c, width in enumerate(widths):
        x += free[c]
        lefts.append(x)
        x += width
    return lefts, widths, x


def _ports(
    chains: Sequence[Sequence[int]], middles: Sequence[float], heights: Sequence[float], distance: float
) -> tuple[list[float], list[float]]:
    """How far from the middle of its box each edge starts and ends, so that edges do not cross there."""
    result = []
    for side, other in ((0, 1), (-1, -2)):
        meeting: dict[int, list[int]] = {}
        for k, chain in enumerate(chains):
            meeting.setdefault(chain[side], []).append(k)
        offsets = [0.0] * len(chains)
        for v, ks in meeting.items():
            ks.sort(key=lambda k, other=other: (middles[chains[k][other]], k))
            step = min(distance, (heights[v] - 14) / max(len(ks) - 1, 1))
            for i, k in enumerate(ks):
                offsets[k] = (i - (len(ks) - 1) / 2) * step
        result.append(offsets)
    return result[0], result[1]
