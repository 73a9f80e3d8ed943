"""The problems with derivatives written by hand in C++: the limit that bench_compiled.py compares with."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("problems.cpp")


@cache
def library() -> ctypes.CDLL | None:
    """The compiled problems (g++ -O3 -march=native); None without a compiler."""
    if shutil.which("g++") is None:
        return None
    target = Path(tempfile.mkdtemp(prefix="chainrule-bench-")) / "problems.so"
    subprocess.run(
        ["g++", "-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", str(SOURCE), "-o", str(target)],
        check=True,
    )
    return ctypes.CDLL(str(target))


def call(name: str, *args: object) -> float:
    """A function of the library: arrays as pointers, whole numbers as long, floats as double."""
    lib = library()
    assert lib is not None
    fn = getattr(lib, name)
    fn.restype = ctypes.c_double
    return fn(*map(_converted, args))


def _converted(a: object) -> object:
    if isinstance(a, np.ndarray):
        return ctypes.c_void_p(a.ctypes.data)
    return ctypes.c_double(a) if isinstance(a, float) else ctypes.c_long(a)


__all__ = ["call", "library"]
