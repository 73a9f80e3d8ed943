"""Random tensors and where their numbers come from, under torch's names."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.ops.creation import _number, _shape, make_leaf
from chainrule.ops.device import check_device
from chainrule.source import boundary
from chainrule.tape.promote import as_dtype, get_default_dtype


class Generator:
    """A source of random numbers (Philox, counter-based) with its own seed."""

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self._lock = threading.RLock()
        self._seed: int | None = None
        self._random: Any = None  # made at the first draw: importing numpy.random costs 12 ms

    def manual_seed(self, seed: int) -> Generator:
        """Begin again from a seed; equal seeds give equal numbers."""
        if not hasattr(seed, "__index__"):
            raise ArgumentError(
                f"a seed is a whole number, not a {type(seed).__name__}", fix="write manual_seed(0)"
            )
        with self._lock:
            self._seed = operator.index(seed)
            self._random = np.random.Generator(np.random.Philox(self._seed % 2**64))
        return self

    def seed(self) -> int:
        """Begin again from a seed of the operating system, which is returned."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") // 2)
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The seed that this generator began with."""
        if self._seed is None:
            self.seed()
        assert self._seed is not None
        return self._seed

    def get_state(self) -> Any:
        """Where the sequence of numbers stands, for `set_state`."""
        with self._lock:
            return self._seed, None if self._random is None else self._random.bit_generator.state

    def set_state(self, state: Any) -> Generator:
        """Go on from where the sequence stood when `get_state` was called."""
        with self._lock:
            seed, position = state
            if seed is None:
                self._seed, self._random = None, None
            else:
                self.manual_seed(seed)
                if position is not None:
                    self._random.bit_generator.state = position
        return self

    def draw(self, how: str, *args: Any, **kwargs: Any) -> Any:
        """Numbers from the method `how` of NumPy's generator."""
        with self._lock:
            if self._random is None:
                self.seed()
            return getattr(self._random, how)(*args, **kwargs)


default_generator = Generator()


@boundary
def manual_seed(seed: int) -> Generator:
    """Seed the generator that random tensors are drawn from."""
    return default_generator.manual_seed(seed)


def _draw(
    how: str, size: tuple[Any, ...], dtype: Any, requires_grad: bool, generator: Generator | None, device: Any
) -> Any:
    check_device(device)
    drawn = (generator or default_generator).draw(how, size=_shape(size))
    return make_leaf(
        np.asarray(drawn, get_default_dtype() if dtype is None else as_dtype(dtype)), requires_grad
    )


@boundary
def rand(
    *size: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Any:
    """Random numbers, uniform on [0, 1)."""
    return _draw("random", size, dtype, requires_grad, generator, device)


@boundary
def randn(
    *size: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
    device: Any = None,
) -> Any:
    """Random numbers, normal with mean 0 and standard deviation 1."""
    return _draw("standard_normal", size, dtype, requires_grad, generator, device)


@boundary
def randint(
    low: int,
    high: Any = None,
    size: Sequence[int] | None = None,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
    device: Any = None,
) -> Any:
    """Random whole numbers from `low` (0) up to, without, `high`: ``randint(10, (3,))`` or ``randint(0, 10, (3,))``."""
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    low, high = _number(low, "low"), _number(high, "high")
    if low >= high:
        raise ArgumentError(
            "there is no number from low up to high", given=f"low={low}, high={high}", fix="choose low < high"
        )
    drawn = (generator or default_generator).draw("integers", low, high, size=_shape((size,)))
    return make_leaf(np.asarray(drawn, np.int64 if dtype is None else as_dtype(dtype)))


@boundary
def randperm(n: int, *, generator: Generator | None = None) -> Any:
    """The numbers 0 … n-1 in random order."""
    return make_leaf((generator or default_generator).draw("permutation", n))


__all__ = [
    "Generator",
    "manual_seed",
    "rand",
    "randint",
    "randn",
    "randperm",
]
