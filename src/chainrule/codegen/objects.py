"""How Python, NumPy and tensors lie in memory, for the machine code that reads and makes them.

Nothing is assumed: places of fields are found by looking at objects whose contents are known. Where something lies
elsewhere than `enter.ll` is written for, or Python has no lock that all its threads share, there is no layout.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from chainrule.codegen import jit

_FUNCTIONS = (
    "PyFloat_FromDouble", "PyType_GenericAlloc", "PyObject_CallNoArgs", "PyTuple_New",
    "PyTuple_SetItem", "Py_IncRef",
)  # fmt: skip
_FASTCALL = 0x80  # how a built-in function is called: an array of arguments and their number
_BEHAVED = 0x1 | 0x100  # flags of an array in C order whose entries are aligned
_NEW_FROM_DESCR = 94  # PyArray_NewFromDescr in the table of functions that NumPy exports
_VARIES = ("serial", "out", "code", "at", "params")  # fields in which one leaf differs from another


class Layout:
    """Places in objects, and addresses of what the machine code names.

    prototype, next_serial
        A tensor of an untracked leaf, of which new ones are copies; what gives a node its number.
    """

    def __init__(self, prototype: Any, next_serial: Callable[[], int]) -> None:
        if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise _Elsewhere
        self._alive = prototype, next_serial
        tensor, leaf = type(prototype), type(prototype.n)
        self.places = {
            **{name: _slot(tensor, name) for name in ("v", "n", "base")},
            **{name: _slot(leaf, name) for name in ("pull", *_VARIES)},
            **_float_places(),
            **_array_places(),
            "words": _place(words := (ctypes.c_int64 * 8)(), ctypes.addressof(words)),
        }
        self._kept = _fields_that_are_alike(prototype.n)
        self.objects = {
            "none": id(None), "float": id(float), "float64": id(np.float64), "ndarray": id(np.ndarray),
            "tensor": id(tensor), "node": id(leaf), "next_serial": id(next_serial),
            "kept": ctypes.addressof(self._kept), "new_array": _new_array(),
            **{name: _function(name) for name in _FUNCTIONS},
        }  # fmt: skip
        self._method = self._compiled()

    def _compiled(self) -> Any:
        text = Template(Path(__file__).with_name("enter.ll").read_text(encoding="utf-8")).substitute(
            self.places, behaved=_BEHAVED, fields=len(self._kept) // 2
        )
        self._module = jit.Module(text, ["enter"], ["memcmp", "memcpy"], self.objects)
        return _Method(b"call", self._module.address("enter"), _FASTCALL, None)

    def built_in(self, words: Any) -> Any:
        """`enter` as a built-in function of Python, for the program that an array of words describes; it keeps that."""
        make = ctypes.pythonapi.PyCFunction_NewEx
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
        return make(ctypes.addressof(self._method), words, None)


def layout_of(prototype: Any, next_serial: Callable[[], int]) -> Layout | None:
    """The layout, or None where it is not the one that the machine code is written for."""
    if not jit.is_available():
        return None
    try:
        return Layout(prototype, next_serial)
    except (_Elsewhere, AttributeError, ImportError):
        return None


class _Elsewhere(Exception):
    """Something does not lie where it is expected."""


class _Method(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def _place(holder: Any, word: int) -> int:
    """Where in an object a word is kept, as bytes from its beginning."""
    size = type(holder).__basicsize__
    words = (ctypes.c_void_p * (size // 8)).from_address(id(holder))
    found = [8 * k for k, w in enumerate(words) if w == word]
    if len(found) != 1:
        raise _Elsewhere
    return found[0]


def _slot(cls: type, name: str) -> int:
    """Where an attribute of `__slots__` is kept."""
    holder, mark = object.__new__(cls), object()
    setattr(holder, name, mark)
    return _place(holder, id(mark))


def _fields_that_are_alike(leaf: Any) -> Any:
    """Pairs of place and object: what every new leaf holds."""
    names = [n for cls in type(leaf).__mro__ for n in getattr(cls, "__slots__", ())]
    alike = [n for n in names if n not in (*_VARIES, "__weakref__") and hasattr(leaf, n)]
    pairs = [(_slot(type(leaf), n), id(getattr(leaf, n))) for n in alike]
    return (ctypes.c_int64 * (2 * len(pairs)))(*[word for pair in pairs for word in pair])


def _float_places() -> dict[str, int]:
    x = 1.2345678
    return {"type": _place(x, id(float)), "fval": _place(x, int(np.float64(x).view(np.int64)))}


def _array_places() -> dict[str, int]:
    """Where an array keeps what `PyArrayObject_fields` names."""
    a = np.empty((5, 7, 11))
    data = _place(a, a.ctypes.data)
    places = {"data": data, "nd": data + 8, "dims": data + 16, "descr": data + 40, "flags": data + 48}
    at = {name: id(a) + place for name, place in places.items()}
    lengths = ctypes.c_void_p.from_address(at["dims"]).value
    if (
        _place(a, id(a.dtype)) != places["descr"]
        or ctypes.c_int.from_address(at["nd"]).value != a.ndim
        or ctypes.c_int.from_address(at["flags"]).value & _BEHAVED != _BEHAVED
        or lengths is None
        or tuple((ctypes.c_int64 * 3).from_address(lengths)) != a.shape
    ):
        raise _Elsewhere
    return places


def _function(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def _new_array() -> int:
    from numpy._core._multiarray_umath import _ARRAY_API  # type: ignore[attr-defined]

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_void_p.from_address(pointer(_ARRAY_API, None) + 8 * _NEW_FROM_DESCR).value or 0


__all__ = ["Layout", "layout_of"]
