"""Random tensors and where their numbers come from, under torch's names."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.ir.types import Type
from chainrule.ops.creation import make_leaf, number_of, shape_from
from chainrule.ops.device import check_device
from chainrule.source import boundary
from chainrule.tape.modes import current
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
    shape, g = shape_from(size), generator or default_generator
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    t = _drawn(shape, dtype, lambda lanes: np.asarray(g.draw(how, size=(*lanes, *shape)), dtype))
    return t.requires_grad_() if requires_grad else t


def _drawn(shape: tuple[int, ...], dtype: np.dtype, array: Callable[[tuple[int, ...]], np.ndarray]) -> Any:
    """A tensor of random numbers; `array(lanes)` draws them, with these dimensions in front.

    Where a graph is recorded its recorder decides when they are drawn, and for how many lanes.
    """
    recorder = current().recorder
    if recorder is None:
        return make_leaf(array(()))
    return recorder.draw(lambda lanes: make_leaf(array(lanes)), Type(shape, dtype))


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
    low, high = number_of(low, "low"), number_of(high, "high")
    if low >= high:
        raise ArgumentError(
            "there is no number from low up to high", given=f"low={low}, high={high}", fix="choose low < high"
        )
    shape, g = shape_from((size,)), generator or default_generator
    dtype = np.dtype(np.int64) if dtype is None else as_dtype(dtype)
    draw = lambda lanes: np.asarray(g.draw("integers", low, high, size=(*lanes, *shape)), dtype)
    return _drawn(shape, dtype, draw)


@boundary
def randperm(n: int, *, generator: Generator | None = None) -> Any:
    """The numbers 0 … n-1 in random order."""
    g = generator or default_generator

    def draw(lanes: tuple[int, ...]) -> np.ndarray:
        if not lanes:
            return g.draw("permutation", n)
        return g.draw("permuted", np.broadcast_to(np.arange(n), (*lanes, n)), axis=-1)

    return _drawn((n,), np.dtype(np.int64), draw)


__all__ = [
    "Generator",
    "manual_seed",
    "rand",
    "randint",
    "randn",
    "randperm",
]
