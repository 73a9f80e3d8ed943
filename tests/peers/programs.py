"""Random programs in torch's names: source text that runs under any library with these names.

A program is made by running it line by line under the first library, so every line is legal there, and no value lies
near a kink, a jump, a tie or the edge of a domain: there two right engines may differ (semantics.md C.6), elsewhere
they must agree to rounding error. A failure prints the source: it runs as it is after `import torch`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LIMIT = 20.0  # larger values are not taken further: rounding errors would grow with them
MARGIN = 0.02  # distance from kinks and from the edges of domains
SHAPES = ((), (), (1,), (3,), (3,), (2, 3), (3, 1), (1, 3), (2, 1, 3), (3, 3), (2, 2), (0,), (2, 0, 3))
Names = dict[str, Any]


class Program(NamedTuple):
    """Source of leaves, of steps, and of the loss; `leaves` names the variables that were made."""

    leaves: list[str]
    head: list[str]
    steps: list[str]
    loss: str

    @property
    def source(self) -> str:
        return "\n".join([*self.head, *self.steps, self.loss])

    def __repr__(self) -> str:
        return "\nimport torch; torch.set_default_dtype(torch.float64)\n" + self.source + "\n"

    def run(self, lib: Any, leaves: Names | None = None) -> Names:
        """The variables of the program, run under `lib`; the loss is called `loss`. `leaves` replaces some leaves."""
        names: Names = {"torch": lib}
        exec("\n".join(self.head), names)
        names.update(leaves or {})
        exec(compile("\n".join([*self.steps, self.loss]), "<program>", "exec"), names)
        return {k: v for k, v in names.items() if not k.startswith("__") and k != "torch"}


class Maker:
    """Proposes lines, and keeps those that run and whose values are tame."""

    def __init__(
        self, lib: Any, seed: int, *, dtypes: tuple[str, ...] = ("float64",), inplace: bool = True
    ) -> None:
        self.lib, self.r, self.inplace = lib, random.Random(seed), inplace
        self.dtypes = dtypes
        self.head: list[str] = []
        self.steps: list[str] = []
        self.leaves: list[str] = []
        self.count = 0
        self.names: Names = {"torch": lib}
        for _ in range(self.r.randint(1, 4)):
            self._leaf()

    def _leaf(self) -> None:
        shape, dtype = self.r.choice(SHAPES), self.r.choice(self.dtypes)
        if not self.leaves:
            shape = self.r.choice([s for s in SHAPES if 0 not in s])
            dtype = self.r.choice([d for d in self.dtypes if d != "int64"])
        rng = np.random.default_rng(self.r.getrandbits(32))
        values = rng.integers(-3, 4, shape) if dtype == "int64" else np.round(rng.uniform(-2, 2, shape), 3)
        tracked = dtype != "int64" and (not self.leaves or self.r.random() < 0.75)
        flag = ", requires_grad=True" if tracked else ""
        name = f"x{len(self.leaves)}"
        text = f"torch.zeros({shape}" if 0 in shape else f"torch.tensor({np.asarray(values).tolist()!r}"
        line = f"{name} = {text}, dtype=torch.{dtype}{flag})"
        self.leaves.append(name)
        self.head.append(line)
        exec(line, self.names)

    def make(self, length: int) -> Program:
        tries = 0
        while len(self.steps) < length and tries < 20 * length:
            tries += 1
            line = self._propose()
            if line is not None:
                self._keep(line)
        return Program(self.leaves, self.head, self.steps, self._loss())

    def _propose(self) -> str | None:
        kinds = [_unary] * 4 + [_binary] * 5 + [_reduce] * 3 + [_shape] * 4 + [_pick] * 3 + [_join] * 2
        kinds += [_product] * 2 + [_choose] * 2 + [_other] * 2 + ([_in_place] * 5 if self.inplace else [])
        try:
            return self.r.choice(kinds)(self)
        except (_Unfit, RuntimeError):  # torch refuses even to look at some views of changed tensors
            return None

    def _keep(self, line: str) -> None:
        try:
            exec(line, self.names)
        except (RuntimeError, IndexError, TypeError, ValueError):
            good = False
        else:
            good = all(map(_tame, self._tensors()))
        if good:
            self.steps.append(line)
            return
        self.names = {"torch": self.lib}
        exec("\n".join([*self.head, *self.steps]), self.names)

    def _tensors(self) -> list[Any]:
        return [v for k, v in self.names.items() if k[0] in "xvb" and hasattr(v, "requires_grad")]

    def _loss(self) -> str:
        tracked = [
            k for k in self.names if k[0] in "xv" and self.names[k].requires_grad and self.names[k].numel()
        ]
        recent = tracked[-4:]
        parts = [
            self.r.choice(
                ("({0} * {0}).sum()", "(1.5 * {0}).mean()", "{0}.sin().sum()", "({0} * {0}.detach()).sum()")
            ).format(k)
            for k in self.r.sample(recent, min(len(recent), 3))
        ]
        return "loss = " + " + ".join(parts)

    # --- what proposals are made of ------------------------------------------------------------------

    def new(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def const(self) -> float:
        return round(self.r.uniform(0.2, 1.9) * self.r.choice((-1, 1)), 4)

    def floating(self, fits: Callable[[np.ndarray], Any] | None = None) -> str:
        """A variable of floating point whose values the test accepts; later ones more often."""
        names = [k for k, v in self.names.items() if k[0] in "xv" and _dtype(v).startswith("float")]
        for _ in range(4):
            k = self.r.choice(names[-4:] if self.r.random() < 0.7 else names)
            if fits is None or np.all(fits(num(self.names[k]))):
                return k
        raise _Unfit

    def any(self) -> str:
        names = [k for k in self.names if k[0] in "xv"]
        return self.r.choice(names[-4:] if self.r.random() < 0.7 else names)

    def truth(self) -> str:
        names = [k for k in self.names if k[0] == "b"]
        if not names:
            raise _Unfit
        return self.r.choice(names)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.names[name].shape)

    def value(self, name: str) -> np.ndarray:
        return num(self.names[name])

    def dim(self, name: str) -> int:
        n = len(self.shape(name))
        if n == 0:
            raise _Unfit
        return self.r.randrange(-n, n)


class _Unfit(Exception):
    """This proposal does not fit the variables that there are."""


def num(t: Any) -> np.ndarray:
    """The numbers of a tensor of any library."""
    return np.array(t.numpy(force=True))


def _dtype(t: Any) -> str:
    return str(t.dtype).replace("torch.", "")


def _tame(t: Any) -> bool:
    v = num(t)
    return v.size <= 64 and bool(np.all(np.isfinite(v)) and np.all(np.abs(v.astype(float)) <= LIMIT))


def _overlap(a: Any, b: Any) -> bool:
    return bool(np.may_share_memory(a.detach().numpy(), b.detach().numpy()))


def _apart(v: np.ndarray) -> bool:
    """No two entries alike: no ties."""
    flat = np.sort(v.reshape(-1))
    return bool(np.all(np.diff(flat) > MARGIN / 10))


_FREE = [
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "atan",
    "asinh",
    "erf",
    "square",
    "neg",
    "exp",
    "sinh",
    "cosh",
    "expm1",
    "exp2",
    "erfc",
    "positive",
]
_DOMAIN: dict[str, Callable[[np.ndarray], Any]] = {
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt"), lambda v: v > MARGIN),
    **dict.fromkeys(("asin", "acos", "atanh"), lambda v: np.abs(v) < 1 - MARGIN),
    "acosh": lambda v: v > 1 + MARGIN,
    "log1p": lambda v: v > -1 + MARGIN,
    "tan": lambda v: np.abs(np.cos(v)) > 0.1,
    "reciprocal": lambda v: np.abs(v) > 0.1,
    **dict.fromkeys(("abs", "relu", "sign"), lambda v: np.abs(v) > MARGIN),
    **dict.fromkeys(("floor", "ceil", "trunc"), lambda v: np.abs(v - np.round(v)) > MARGIN),
    "round": lambda v: np.abs(v - np.floor(v) - 0.5) > MARGIN,
}


def _unary(m: Maker) -> str:
    name = m.r.choice([*_FREE, *_DOMAIN])
    x = m.floating(_DOMAIN.get(name))
    if m.r.random() < 0.1:
        return f"{m.new()} = torch.nn.functional.softplus({x})"
    if name in ("exp2", "positive") or m.r.random() < 0.5:
        return f"{m.new()} = torch.{name}({x})"
    return f"{m.new()} = {x}.{name}()"


def _binary(m: Maker) -> str:
    kind = m.r.choice(
        [
            "arith",
            "arith",
            "arith",
            "number",
            "number",
            "divide",
            "power",
            "whole",
            "extreme",
            "atan2",
            "hypot",
            "logaddexp",
            "xlogy",
            "mod",
        ]
    )
    v = m.new()
    if kind == "arith":
        return f"{v} = {m.any()} {m.r.choice('+-*')} {m.any()}"
    if kind == "number":
        x, c = m.any(), m.r.choice((m.const(), m.const(), 2, -1))
        return f"{v} = " + m.r.choice((f"{x} {m.r.choice('+-*/')} {c}", f"{c} {m.r.choice('+-*')} {x}"))
    if kind == "divide":
        return f"{v} = {m.any()} / {m.floating(lambda a: np.abs(a) > 0.1)}"
    if kind == "power":
        x = m.floating(lambda a: (a > 0.1) & (a < 4))
        return f"{v} = {x} ** " + m.r.choice((m.floating(lambda a: np.abs(a) < 3), str(m.const())))
    if kind == "whole":
        n = m.r.choice((0, 1, 2, 3, -1, -2, 2.0, 0.5))
        return f"{v} = {m.floating(lambda a: a > 0.1 if n in (-1, -2, 0.5) else a == a)} ** {n}"
    x, y = m.floating(), m.floating()
    a, b = _together(m, x, y)
    if kind == "extreme" and np.all(np.abs(a - b) > MARGIN):
        return f"{v} = torch.{m.r.choice(('maximum', 'minimum'))}({x}, {y})"
    if kind in ("atan2", "hypot") and np.all(np.hypot(a, b) > 0.1) and np.all((a > MARGIN) | (b > MARGIN)):
        return f"{v} = torch.{kind}({x}, {y})"
    if kind == "logaddexp":
        return f"{v} = torch.logaddexp({x}, {y})"
    if kind == "xlogy" and np.all(b > MARGIN) and np.all(np.abs(a) > MARGIN):
        return f"{v} = torch.special.xlogy({x}, {y})"
    if kind == "mod" and np.all(np.abs(b) > 0.1) and np.all(np.abs(a / b - np.round(a / b)) > MARGIN):
        return f"{v} = " + m.r.choice(
            (f"{x} % {y}", f"torch.remainder({x}, {y})", f"{x}.detach() // {y}.detach()")
        )
    raise _Unfit


def _together(m: Maker, x: str, y: str) -> list[np.ndarray]:
    try:
        return list(np.broadcast_arrays(m.value(x), m.value(y)))
    except ValueError:
        raise _Unfit from None


def _reduce(m: Maker) -> str:
    name = m.r.choice(
        [
            "sum",
            "mean",
            "prod",
            "var",
            "std",
            "logsumexp",
            "norm",
            "amax",
            "amin",
            "max",
            "min",
            "cumsum",
            "cumprod",
            "softmax",
            "log_softmax",
        ]
    )
    x, v = m.floating(lambda a: a.size > 0), m.new()
    if name in ("amax", "amin", "max", "min") and not _apart(m.value(x)):
        raise _Unfit
    if name in ("var", "std") and (m.value(x).size < 2 or not _apart(m.value(x))):
        raise _Unfit
    if name == "norm" and not np.all(np.abs(m.value(x)) > 0.1):
        raise _Unfit
    if name in ("cumsum", "cumprod", "softmax", "log_softmax"):
        return f"{v} = {x}.{name}({m.dim(x)})"
    if m.r.random() < 0.4 and name != "logsumexp":
        return f"{v} = {m.r.choice((f'{x}.{name}()', f'torch.{name}({x})'))}"
    d, keep = m.dim(x), m.r.choice(("", ", keepdim=True"))
    if name == "max" or name == "min":
        return f"{v} = {x}.{name}({d}{keep})[0]"
    if name == "norm":
        return f"{v} = {x}.norm({m.r.choice((1, 2, 3))}, {d}{keep})"
    if name in ("sum", "mean", "amax", "var") and len(m.shape(x)) > 1 and m.r.random() < 0.3:
        return f"{v} = {x}.{name}({'dim=' if name == 'var' else ''}(0, -1){keep})"
    return f"{v} = {x}.{name}({'dim=' if name in ('var', 'std') else ''}{d}{keep})"


def _shape(m: Maker) -> str:
    x = m.any() if m.r.random() < 0.2 else m.floating()
    shape, v, n = m.shape(x), m.new(), len(m.shape(x))
    rest = [str(s) for s in shape]
    kind = m.r.choice(
        [
            "reshape",
            "view",
            "flatten",
            "squeeze",
            "unsqueeze",
            "permute",
            "transpose",
            "expand",
            "flip",
            "tril",
            "tile",
            "T",
            "contiguous",
        ]
    )
    if kind in ("reshape", "view"):
        return f"{v} = {x}.{kind}({m.r.choice(('-1', '1, -1', ', '.join(['1', *rest]), ', '.join([*rest, '1'])))})"
    if kind == "flatten":
        return f"{v} = {m.r.choice((f'{x}.flatten()', f'torch.atleast_1d({x})'))}"
    if kind == "squeeze":
        return f"{v} = {x}.squeeze({m.r.choice(('', '0', '-1'))})"
    if kind == "unsqueeze":
        return f"{v} = {x}.unsqueeze({m.r.randrange(-n - 1, n + 1)})"
    if kind == "permute":
        order = list(range(n))
        m.r.shuffle(order)
        return f"{v} = {x}.permute({', '.join(map(str, order))})" if n else f"{v} = {x}.clone()"
    if kind == "transpose":
        a, b = m.dim(x), m.dim(x)
        return f"{v} = " + m.r.choice((f"{x}.transpose({a}, {b})", f"torch.movedim({x}, {a}, {b})"))
    if kind == "expand":
        target = tuple(2 if s == 1 else s for s in shape)
        return f"{v} = " + m.r.choice(
            (f"{x}.expand(2, {', '.join(rest)})", f"torch.broadcast_to({x}, {target})")
        )
    if kind == "flip":
        return f"{v} = torch.flip({x}, ({m.dim(x)},))"
    if kind == "tril":
        return f"{v} = torch.{m.r.choice(('tril', 'triu'))}({x}, {m.r.choice((-1, 0, 1))})"
    if kind == "tile":
        return (
            f"{v} = {x}.repeat({', '.join(['2'] * max(n, 1))})" if n < 3 else f"{v} = torch.tile({x}, (2,))"
        )
    return f"{v} = {x}.T" if n == 2 else f"{v} = {x}.contiguous()"


def _key(m: Maker, x: str, *, twice: bool = True) -> str:
    """An index for `x`: numbers, slices, None, …, arrays (which may name an entry twice), or truth values."""
    shape = m.shape(x)
    if not shape or 0 in shape:
        return m.r.choice(("...", "None", "..., None"))
    if m.r.random() < 0.12:
        masks = [k for k in m.names if k[0] == "b" and m.shape(k) == shape[: len(m.shape(k))] and m.shape(k)]
        if masks:
            return m.r.choice(masks)
    parts = []
    for size in shape[: m.r.randint(1, len(shape))]:
        i, j = m.r.randrange(-size, size), m.r.randrange(size)
        several = [m.r.randrange(-size, size) for _ in range(2)]
        if not twice:  # of two values assigned to one place torch's gradient counts both
            several = [j - size * m.r.randint(0, 1) for j in m.r.sample(range(size), min(size, 2))]
        parts.append(
            m.r.choice(
                (
                    str(i),
                    ":",
                    f"{j}:",
                    f":{j + 1}",
                    "::2",
                    "None, :",
                    str(several),
                    f"torch.tensor({several})",
                )
            )
        )
    if m.r.random() < 0.15 and len(parts) < len(shape):
        parts.insert(m.r.randint(0, len(parts)), "...")
    return ", ".join(parts)


def _pick(m: Maker) -> str:
    x = m.floating()
    v = m.new()
    kind = m.r.random()
    if kind < 0.7:
        return f"{v} = {x}[{_key(m, x)}]"
    d = m.dim(x)
    size = m.shape(x)[d]
    if size == 0:
        raise _Unfit
    several = [m.r.randrange(size) for _ in range(3)]
    if kind < 0.8:
        return f"{v} = torch.index_select({x}, {d}, torch.tensor({several}))"
    if kind < 0.87:
        return f"{v} = {x}.narrow({d}, {min(several[0], size - 1)}, 1)"
    if kind < 0.94 and m.value(x).ndim == 1:
        return f"{v} = torch.gather({x}, 0, torch.tensor({several}))"
    if _apart(m.value(x)):
        return f"{v} = torch.sort({x}, {d}{m.r.choice(('', ', descending=True'))})[0]"
    raise _Unfit


def _join(m: Maker) -> str:
    x, y, v = m.floating(), m.floating(), m.new()
    kind = m.r.choice(["cat", "cat", "stack", "stack", "hstack", "vstack", "split", "chunk", "unbind"])
    if (0,) in (m.shape(x), m.shape(y)):
        raise _Unfit  # of an empty vector torch says None for its gradient, we an empty vector
    if kind in ("cat", "stack"):
        return f"{v} = torch.{kind}([{x}, {y}, {x}], {m.r.choice((0, -1))})"
    if kind in ("hstack", "vstack"):
        return f"{v} = torch.{kind}(({x}, {y}))"
    d = m.dim(x)
    if kind == "unbind":
        return f"{v} = torch.unbind({x}, {d})[-1] * 1"  # of several views torch lets none change in place
    return f"{v} = torch.{kind}({x}, 2, {d})[{m.r.choice((0, -1))}] * 1"


def _product(m: Maker) -> str:
    x, y, v = m.floating(), m.floating(), m.new()
    a, b = len(m.shape(x)), len(m.shape(y))
    choices = [f"{x} @ {y}", f"torch.matmul({x}, {y})"]
    if a == b == 1:
        choices += [f"torch.outer({x}, {y})", f"torch.dot({x}, {y})", f"torch.einsum('i,j->ji', {x}, {y})"]
        choices += [f"torch.einsum('i,i', {x}, {y})"]
    if a == b == 2:
        choices += [
            f"torch.einsum('ij,jk->ik', {x}, {y})",
            f"torch.einsum('ij,ik->jk', {x}, {y})",
            f"torch.mm({x}, {y})",
        ]
        choices += [f"torch.einsum('ij,ij->i', {x}, {y})"]
        choices += [f"torch.tensordot({x}, {y}, 1)"] * (
            m.shape(x)[1] == m.shape(y)[0]
        )  # torch spreads a length 1
    if a == 2 and m.shape(x)[0] == m.shape(x)[1]:
        choices += [f"torch.einsum('ii', {x})", f"torch.einsum('ii->i', {x}) * 1"]
    if a == 3:
        choices += [f"torch.einsum('...ij->...ji', {x}) * 1", f"torch.einsum('bij,bkj->bik', {x}, {x})"]
    return f"{v} = {m.r.choice(choices)}"


def _choose(m: Maker) -> str:
    kind = m.r.choice(["compare", "compare", "where", "where", "clamp", "if", "truth"])
    if kind == "compare":
        x, c = m.floating(), m.const()
        if not np.all(np.abs(m.value(x) - c) > MARGIN):
            raise _Unfit
        m.count += 1
        return f"b{m.count} = {x} {m.r.choice(('<', '>', '<=', '>='))} {c}"
    v = m.new()
    if kind == "where":
        return f"{v} = torch.where({m.truth()}, {m.floating()}, {m.r.choice((m.floating(), str(m.const())))})"
    if kind == "truth":
        b = m.truth()
        return m.r.choice(
            (
                f"b{m.count} = ~{b}",
                f"b{m.count} = {b} & {m.truth()}",
                f"{v} = {b}.double()",
                f"{v} = {b} * {m.floating()}",
            )
        )
    x, c = m.floating(), m.const()
    if not np.all(np.abs(m.value(x) - c) > MARGIN):
        raise _Unfit
    if kind == "clamp":
        return f"{v} = " + m.r.choice(
            (f"{x}.clamp(min={c})", f"torch.clamp({x}, max={c})", f"torch.clip({x}, {c}, {c + 9})")
        )
    return f"{v} = {x}.sin() * 2 if {x}.sum().item() > {c} else {x} * {m.floating()}"


def _other(m: Maker) -> str:
    x, v = m.floating(), m.new()
    if len(m.dtypes) > 1 and m.r.random() < 0.6:
        how = ("double()", "float()", "to(torch.float32)", "to(torch.float64)", "long()")
        return f"{v} = {x}.{m.r.choice(how if np.all(_DOMAIN['trunc'](m.value(x))) else how[:4])}"
    return m.r.choice(
        (
            f"{v} = {x}.clone()",
            f"{v} = {x}.detach().clone()",
            f"with torch.no_grad(): {v} = {x} * {m.const()}",
            f"{v} = {x}\nfor _ in range(3): {v} = {v}.sin() + {m.const()} * {x}",
            f"{v} = torch.zeros_like({x})",
            f"{v} = torch.ones({m.shape(x)}) * {x}",
            f"{v} = {x}.detach() - 0.5",
        )
    )


def _in_place(m: Maker) -> str:
    computed = [
        k for k, t in m.names.items() if k[0] == "v" and _dtype(t).startswith("float") and not t.is_leaf
    ]
    if not computed:
        raise _Unfit
    x = m.r.choice(computed[-4:])
    kind = m.r.choice(
        ["operator", "operator", "method", "unary", "unary", "key", "key", "key", "fill", "copy"]
    )
    other = m.r.choice((m.floating(), str(m.const())))
    if other in m.names and _overlap(m.names[x], m.names[other]):
        other = f"{other}.clone()"  # torch's forward mode is wrong for `a *= a`
    if kind == "operator":
        return f"{x} {m.r.choice(('+=', '-=', '*='))} {other}"
    if kind == "method":
        return f"{x}.{m.r.choice(('add_', 'mul_', 'sub_'))}({other})"
    if kind == "unary":
        name = m.r.choice(("exp_", "sin_", "cos_", "tanh_", "sigmoid_", "neg_", "sqrt_", "log_"))
        if name in ("sqrt_", "log_") and not np.all(m.value(x) > MARGIN):
            raise _Unfit
        return f"{x}.{name}()"
    if kind == "key":
        return f"{x}[{_key(m, x, twice=False)}] {m.r.choice(('=', '=', '+=', '*='))} {other}"
    return (
        f"{x}.{m.r.choice(('zero_()', f'fill_({m.const()})'))}"
        if kind == "fill"
        else f"{x}.copy_({other if other[0] != '-' and other[0] not in '0123456789' else m.floating()})"
    )


def program(lib: Any, seed: int, length: int, **how: Any) -> Program:
    """A program of at most `length` steps, the same for the same seed."""
    return Maker(lib, seed, **how).make(length)


__all__ = ["Maker", "Program", "num", "program"]
