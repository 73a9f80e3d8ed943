"""Which entries of a Jacobian can be other than 0, and how to compute several columns of it in one pass.

The pattern is read off a graph: for each value the set of inputs that each of its entries depends on, as a sparse
matrix of truth values. It is structural: what is 0 by chance, at one point, counts. Columns (or rows) that meet in no
row (column) get one colour and share a pass: Curtis, Powell and Reid, IMA J. Appl. Math. 13 (1974).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.ir.graph import Equation, Graph, Var
from chainrule.table.formula import is_const
from chainrule.table.primitive import TABLE, Linear, Partials, nondifferentiable, partials_of

Matrix = Any  # scipy.sparse.csr_array of truth values

# Values that are entries of an input, moved; and those into which entries of an input are added.
_MOVES = frozenset(
    """
    cast reshape transpose broadcast flip shift pad concatenate alias index index_update take_along diagonal on_diagonal
    windows real imag conj
    """.split()  # noqa: SIM905
)
_ADDS = frozenset({"scatter_add", "put_along", "add_windows"})
_ALONG = frozenset("softmax log_softmax cumsum cumprod logcumsumexp linear_recurrence".split())  # noqa: SIM905


def pattern(graph: Graph, k: int = 0) -> Matrix:
    """Which entries of output 0 may depend on which of input `k`: a sparse matrix, outputs × inputs.

    Entries in C order. Where a dependence cannot be told (an index that is computed), all of it counts.
    """
    return _Dependence(graph, k).of(graph.outputs[0])


class _Dependence:
    """For each value that depends on the input: its pattern."""

    def __init__(self, graph: Graph, k: int) -> None:
        from scipy import sparse

        self.sparse = sparse
        self.columns = graph.inputs[k].type.size
        self.found: dict[Var, Matrix] = {
            graph.inputs[k]: sparse.eye_array(self.columns, dtype=bool, format="csr")
        }
        self.known: dict[Var, Any] = dict(graph.constants)
        for e in graph.equations:
            self._read(e)

    def of(self, v: Var) -> Matrix:
        """The pattern of a value; empty if it does not depend on the input."""
        found = self.found.get(v)
        return self.sparse.csr_array((v.type.size, self.columns), dtype=bool) if found is None else found

    def _read(self, e: Equation) -> None:
        if all(v in self.known for v in e.inputs):
            with np.errstate(all="ignore"):
                result = e.primitive.value(*[self.known[v] for v in e.inputs], **e.params)
            self.known.update(zip(e.outs, result if result.__class__ is tuple else (result,), strict=True))
            return
        if e.primitive.rule is None:
            return
        live = [j for j, v in enumerate(e.inputs) if v in self.found and self._carries(e, j)]
        if not live:
            return
        for out in e.outs:
            if out.dtype.kind in "fc":
                parts = [self._through(e, j, out) for j in live]
                self.found[out] = _either(parts)

    def _carries(self, e: Equation, j: int) -> bool:
        """Whether a derivative flows through input j: it is no index, and its partial is not 0 everywhere."""
        names = e.primitive.inputs
        name = names[min(j, len(names) - 1)]
        if name in nondifferentiable(e.primitive):
            return False
        rule = e.primitive.rule
        return not (isinstance(rule, Partials) and is_const(partials_of(e.primitive)[name], 0))

    def _through(self, e: Equation, j: int, out: Var) -> Matrix:
        """The pattern of an output as far as it comes through input j."""
        found = self.found[e.inputs[j]]
        if e.primitive.kind == "elementwise" and e.name not in _MOVES:
            return found
        indices = e.inputs[1:] if e.name not in ("index_update", "concatenate") else e.inputs[2:]
        if (
            e.name in (*_MOVES, *_ADDS)
            and e.name != "concatenate"
            and not all(v in self.known for v in indices)
        ):
            return self._dense(found, out)
        if e.name in _MOVES:
            return self._moved(e, j, found)
        if e.name in _ADDS:
            places = self._places(e, out)
            return (
                self._dense(found, out) if len(places) != found.shape[0] else self._added(found, places, out)
            )
        if e.primitive.kind == "reduction":
            return self._added(found, _spread(e.inputs[j], _axes(e), e.params.get("keepdims", False)), out)
        if e.name in _ALONG:
            return self._along(e, j, found, out)
        if e.name == "dot_general":
            return self._product(e, j, found, out)
        return self._dense(found, out)

    def _moved(self, e: Equation, j: int, found: Matrix) -> Matrix:
        """Rows picked by where the entries came from; a hole has none."""
        labels = [
            np.zeros(v.shape, np.int64) if v in self.found or v.dtype.kind in "fc" else self.known[v]
            for v in e.inputs
        ]
        labels[j] = np.arange(1, e.inputs[j].type.size + 1).reshape(e.inputs[j].shape)
        params = {k: np.dtype(np.int64) if k == "dtype" else p for k, p in e.params.items()}
        value = e.primitive.value(*labels, **params)
        empty = self.sparse.csr_array((1, self.columns), dtype=bool)
        return self.sparse.vstack([empty, found], format="csr")[np.asarray(value).ravel()]

    def _places(self, e: Equation, out: Var) -> np.ndarray:
        """Where the entries of its input are added: the transpose picks there, so it is asked for the places."""
        rule = e.primitive.rule
        assert isinstance(rule, Linear)
        numbers = np.arange(out.type.size).reshape(out.shape)
        emit = lambda name, *args, **params: TABLE[name].value(*args, **params)
        indices = [self.known[v] for v in e.inputs[1:]]
        return np.asarray(rule.transpose["x"](emit, numbers, e.inputs[0].type, *indices, **e.params)).ravel()

    def _added(self, found: Matrix, places: np.ndarray, out: Var) -> Matrix:
        """Rows added into the `places` of the output."""
        n = len(places)
        add = self.sparse.csr_array((np.ones(n, bool), (places, np.arange(n))), shape=(out.type.size, n))
        return (add @ found).astype(bool)

    def _along(self, e: Equation, j: int, found: Matrix, out: Var) -> Matrix:
        """Every entry of a line depends on all of the line."""
        v = e.inputs[j]
        axis = _axes(e)
        places = _spread(v, axis, False)
        lines = int(places.max()) + 1 if places.size else 0
        add = self.sparse.csr_array(
            (np.ones(len(places), bool), (places, np.arange(len(places)))), shape=(lines, len(places))
        )
        return (add @ found).astype(bool)[_spread(out, axis, False)]

    def _product(self, e: Equation, j: int, found: Matrix, out: Var) -> Matrix:
        """A product of arrays: through the entries of the other factor that are not known to be 0."""
        (cx, cy), (bx, by) = e.params["contract"], e.params["batch"]
        other = e.inputs[1 - j]
        factor = self.known.get(other)
        nonzero = np.ones(other.shape, bool) if factor is None else np.asarray(factor) != 0
        mine, theirs = ((cx, bx), (cy, by)) if j == 0 else ((cy, by), (cx, bx))
        v = e.inputs[j]
        free = [k for k in range(len(v.shape)) if k not in mine[0] and k not in mine[1]]
        others = [k for k in range(len(other.shape)) if k not in theirs[0] and k not in theirs[1]]
        at = np.argwhere(nonzero)
        count = int(np.prod([v.shape[k] for k in free], dtype=int))
        rest = (
            np.stack(np.unravel_index(np.arange(count), [v.shape[k] for k in free]), -1)
            if free
            else np.zeros((1, 0), int)
        )
        left, right = np.repeat(rest, len(at), 0), np.tile(at, (len(rest), 1))
        entry = np.zeros((len(left), len(v.shape)), int)
        entry[:, free] = left
        entry[:, list(mine[0])] = right[:, list(theirs[0])]
        entry[:, list(mine[1])] = right[:, list(theirs[1])]
        batch, own, opposite = right[:, list(theirs[1])], left, right[:, others]
        place = np.concatenate([batch, own, opposite] if j == 0 else [batch, opposite, own], 1)
        rows, columns = _flat(place, out.shape), _flat(entry, v.shape)
        join = self.sparse.csr_array(
            (np.ones(len(rows), bool), (rows, columns)), shape=(out.type.size, v.type.size)
        )
        return (join @ found).astype(bool)

    def _dense(self, found: Matrix, out: Var) -> Matrix:
        """Every entry may depend on everything that the input depends on."""
        row = np.zeros(self.columns, bool)
        row[found.indices] = True
        return self.sparse.csr_array(np.tile(row, (out.type.size, 1)))


def _either(parts: Sequence[Matrix]) -> Matrix:
    total = parts[0]
    for part in parts[1:]:
        total = (total + part).astype(bool)
    return total.tocsr()


def _axes(e: Equation) -> tuple[int, ...]:
    axis = e.params["axis"]
    return (axis,) if isinstance(axis, int) else tuple(axis)


def _spread(v: Var, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """For each entry of v the place that a reduction over `axis` puts it."""
    shape = tuple(1 if k in axis else n for k, n in enumerate(v.shape))
    places = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    return np.broadcast_to(places, v.shape).ravel()


def _flat(entries: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.ravel_multi_index(tuple(entries.T), shape) if shape else np.zeros(len(entries), int)


# --- colours -------------------------------------------------------------------------------------------


def colour_columns(found: Matrix) -> np.ndarray:
    """A colour for each column, such that columns of one colour meet in no row; columns of zeros get -1.

    Greedy, in order: for a band as many colours as its rows have entries.
    """
    by_column, by_row = found.tocsc(), found.tocsr()
    colours = np.full(found.shape[1], -1)
    rows, at_row, columns, at_column = by_column.indices, by_column.indptr, by_row.indices, by_row.indptr
    for j in range(found.shape[1]):
        mine = rows[at_row[j] : at_row[j + 1]]
        if len(mine):
            taken = {int(c) for r in mine for c in colours[columns[at_column[r] : at_column[r + 1]]]}
            colours[j] = _first_free(taken)
    return colours


def colour_symmetric(found: Matrix) -> np.ndarray:
    """A star colouring of a symmetric pattern: every entry, or its mirror image, stands alone in its colour.

    Neighbours differ, and every path of four vertices has three colours: Gebremedhin, Manne and Pothen, SIAM Review 47
    (2005), algorithm 4.1. An arrow takes two colours, where columns that meet in no row are n.
    """
    n = found.shape[0]
    by_row = found.tocsr()
    indices, pointers = by_row.indices, by_row.indptr
    near = [[int(w) for w in indices[pointers[v] : pointers[v + 1]] if w != v] for v in range(n)]
    colours = np.full(n, -1)
    for v in range(n):
        if not near[v] and pointers[v] == pointers[v + 1]:
            continue
        taken: set[int] = set()
        for w in near[v]:
            if colours[w] >= 0:
                taken.add(int(colours[w]))
            for x in near[w]:
                if x == v or colours[x] < 0:
                    continue
                if colours[w] < 0 or any(y != w and colours[y] == colours[w] for y in near[x]):
                    taken.add(int(colours[x]))
        colours[v] = _first_free(taken)
    return colours


def _first_free(taken: set[int]) -> int:
    c = 0
    while c in taken:
        c += 1
    return c


def seeds(colours: np.ndarray) -> np.ndarray:
    """Directions, one for each colour: 1 in the columns of that colour; colours × columns."""
    found = np.zeros((int(colours.max(initial=-1)) + 1, len(colours)))
    live = np.flatnonzero(colours >= 0)
    found[colours[live], live] = 1.0
    return found


def recover(found: Matrix, colours: np.ndarray, products: np.ndarray) -> Matrix:
    """The matrix of a pattern from its products with the `seeds`: `products` is colours × rows."""
    entries = found.tocoo()
    values = products[colours[entries.col], entries.row]
    return _matrix(entries.row, entries.col, values, found.shape)


def recover_symmetric(found: Matrix, colours: np.ndarray, products: np.ndarray) -> Matrix:
    """The symmetric matrix of a pattern: each entry where it, or its mirror image, stands alone."""
    entries = found.tocoo()
    row, column = entries.row, entries.col
    by_row = found.tocsr()
    alone = np.empty(len(row), bool)
    for r in range(found.shape[0]):
        at = slice(by_row.indptr[r], by_row.indptr[r + 1])
        mine = colours[by_row.indices[at]]
        alone[at] = np.bincount(mine, minlength=1)[mine] == 1 if len(mine) else True
    direct = products[colours[column], row]
    mirrored = products[colours[row], column]
    return _matrix(row, column, np.where(alone, direct, mirrored), found.shape)


def _matrix(rows: Any, columns: Any, values: Any, shape: tuple[int, int]) -> Matrix:
    from scipy import sparse

    return sparse.csr_array((values, (rows, columns)), shape=shape)


__all__ = ["colour_columns", "colour_symmetric", "pattern", "recover", "recover_symmetric", "seeds"]
