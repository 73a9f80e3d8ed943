"""Graphs: a program as a list of typed equations over the primitives of the table.

A graph is built by `Graph.emit`, which asks the type rule of the primitive, and is not changed afterwards:
transforms and passes take one and return another. Variables are compared by identity, graphs by structure.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, DtypeError, GraphError, ShapeError
from chainrule.ir.types import Type, type_of
from chainrule.source import Source
from chainrule.table.composite import Reading
from chainrule.table.primitive import TABLE, Body, Custom, Primitive, arguments_of

# Neither class is a dataclass: a graph of 10⁵ equations is made in a fraction of a second because these are
# made in 0.2 µs. Both are constant after they were made; nothing in the package assigns to their fields.


class Var:
    """A value of a graph: defined once, by the graph's inputs, its constants or one equation."""

    __slots__ = ("dtype", "shape", "type")

    def __init__(self, type: Type) -> None:
        self.type, self.shape, self.dtype = type, type.shape, type.dtype

    def __repr__(self) -> str:
        return f"Var({self.type})"


class Equation:
    """`outs = primitive(*inputs, **params)`.

    params
        Canonical parameters of the primitive. A `Graph` among them is a sub-graph: closed, with variables of
        its own.
    outs
        A tuple, also for one output.
    source
        The user's line; equations that a transform derives have that of the equation they come from.
    reading
        The function that the derivative is of, where the equation ends a recognised composite
        (table/composite.py): `(name, variable, params)`. The value is that of `primitive`.
    """

    __slots__ = ("inputs", "name", "outs", "params", "primitive", "reading", "source")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Var, ...],
        params: dict[str, Any],
        outs: tuple[Var, ...],
        source: Source | None = None,
        reading: Reading | None = None,
    ) -> None:
        self.primitive, self.inputs, self.params, self.outs = primitive, inputs, params, outs
        self.source, self.reading, self.name = source, reading, primitive.name

    @property
    def reads(self) -> tuple[Var, ...]:
        """Every variable that must be defined before: the inputs, and the variable of the reading."""
        return self.inputs if self.reading is None else (*self.inputs, self.reading.x)

    def __repr__(self) -> str:
        types = ", ".join(str(v.type) for v in self.inputs)
        return f"<equation {self.name}({types}) -> {', '.join(str(v.type) for v in self.outs)}>"


class Graph:
    """A program: `inputs` → `equations`, in an order in which they can be computed → `outputs`.

    Parameters
    ----------
    inputs
        The variables that are given.
    equations, outputs
        Filled by `emit` and by who builds the graph. One variable may be two outputs.
    constants
        Variable → array (read-only), or number. Numbers are kept once for each dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.ir import Graph, Type, Var
    >>> x = Var(Type((3,), np.dtype(float)))
    >>> g = Graph([x])
    >>> g.outputs.append(g.emit("mul", x, g.emit("sin", x)))
    >>> print(g)
    { a:float64[3] ->
      b:float64[3] = sin a
      c:float64[3] = mul a b
      -> c }
    """

    __slots__ = ("_numbers", "constants", "equations", "inputs", "outputs")

    def __init__(
        self,
        inputs: Iterable[Var] = (),
        equations: Iterable[Equation] = (),
        outputs: Iterable[Var] = (),
        constants: Mapping[Var, Any] | None = None,
    ) -> None:
        self.inputs, self.equations, self.outputs = list(inputs), list(equations), list(outputs)
        self.constants: dict[Var, Any] = dict(constants or {})
        self._numbers = {_number_key(c): v for v, c in self.constants.items() if c.ndim == 0}

    def copy(self) -> Graph:
        """A graph with the same variables, to which equations can be added."""
        return Graph(self.inputs, self.equations, self.outputs, self.constants)

    def input(self, type: Type) -> Var:
        """A new input of this type."""
        self.inputs.append(Var(type))
        return self.inputs[-1]

    def constant(self, value: Any, dtype: Any = None) -> Var:
        """The variable of a constant: a number, or an array (copied if it could change)."""
        a = np.asarray(value, dtype)
        if a.ndim == 0:
            number = a[()]
            key = _number_key(number)
            if key not in self._numbers:
                v = self._numbers[key] = Var(type_of(number))
                self.constants[v] = number
            return self._numbers[key]
        if a.flags.writeable or a.base is not None:
            a = np.array(a, order="C")
            a.flags.writeable = False
        v = Var(type_of(a))
        self.constants[v] = a
        return v

    def emit(
        self,
        name: str,
        /,
        *args: Var,
        source: Source | None = None,
        reading: Reading | None = None,
        **params: Any,
    ) -> Any:
        """Append one equation; its output, or a tuple of them where the type rule gives a tuple.

        Strict: variables only, equal shapes and dtypes for elementwise primitives. See `Emitter` for more
        comfort.

        Raises
        ------
        GraphError (E301)
            The table has no such primitive, or it takes other arguments.
        ShapeError, DtypeError … (E101, E102)
            Of the type rule, with the line `source`.
        """
        try:
            p = TABLE[name]
        except KeyError:
            raise _unknown(name, source) from None
        try:
            types = infer(p, [v.type for v in args], params)
        except ChainruleError as err:
            raise err.at(source) from None
        if types.__class__ is tuple:
            outs = tuple([Var(t) for t in types])
            self.equations.append(Equation(p, args, params, outs, source, reading))
            return outs
        out = Var(types)
        self.equations.append(Equation(p, args, params, (out,), source, reading))
        return out

    def vjp(self, wrt: Sequence[int] | None = None) -> Graph:
        """The graph of the vector-Jacobian product, without what nobody reads: transforms/reverse.py."""
        return _transformed("transforms.reverse", "vjp", self, wrt)

    def jvp(self, wrt: Sequence[int] | None = None) -> Graph:
        """The graph of the Jacobian-vector product: transforms/forward.py."""
        return _transformed("transforms.forward", "jvp", self, wrt)

    def vmap(self, lanes: int, batched: Sequence[bool] | None = None) -> Graph:
        """The graph of the program on many examples: transforms/batch.py."""
        return _transformed("transforms.batch", "vmap", self, lanes, batched)

    def __str__(self) -> str:
        from chainrule.ir.text import text

        return text(self)

    def __repr__(self) -> str:
        count = f"{len(self.inputs)} inputs, {len(self.equations)} equations, {len(self.outputs)} outputs"
        return f"<graph: {count}>"

    def __eq__(self, other: object) -> bool:
        """Same structure: variables may be others, source lines are not compared."""
        return isinstance(other, Graph) and (self is other or _same(self, other))

    def __hash__(self) -> int:
        ends = tuple(v.type for v in (*self.inputs, *self.outputs))
        return hash((ends, tuple(e.name for e in self.equations)))


def _transformed(module: str, name: str, graph: Graph, *args: Any) -> Graph:
    """A transform by name, cleaned: the program form itself knows none."""
    load = lambda m: importlib.import_module(f"chainrule.{m}")
    return load("passes.dce").dce(getattr(load(module), name)(graph, *args))


def _unknown(name: str, source: Source | None = None) -> GraphError:
    from difflib import get_close_matches

    near = get_close_matches(name, TABLE, 1)
    fix = f"did you mean {near[0]!r}?" if near else "use a name of chainrule.table.TABLE"
    return GraphError(f"the table has no primitive {name!r}", source=source, fix=fix)


def _number_key(number: Any) -> tuple[str, bytes]:
    if number.dtype.kind == "f" and number != number:
        return number.dtype.str, b"nan"  # all NaNs are one
    return number.dtype.str, number.tobytes()  # bytes: 0.0 is not -0.0


# --- types ---------------------------------------------------------------------------------------


def infer(p: Primitive, types: Sequence[Type], params: dict[str, Any]) -> Any:
    """Type of the output, a tuple of types for several outputs.

    Elementwise primitives take equal shapes and dtypes (Note [Explicit broadcast] in table/shape.py); `zeros`
    has its type in its parameters.
    """
    least, most, needed, known = _accepted(p)
    if not least <= len(types) <= most:
        count = f"{least}" if most == least else f"at least {least}"
        given = ", ".join(map(str, types)) or "none"
        raise GraphError(
            f"{p.name} takes {count} inputs, not {len(types)}", given=given, fix="pass its inputs"
        )
    if params or needed:
        _check_names(p, params, needed, known)
    if p.type_rule is None:
        return Type(params["shape"], params["dtype"])
    if len(types) > 1 and alike(p):
        _check_alike(p, types)
    elif p.kind == "elementwise" and types:
        _check_inexact(p, types[0])
    return p.type_rule(*types, **params)


@cache
def alike(p: Primitive) -> bool:
    """Whether the inputs of a primitive have one dtype (and, elementwise, one shape); conditions apart."""
    if p.kind == "elementwise":
        return True
    starred = p.inputs and p.inputs[-1] in ("*index", "index")
    return p.rule is not None and not isinstance(p.rule, Body | Custom) and not starred


def _check_alike(p: Primitive, types: Sequence[Type]) -> None:
    first = 1 if p.inputs[0] == "condition" else 0
    last = types[-1]
    for t in types[first:]:
        if t.dtype is not last.dtype and t.dtype != last.dtype:
            given = ", ".join(map(str, types))
            raise DtypeError(f"inputs of {p.name} differ in dtype", given=given, fix="cast them to one dtype")
    if p.kind == "elementwise":
        for t in types:
            if t.shape != last.shape:
                given = ", ".join(map(str, types))
                raise ShapeError(
                    f"inputs of {p.name} differ in shape", given=given, fix="broadcast them first"
                )
        _check_inexact(p, last)


def _check_inexact(p: Primitive, t: Type) -> None:
    if p.result == "inexact" and t.dtype.kind not in "fc":
        raise DtypeError(
            f"{p.name} takes floating point numbers in a graph", given=str(t), fix="cast the input first"
        )


@cache
def _accepted(p: Primitive) -> tuple[int, float, frozenset[str], frozenset[str] | None]:
    """Least and greatest number of inputs; names of needed and of known parameters (None: any)."""
    starred = bool(p.inputs) and p.inputs[-1].startswith("*")
    least = len(p.inputs) - starred
    most = float("inf") if starred else least
    needed: set[str] = set()
    known: set[str] = set()
    open_ended = True
    for fn in (p.value, p.type_rule):
        names, defaults, takes_any = _keywords(fn)
        known.update(names)
        needed.update(name for name in names if name not in defaults)
        open_ended &= takes_any
    return least, most, frozenset(needed), None if open_ended else frozenset(known)


def needed_parameters(p: Primitive) -> frozenset[str]:
    """Names of the parameters that a primitive must be given."""
    return _accepted(p)[2]


def _keywords(fn: Any) -> tuple[tuple[str, ...], Mapping[str, Any], bool]:
    """Keyword-only parameters of a function, their defaults, and whether it takes any others."""
    if not inspect.isfunction(fn):  # a ufunc, or none
        return (), {}, False
    fn = inspect.unwrap(fn)
    takes_any = bool(fn.__code__.co_flags & inspect.CO_VARKEYWORDS)
    return arguments_of(fn)[1], fn.__kwdefaults__ or {}, takes_any


def _check_names(
    p: Primitive, params: dict[str, Any], needed: frozenset[str], known: frozenset[str] | None
) -> None:
    missing = needed - params.keys()
    if missing:
        name = min(missing)
        raise GraphError(f"{p.name} has no value for {name!r}", given=_shown(params), fix=f"give {name}=…")
    extra = set() if known is None else params.keys() - known
    if extra:
        fix = f"it has {', '.join(sorted(known or ())) or 'none'}"
        raise GraphError(f"{p.name} has no parameter {min(extra)!r}", given=_shown(params), fix=fix)


def _shown(params: dict[str, Any]) -> str:
    text = ", ".join(f"{k}={v!r}" for k, v in params.items()) or "no parameters"
    return text if len(text) <= 80 else text[:79] + "…"


# --- structure -----------------------------------------------------------------------------------


def subgraphs(e: Equation) -> Iterator[tuple[str, Graph]]:
    """The parameters of an equation that are graphs."""
    for name, value in e.params.items():
        if value.__class__ is Graph:
            yield name, value


def defined(g: Graph) -> Iterator[Var]:
    """Variables in the order of their definition: inputs, constants that are arrays, outputs of equations."""
    yield from g.inputs
    yield from (v for v, c in g.constants.items() if c.ndim)
    for e in g.equations:
        yield from e.outs


def _numbering(g: Graph) -> dict[Var, Any]:
    """Variable → number of its definition; constant numbers are themselves."""
    names: dict[Var, Any] = {v: (*_number_key(c),) for v, c in g.constants.items() if c.ndim == 0}
    names.update({v: k for k, v in enumerate(defined(g))})
    return names


def _same(g: Graph, h: Graph) -> bool:
    if len(g.equations) != len(h.equations) or len(g.outputs) != len(h.outputs):
        return False
    ours, theirs = _numbering(g), _numbering(h)
    if [v.type for v in g.inputs] != [v.type for v in h.inputs]:
        return False
    arrays = [[c for c in f.constants.values() if c.ndim] for f in (g, h)]
    if len(arrays[0]) != len(arrays[1]) or not all(map(_same_array, *arrays)):
        return False
    if [ours.get(v, v) for v in g.outputs] != [theirs.get(v, v) for v in h.outputs]:
        return False
    return all(_same_equation(e, f, ours, theirs) for e, f in zip(g.equations, h.equations, strict=True))


def _same_array(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _same_equation(e: Equation, f: Equation, ours: dict[Var, Any], theirs: dict[Var, Any]) -> bool:
    if e.primitive is not f.primitive or [v.type for v in e.outs] != [v.type for v in f.outs]:
        return False
    if [ours.get(v, v) for v in e.inputs] != [theirs.get(v, v) for v in f.inputs]:
        return False
    if not same_params(e.params, f.params) or (e.reading is None) is not (f.reading is None):
        return False
    if e.reading is None or f.reading is None:
        return True
    return (
        e.reading.name == f.reading.name
        and ours.get(e.reading.x) == theirs.get(f.reading.x)
        and same_params(e.reading.params, f.reading.params)
    )


def same_params(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Equal parameters, where NaN equals NaN and 1 is not 1.0."""
    if a.keys() != b.keys():
        return False
    for k, v in a.items():
        if v is not b[k] and not (v == b[k] if v.__class__ is Graph else repr(v) == repr(b[k])):
            return False
    return True
