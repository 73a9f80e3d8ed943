"""A descent under way: where it is, what was measured there, and what the rules for its end look at."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.dispatch import Handle, node_of, wrap
from chainrule.eager.backward import pull_back
from chainrule.eager.refusals import not_tracked
from chainrule.errors import ArgumentError, DataError, NotScalarError, UnusedError
from chainrule.optim.history import History
from chainrule.tape import numbers
from chainrule.tape.node import leaf
from chainrule.tape.pull import settle

WINDOW = 64  # steps that the rules on oscillation look back
_SMALL = 16  # entries: up to here Python's own numbers are quicker than NumPy's calls
_MOVED = b"\x01"

Point = Any  # a Python float, or an array of float32 or float64


class Best(NamedTuple):
    """The point with the smallest value so far, and the steps it took."""

    w: Point
    value: float
    g: Point
    norm: float
    k: int


class Walk:
    """The state of gradient descent after `k` steps. `measure` and `step` take turns.

    w, value, g, norm
        The point, L, ∇L and ‖∇L‖ there: all of the same point.
    old_w, old_g, old_norm, largest
        The point before, its gradient, and how far the last step was to move the coordinate it moved most.
    still
        Whether the last step changed no coordinate.
    last_move
        Coordinate → the last step that moved it, for coordinates that stopped moving; `moved` says which did last.
    period
        Of an exact repetition: after so many steps w is bit for bit what it was.
    """

    def __init__(
        self, f: Callable[[Any], Any], w: Point, *, lr: float, tol: float, source: tuple[Any, int]
    ) -> None:
        self.f, self.w, self.lr, self.tol, self._source = f, w, lr, tol, source
        self.plain = w.__class__ is float
        self.size = 1 if self.plain else w.size
        self.k = 0
        self.value = self.norm = self.old_norm = self.largest = math.nan
        self.g = self.old_w = self.old_g = None
        self.still, self.moved, self.last_move = False, _MOVED * self.size, {}
        self.values: deque[float] = deque(maxlen=WINDOW)
        self.norms: deque[float] = deque(maxlen=WINDOW)
        self.first_value = self.first_norm = self.top_norm = math.nan
        self.reverses = False
        self._best: Any = None
        self.anchor, self.anchor_at, self.anchored, self.hits, self.period = (
            None,
            0,
            (math.nan, math.nan),
            0,
            0,
        )
        self.history = History(self.size)

    # --- measuring ------------------------------------------------------------------------------------

    def measure(self) -> None:
        """Value and gradient at `w`: one forward and one backward pass."""
        w = self.w
        n = leaf(w, True, *self._source)
        out = self.f(wrap(w, n))
        root = node_of(out) if isinstance(out, Handle) else None
        if root is None or root.pull is None or (out.v.__class__ is not float and out.v.size != 1):
            raise _refusal(out, n)
        v = out.v
        cts, _ = pull_back([(root, 1.0 if v.__class__ is float else np.ones(v.shape, v.dtype))], None, False)
        g = cts.get(n)
        if g is None:
            raise _independent(out)
        self.g = g = settle(g, w)
        self.value = v if v.__class__ is float else _real(v.item())
        self.norm = norm = abs(g) if self.plain else norm_of(g)
        self.values.append(self.value)
        self.norms.append(norm)
        if self._best is None or (-math.inf < self.value < self._best[1] and norm < math.inf):
            self._best = (w, self.value, g, norm, self.k)
        if self.k == 0:
            self.first_value, self.first_norm, self.top_norm = self.value, norm, norm
        elif norm > self.top_norm:
            self.top_norm = norm
        if self.k == 1:
            self.reverses = opposed(g, self.old_g, 0.0)

    @property
    def best(self) -> Best | None:
        """The point with the smallest value so far; None before the first was measured."""
        return None if self._best is None else Best(*self._best)

    # --- stepping ------------------------------------------------------------------------------------

    def step(self) -> None:
        """w − lr·∇L, and which coordinates that changed."""
        w, g = self.w, self.g
        if self.plain:
            move = self.lr * g
            new = w - move
            moved = _MOVED if new != w else b"\x00"
            largest, point = abs(move), (w,)
        else:
            with numbers.quiet():
                move = self.lr * g
                new = w - move
                moved = (new != w).tobytes()
                largest = _largest(move, self.size)
            point = w.ravel().tolist() if self.history.width else ()
        self.k += 1
        if moved != self.moved:
            self._note_moves(moved)
        self.still = _MOVED not in moved
        self.history.add(self.k, self.value, self.norm, largest, point)
        self.old_w, self.old_g, self.old_norm, self.largest = w, g, self.norm, largest
        self.w = new

    def _note_moves(self, moved: bytes) -> None:
        """Some coordinates stopped moving with this step, or began to move again."""
        before, now = (np.frombuffer(m, np.bool_) for m in (self.moved, moved))
        for i in np.flatnonzero(before & ~now)[:1000].tolist():
            self.last_move[i] = self.k - 1
        self.moved = moved

    def close(self) -> None:
        """The last step belongs into the table, also of a long run."""
        if self.k:
            point = np.asarray(self.old_w).ravel().tolist() if self.history.width else ()
            value = self.values[-2] if len(self.values) > 1 else math.nan
            self.history.add_last(self.k, value, self.old_norm, self.largest, point)

    # --- repetition (Brent: a mark that moves on at powers of two meets every cycle) ---------------------

    def repeats(self) -> bool:
        """Whether w came back, twice after the same number of steps, to a point it had been at, bit for bit."""
        if (self.value, self.norm) == self.anchored and same(self.w, self.anchor):
            self.hits += 1
            if self.hits == 1:
                self.period = self.k - self.anchor_at
            return self.hits == 2 and self.k - self.anchor_at == 2 * self.period
        if self.k & (self.k - 1) == 0:
            self.anchor, self.anchor_at, self.anchored, self.hits = self.w, self.k, (self.value, self.norm), 0
        return False


def same(a: Point, b: Point) -> bool:
    """Equal in every bit that counts."""
    return a == b if a.__class__ is float else bool(np.array_equal(a, b))


def opposed(a: Point, b: Point, cosine: float) -> bool:
    """Whether two gradients point in opposite directions: the cosine of their angle is below −`cosine`."""
    with numbers.quiet():
        inner = a * b if a.__class__ is float else float(np.vdot(a, b))
        return inner < -cosine * norm_of(a) * norm_of(b)


def norm_of(g: Point) -> float:
    """√Σg², in the dtype of `g` as torch and `Tensor.norm` have it; scaled only where squares leave the range."""
    if g.__class__ is float:
        return abs(g)
    with numbers.quiet():
        if g.dtype == np.float64:
            total = float(np.vdot(g, g))
            if 1e-280 < total < 1e300:
                return math.sqrt(total)
        else:
            quick = float(np.sqrt(np.add.reduce(np.square(g), axis=None)))
            if 1e-12 < quick < 1e18:
                return quick
        return float(numbers.emit("norm", g, axis=tuple(range(g.ndim)), keepdims=False))


def _largest(move: np.ndarray, size: int) -> float:
    return max(map(abs, move.ravel().tolist())) if size <= _SMALL else float(max(move.max(), -move.min()))


def _real(v: Any) -> float:
    if v.__class__ is not complex:
        return v
    raise NotScalarError("the function returns a complex number, and of two neither is the smaller", given=str(v),
                         fix="return its real part, or abs(…) of it")  # fmt: skip


# --- a function that is not one that can be minimised --------------------------------------------------


def _refusal(out: Any, n: Any) -> Exception:
    if isinstance(out, tuple | list):
        return ArgumentError(
            f"the function returns a {type(out).__name__} of {len(out)}, not one number",
            fix="return one number: a sum of them, or the first only",
        )  # fmt: skip
    if out is None:
        return ArgumentError("the function returns None", fix="end it with  return L")
    if not isinstance(out, Handle):
        if not isinstance(out, int | float | np.number | np.ndarray):
            return DataError(
                f"the function returns a {type(out).__name__}, not a number", fix="return one number"
            )
        return UnusedError(
            "the function returns a number without a history: no gradient can reach its argument",
            given=f"{type(out).__name__} {_short(out)}",
            fix="compute with the argument and chainrule's functions; leave out item(), float() and math.*",
        )  # fmt: skip
    if out.numel() != 1:
        return NotScalarError(
            f"the function returns {out.numel()} numbers, and one is minimised", given=f"shape {list(out.shape)}",
            fix="return their sum, or a mean: there is no smallest of several numbers",
        )  # fmt: skip
    return _independent(out)


def _independent(out: Any) -> Exception:
    """The value does not depend on the argument, in the graph."""
    reason = not_tracked(out) if node_of(out).pull is None else None
    known = reason is not None and (reason.given or "").startswith(("the gradient ends", "detach", "tensor("))
    if known or (reason is not None and "no_grad" in (reason.given or "")):
        return UnusedError("the value does not depend on the argument", given=reason.given, fix=reason.fix)
    return UnusedError(
        "the value does not depend on the argument, so there is nothing to minimise by changing it",
        given=f"L = {_short(out.v)}, computed at {node_of(out).source}",
        fix="use the argument of the function in what it returns",
    )  # fmt: skip


def _short(v: Any) -> str:
    text = f"{v:.6g}" if isinstance(v, int | float | np.number) else str(v)
    return text if len(text) <= 40 else text[:39] + "…"
