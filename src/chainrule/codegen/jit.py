"""LLVM: from text to functions that can be called. The only file that knows llvmlite."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import itertools
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from types import MappingProxyType
from typing import Any

from chainrule.codegen import cache

# Whether JITLink lays a library out in one piece: then code reaches its numbers and functions by short distances. Else
# they may be anywhere, each is found through a long address in a register, and numbers fill the registers of a loop.
_NEAR = sys.platform == "linux" and os.uname().machine == "x86_64"
_MODEL = "small" if _NEAR else "jitdefault"

_NONE: Mapping[str, int] = MappingProxyType({})

_LOCK = threading.RLock()  # LLVM compiles one module at a time
_names = (f"chainrule{k}" for k in itertools.count())


def _locks() -> list[Any]:
    """What no other thread may hold while the process forks: the child could not go on with what that began.

    llvmlite has a lock of its own, which every call into LLVM takes, also when code is dropped.
    """
    ffi = sys.modules.get("llvmlite.binding.ffi")
    own = getattr(getattr(ffi, "lib", None), "_lock", None)
    return [_LOCK] if own is None else [_LOCK, own]


_held: list[Any] = []


def _before_fork() -> None:
    _held[:] = _locks()
    for lock in _held:
        lock.__enter__()


def _after_fork() -> None:
    for lock in reversed(_held):
        lock.__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


@functools.cache
def is_available() -> bool:
    """Whether llvmlite is installed and knows this machine."""
    try:
        with _LOCK:
            _linker()
    except Exception:  # missing, too old, or no target for this machine: NumPy serves
        return False
    return True


@functools.cache
def _processor() -> tuple[str, str]:
    """Its name and features, as LLVM knows them."""
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@functools.cache
def _machine() -> Any:
    """The target machine; LLVM is loaded when the first kernel is compiled (about 50 ms)."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    name, features = _processor()
    return target.create_target_machine(
        cpu=name,
        features=features,
        opt=1,
        reloc="pic",
        codemodel=_MODEL,
        jit=True,
    )


_MOST_LIBRARIES = 64
_linkers: list[Any] = []  # the latest, and how many libraries it has linked


def _linker() -> Any:
    """The JIT for the next library. It keeps some memory of each that it had: so after many of them, another."""
    if not _linkers or _linkers[1] == _MOST_LIBRARIES:
        import llvmlite.binding as llvm

        _linkers[:] = [llvm.create_lljit_compiler(_machine(), use_jit_link=_NEAR), 0]
    _linkers[1] += 1
    return _linkers[0]


@functools.cache
def made_by() -> tuple[str, ...]:
    """What object code depends on besides its text."""
    import llvmlite
    import llvmlite.binding as llvm

    version = ".".join(map(str, llvm.llvm_version_info))
    return f"1 {_MODEL}", llvmlite.__version__, version, *_processor()


BLAS = frozenset({"dgemm", "sgemm"})


@functools.cache
def _address(name: str) -> int:
    """Address of a function of libm, or of the BLAS that SciPy ships."""
    if name in BLAS:
        return _capsule(name)
    libm = ctypes.CDLL(None)
    if not hasattr(libm, name):
        from ctypes.util import find_library

        libm = ctypes.CDLL(find_library("m"))
    return ctypes.cast(getattr(libm, name), ctypes.c_void_p).value or 0


def _capsule(name: str) -> int:
    capsule = _cython_blas().__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))


@functools.cache
def _cython_blas() -> Any:
    """SciPy's module of BLAS functions, without the rest of scipy.linalg, which takes 0.1 s and is not needed."""
    import scipy

    name = "scipy.linalg.cython_blas"
    spec = PathFinder.find_spec(name, [os.path.join(os.path.dirname(scipy.__file__), "linalg")])
    if name in sys.modules or spec is None or spec.loader is None:
        return importlib.import_module(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _object(text: str) -> tuple[str, bytes]:
    """Object code of a module, kept from before or made, and the name under which it is kept."""
    import llvmlite.binding as llvm

    name = cache.key(*made_by(), text)
    code = cache.read(name)
    if code is None:
        module = llvm.parse_assembly(text)
        module.verify()
        code = _machine().emit_object(module)
        cache.write(name, code)
    return name, code


def _link(code: bytes, functions: Sequence[str], addresses: Mapping[str, int]) -> Any:
    """Object code as functions in memory: name -> address, as long as this object lives."""
    import llvmlite.binding as llvm

    library = llvm.JITLibraryBuilder().add_object_img(code)
    for function in functions:
        library.export_symbol(function)
    for name, at in addresses.items():
        library.import_symbol(name, at)
    linker = _linker()
    tracker = library.link(linker, next(_names))
    tracker.linker = linker  # goes after it
    return tracker


class Code:
    """Machine code, kept in memory as long as this object lives.

    code, functions
        Object code, and the names in it that are called from outside.
    externals
        Names of functions of libm and BLAS that it calls.
    objects
        Names in it that are addresses of this process.
    """

    def __init__(
        self,
        code: bytes,
        functions: Sequence[str],
        externals: Sequence[str],
        objects: Mapping[str, int] = _NONE,
    ) -> None:
        with _LOCK:
            addresses = {name: _address(name) for name in externals} | dict(objects)
            self._tracker = _link(code, functions, addresses)

    def address(self, name: str) -> int:
        """Where a function begins."""
        return self._tracker[name]

    def function(self, name: str, arguments: int) -> Any:
        """The function NAME of that many 8-byte arguments, without result; the GIL is released while it runs."""
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)
        function = signature(self._tracker[name])
        function.module = self  # the code goes when nobody holds it
        return function


class Module(Code):
    """The code of some LLVM text.

    name
        Under which the object code is kept on disk.
    """

    def __init__(
        self,
        text: str,
        functions: Sequence[str],
        externals: Sequence[str],
        objects: Mapping[str, int] = _NONE,
    ) -> None:
        self.text = text
        with _LOCK:
            self.name, code = _object(text)
        super().__init__(code, functions, externals, objects)


def assembly(text: str) -> str:
    """The machine code of some LLVM text, as text."""
    import llvmlite.binding as llvm

    with _LOCK:
        return _machine().emit_assembly(llvm.parse_assembly(text))
