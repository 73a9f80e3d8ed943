"""Arrays that begin or end at pages that may not be touched: a kernel that reads or writes outside ends the process.

Results, constants, tiles, sums and what is kept between steps get walls while `stand` holds; arguments are copied.
"""

import ctypes
import mmap
from contextlib import contextmanager

import numpy as np

from chainrule.codegen import program, workspace

_PAGE = mmap.PAGESIZE
_SPARE = 170  # what lies between the array and the far wall


def are_possible():
    return hasattr(ctypes.CDLL(None), "mprotect")


def _close(address):
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    assert protect(ctypes.c_void_p(address), ctypes.c_size_t(_PAGE), 0) == 0


class Walls:
    """`side`: at which end arrays meet their wall ("behind", "before"); there is another one at the other end."""

    def __init__(self, side):
        self.side = side
        self._made = []

    @contextmanager
    def stand(self):
        """Programs that are made and called get their memory here."""
        for module in (program, workspace):
            module.np = _StandIn(self)
        try:
            yield
        finally:
            for module in (program, workspace):
                module.np = np

    def empty(self, shape, dtype=float):
        dtype = np.dtype(dtype)
        count = int(np.prod(shape))
        bytes_ = count * dtype.itemsize
        room = -(-max(bytes_, 1) // _PAGE) * _PAGE
        memory = mmap.mmap(-1, room + 2 * _PAGE)
        every = np.frombuffer(memory, np.uint8)
        start = every.ctypes.data
        _close(start)
        _close(start + _PAGE + room)
        every[_PAGE : _PAGE + room] = _SPARE
        at = _PAGE + (room - bytes_ if self.side == "behind" else 0)
        self._made.append((every, at, bytes_, room))
        return np.frombuffer(memory, dtype, count, at).reshape(shape)

    def copy(self, a, dtype=None):
        a = np.asarray(a, dtype)
        out = self.empty(a.shape, a.dtype)
        out[...] = a
        return out

    def check(self):
        """AssertionError where something was written between an array and its far wall."""
        for every, at, size, room in self._made:
            assert np.all(every[_PAGE:at] == _SPARE)
            assert np.all(every[at + size : _PAGE + room] == _SPARE)


class _StandIn:
    """NumPy, but for the functions that make arrays."""

    def __init__(self, walls):
        self.empty, self.ascontiguousarray = walls.empty, walls.copy

    def __getattr__(self, name):
        return getattr(np, name)
