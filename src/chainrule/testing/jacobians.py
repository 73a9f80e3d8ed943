"""A derivative by rules and by differences, entry by entry, and what to say where they differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.api import trees
from chainrule.api.run import Run
from chainrule.dispatch import node_of
from chainrule.eager.backward import collect
from chainrule.errors import DataError
from chainrule.ops import creation
from chainrule.tape.modes import no_grad
from chainrule.testing.finite import richardson

Arrays = list[np.ndarray]


class Entry(NamedTuple):
    """One number of a Jacobian: output `out` at `row`, input `inp` at `column`, as positions in flat arrays.

    Of complex numbers the real and the imaginary part are entries of their own.
    """

    out: int
    row: int
    inp: int
    column: int


class Point:
    """A function at a point, as a function of real numbers.

    names
        How the inputs are called in reports.
    """

    def __init__(
        self, f: Callable[..., Any], args: Sequence[Any], wrt: Sequence[int], names: Sequence[str]
    ) -> None:
        self.f, self.args, self.wrt, self.names = f, tuple(args), list(wrt), list(names)
        self.run = Run(f, args, {}, tuple(wrt))
        self.inputs = [np.asarray(t.detach()) for t in self.run.inputs]
        self.outs = [np.asarray(t.detach()) for t in self.run.outs]
        self.live = [k for k, v in enumerate(self.outs) if v.dtype.kind in "fc"]

    def values(self, inputs: Arrays) -> Arrays:
        """The outputs at other inputs."""
        full, at = list(self.args), 0
        for k, (spec, count) in zip(self.wrt, self.run.specs, strict=True):
            full[k] = trees.unflatten(spec, [creation.as_tensor(v.copy()) for v in inputs[at : at + count]])
            at += count
        with no_grad():
            leaves = trees.flatten(self.f(*full))[0]
        return [np.asarray(creation.as_tensor(t).detach()) for t in leaves]

    def along(self, inp: int, column: int) -> Callable[[float], np.ndarray]:
        """All outputs as one real vector, when one entry of an input is moved by s."""

        def moved(s: float) -> np.ndarray:
            inputs = list(self.inputs)
            v = _real(inputs[inp]).copy()
            v[column] += s
            inputs[inp] = _like(v, inputs[inp])
            found = self.values(inputs)
            return np.concatenate([np.zeros(0), *(_real(found[k]) for k in self.live)])

        return moved

    def kinks(self) -> list[str]:
        """What the table says about kinks of the operations on the way."""
        nodes = collect([n for n in map(node_of, self.run.outs) if n.pull is not None])
        found = [
            f"{n.name} at {n.source.place}: {where}: {which}"
            for n in reversed(nodes)
            if n.p is not None
            for where, which in n.p.kinks.items()
        ]
        return list(dict.fromkeys(found))


def by_rules(point: Point, mode: str) -> list[np.ndarray]:
    """The real Jacobian of all outputs by each input, from "reverse" or "forward" mode."""
    run, heights = point.run, [_real(point.outs[k]).size for k in point.live]
    blocks = [np.zeros((sum(heights), _real(v).size)) for v in point.inputs]
    if mode == "forward":
        for j, v in enumerate(point.inputs):
            for column, unit in enumerate(_units(v)):
                tangents: list[Any] = [None] * len(point.inputs)
                tangents[j] = unit
                pushed = run.push(tangents)
                flat = [_real(np.asarray(pushed[k].detach())) for k in point.live]
                blocks[j][:, column] = np.concatenate([np.zeros(0), *flat])
        return blocks
    row = 0
    for k in point.live:
        for unit in _units(point.outs[k]):
            weights: list[Any] = [None] * len(point.outs)
            weights[k] = unit
            for block, ct in zip(blocks, run.pull(weights), strict=True):
                block[row] = _real(np.asarray(ct.detach()))
            row += 1
    return blocks


def by_differences(point: Point, step: float | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The same by differences, and an estimate of their errors (infinite where no difference is finite)."""
    height = sum(_real(point.outs[k]).size for k in point.live)
    found, errors = [], []
    for j, v in enumerate(point.inputs):
        values, error = np.zeros((height, _real(v).size)), np.zeros((height, _real(v).size))
        for column, x in enumerate(_real(v)):
            values[:, column], error[:, column] = _slope(
                point.along(j, column), step or _step(v.dtype), abs(x), v.dtype
            )
        found.append(values)
        errors.append(error)
    return found, errors


def _step(dtype: np.dtype) -> float:
    """The largest step of the extrapolation: differences of float32 need long ones."""
    return 0.1 if np.finfo(dtype).eps > 1e-10 else 0.01


def _slope(
    moved: Callable[[float], np.ndarray], step: float, size: float, dtype: np.dtype
) -> tuple[Any, Any]:
    """Slopes and an estimate of their errors; shorter steps where a longer one leaves the domain or has not settled."""
    single = bool(np.finfo(dtype).eps > 1e-10)
    levels, settled = (3, 1e-3) if single else (5, 1e-8)
    best: Any = np.float64(np.nan)
    errors: Any = np.float64(np.inf)
    for k in range(5):
        h = step * max(1.0, size) / 10**k
        try:
            value, _ = richardson(moved, h, levels)
            again, _ = richardson(moved, h / 3.7, levels)
            plain, _ = richardson(moved, h / 500, 1)
        except DataError:
            continue
        error = np.abs(again - value)
        if not single:  # steps much longer than a wave agree with each other by chance: a short one does not
            error = np.maximum(
                error, np.where(np.abs(plain - again) > 1e-3 * (1 + np.abs(again)), np.inf, 0.0)
            )
        better = (error < errors) | np.isnan(best)
        best, errors = np.where(better, again, best), np.where(better, error, errors)
        if np.all(errors <= settled * (1 + np.abs(best))):
            break
    return best, errors


def sides(point: Point, entry: Entry, step: float = 1e-5) -> tuple[float, float, bool]:
    """Slopes to the left and to the right of an entry, and whether they differ because of a kink."""
    row = entry.row + sum(_real(point.outs[k]).size for k in point.live if k < entry.out)
    moved, x = point.along(entry.inp, entry.column), float(_real(point.inputs[entry.inp])[entry.column])
    eps = float(np.finfo(point.inputs[entry.inp].dtype).eps)
    h = max(step, eps ** (1 / 3)) * max(1.0, abs(x))
    middle = moved(0.0)[row]
    slopes = [((moved(s)[row] - middle) / s, (middle - moved(-s)[row]) / s) for s in (h, h / 8)]
    wide, narrow = (abs(r - left) for r, left in slopes)
    right, left = slopes[0]
    noise = 100 * eps * max(abs(middle), 1e-300) / h
    return left, right, bool(narrow > 0.5 * wide and wide > max(1e-3 * max(abs(left), abs(right)), noise))


def _units(v: np.ndarray) -> list[Any]:
    """Unit vectors of the space of `v`, over the real numbers."""
    size = _real(v).size
    return [creation.make_leaf(_like(np.eye(1, size, k)[0].astype(_real(v).dtype), v)) for k in range(size)]


def _real(v: np.ndarray) -> np.ndarray:
    """The entries as a flat real array; a complex number is two."""
    flat = np.ascontiguousarray(v).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _like(flat: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (flat.view(v.dtype) if v.dtype.kind == "c" else flat.astype(v.dtype)).reshape(v.shape)


def place(v: np.ndarray, k: int) -> str:
    """The index of a flat position, as Python writes it: "[1, 0]", with .real or .imag of complex numbers."""
    part = ""
    if v.dtype.kind == "c":
        k, imaginary = divmod(k, 2)
        part = ".imag" if imaginary else ".real"
    index = ", ".join(str(int(i)) for i in np.unravel_index(k, v.shape)) if v.shape else ""
    return (f"[{index}]" if index else "") + part


__all__ = ["Entry", "Point", "by_differences", "by_rules", "place", "sides"]
