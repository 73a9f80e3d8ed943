"""Whether numbers are those of a graph, up to what rounding may do to this very program.

The reference engine runs the graph some times more with every operation off by some units in the last place. Where
the results part, rounding decides, and how far they part says how far a right answer may lie.
"""

import numpy as np

from chainrule.codegen.views import VIEWS
from chainrule.ir.evaluate import evaluate

RUNS, MORE, ULPS, ROOM = 3, 40, 8, 100
_EXACT = {*VIEWS, "amax", "amin", "zeros", "where", "relu", "abs", "neg", "clamp", "cast", "cast_like", "pad", "shift",
          "concatenate", "take_along", "put_along", "index_update", "median", "detach", "diagonal"}  # fmt: skip


def noisy(graph, arrays, rng):
    """The outputs of a graph with rounding errors of our own in every operation that rounds."""

    def off(v):
        if getattr(v, "dtype", np.dtype(int)).kind != "f":
            return v
        return (v * (1 + ULPS * np.finfo(v.dtype).eps * rng.uniform(-1, 1, size=np.shape(v)))).astype(v.dtype)

    values = {**dict(zip(graph.inputs, arrays, strict=True)), **graph.constants}
    with np.errstate(all="ignore"):
        for e in graph.equations:
            exact, args = e.name in _EXACT, [values[v] for v in e.inputs]
            if not exact and e.primitive.kind != "elementwise":
                args = [off(a) for a in args]  # terms of a sum cancel
            result = e.primitive.value(*args, **e.params)
            outs = result if result.__class__ is tuple else (result,)
            values.update(zip(e.outs, outs if exact else map(off, outs), strict=True))
    return [np.asarray(values[v]) for v in graph.outputs]


def check_agreement(found, graph, arrays, *, reference=None, seed=0):
    """AssertionError where `found` differs from the outputs of the graph by more than rounding explains."""
    expected = evaluate(graph, *arrays) if reference is None else reference
    rng, others = np.random.default_rng(seed), []
    for runs in (RUNS, MORE):  # a step like floor needs some luck to be met
        others += [noisy(graph, arrays, rng) for _ in range(runs)]
        said = "".join(
            _difference(k, *z, [o[k] for o in others])
            for k, z in enumerate(zip(found, expected, strict=True))
        )
        if not said:
            return
    raise AssertionError(said)


def _difference(k, out, right, others):
    """In words; nothing if there is none."""
    out, right = np.asarray(out), np.asarray(right)
    if (out.shape, out.dtype) != (right.shape, right.dtype):
        return f"output {k} is {out.dtype}{out.shape}, {right.dtype}{right.shape} is right. "
    wrong = _differs(out, right, others)
    if not wrong.any():
        return ""
    at = tuple(map(int, np.argwhere(wrong)[0]))
    return f"output {k}: {wrong.sum()} of {wrong.size} entries, at {at} {out[at]!r}, {right[at]!r} is right. "


def _differs(out, right, others):
    if out.dtype.kind != "f":
        return (out != right) & np.all([o == right for o in others], axis=0)
    with np.errstate(all="ignore"):
        spread = np.max([np.abs(o - right) for o in others], axis=0)
        room = ROOM * spread + 4 * ULPS * np.finfo(out.dtype).eps * np.abs(right) + np.finfo(out.dtype).tiny
        near = np.abs(out - right) <= room
    same = (out == right) | (np.isnan(out) & np.isnan(right))
    unsure = np.any([~np.isfinite(o) != ~np.isfinite(right) for o in others], axis=0)
    return ~(same | near | unsure)
