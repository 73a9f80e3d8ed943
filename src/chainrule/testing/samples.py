"""The samples of a table entry as arguments: numbers and arrays to run it on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.table.primitive import Primitive, nondifferentiable


class Case(NamedTuple):
    """A primitive with arguments.

    Attributes
    ----------
    p
        The primitive.
    args
        NumPy arrays and scalars, one per input.
    params
        Its parameters.
    """

    p: Primitive
    args: tuple[Any, ...]
    params: dict[str, Any]

    def value(self, *args: Any) -> Any:
        """The value at the arguments of the case, or at `args`; IEEE arithmetic without warnings."""
        with np.errstate(all="ignore"):
            return self.p.value(*(args or self.args), **self.params)

    def names(self) -> tuple[str, ...]:
        """Name of the input that each argument is for: a ``*xs`` is repeated."""
        names = self.p.inputs
        if not names or not names[-1].startswith("*"):
            return names
        return (*names[:-1], *[names[-1]] * (len(self.args) - len(names) + 1))

    def differentiable(self) -> tuple[int, ...]:
        """Positions of the arguments that carry a derivative."""
        if self.p.rule is None:
            return ()
        skip = nondifferentiable(self.p)
        pairs = enumerate(zip(self.names(), self.args, strict=True))
        return tuple(k for k, (name, a) in pairs if name not in skip and a.dtype.kind in "fc")


def cases(p: Primitive, dtype: Any = np.float64, seed: int = 0) -> Iterator[Case]:
    """The samples of `p` as cases.

    Parameters
    ----------
    p
        A table entry. A sample is a tuple of numbers, or a dict: ``at`` with numbers, or ``shapes`` (filled
        with normal numbers) and ``index`` (arrays of integers behind them); the rest are parameters.
    dtype
        dtype of the numbers that are floating point.
    seed
        Of the generator that fills shapes.

    Examples
    --------
    >>> from chainrule.table import TABLE
    >>> [case.args for case in cases(TABLE["sqrt"])][:2]
    [(np.float64(1.0),), (np.float64(2.5),)]
    """
    rng = np.random.default_rng(seed)
    for sample in p.samples:
        params = dict(sample) if isinstance(sample, dict) else {"at": sample}
        args = [_number(v, dtype) for v in params.pop("at", ())]
        args += [rng.normal(size=shape).astype(dtype) for shape in params.pop("shapes", ())]
        args += params.pop("index", ())
        yield Case(p, tuple(args), params)


def _number(v: Any, dtype: Any) -> Any:
    with np.errstate(over="ignore"):  # 1e300 is infinite in single precision
        return np.bool_(v) if isinstance(v, bool) else np.dtype(dtype).type(v)
