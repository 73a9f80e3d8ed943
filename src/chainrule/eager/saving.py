"""save and load: tensors, arrays and plain data in a file that holds no code.

The file is a zip archive: `data.json` says how the data is nested, and each array is a .npy file beside it. Reading it
runs nothing that the file says, unlike a pickle.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections import OrderedDict
from typing import Any, BinaryIO

import numpy as np

from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError, DataError
from chainrule.ops.creation import make_leaf
from chainrule.ops.device import check_device
from chainrule.source import boundary

_FORMAT, _VERSION = "chainrule", 1
_INDEX = "data.json"


@boundary
def save(obj: Any, f: Any) -> None:
    """Write tensors, arrays, numbers, text, and lists, tuples and dicts of them, to a file.

    Of a tensor the values and `requires_grad` are kept; a computed one becomes a leaf. A tensor that occurs twice is
    one tensor again when it is loaded; views are written apart.

    Parameters
    ----------
    obj
        The data, e.g. ``{"w": w, "step": 3, "optimizer": optimizer.state_dict()}``.
    f
        A path, or a file opened for writing bytes. A file that is there stays as it is until the new one is whole.

    Raises
    ------
    DataError (E105)
        Something in it is no data: the error says where.

    Cost
    ----
    The size of the data, uncompressed.

    Examples
    --------
    >>> import chainrule as cr, io
    >>> f = io.BytesIO()
    >>> cr.save({"w": cr.tensor([1.0, 2.0], requires_grad=True), "step": 3}, f)
    >>> cr.load(f)
    {'w': tensor([1., 2.], requires_grad=True), 'step': 3}
    """
    writer = _Writer()
    tree = writer.tree(obj, "obj")
    text = json.dumps({"format": _FORMAT, "version": _VERSION, "data": tree}, allow_nan=False)
    if hasattr(f, "write"):
        _write(f, text, writer.arrays)
        if f.seekable():
            f.seek(0)
        return
    path = os.fspath(f)
    handle, beside = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            _write(out, text, writer.arrays)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


@boundary
def load(f: Any, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What `save` wrote. No code that a file holds is run; a pickle, as torch's files are, is refused.

    Parameters
    ----------
    f
        A path, or a file opened for reading bytes.
    map_location, weights_only
        As in torch; nothing but "cpu" and True is there.

    Raises
    ------
    DataError (E105)
        The file is not one that `save` wrote, or it is damaged.
    """
    check_device(map_location)
    if not weights_only:
        raise ArgumentError("load reads data only, never code", fix="leave weights_only out")
    name = repr(getattr(f, "name", "the file")) if hasattr(f, "read") else repr(os.fspath(f))
    try:
        with zipfile.ZipFile(f) as archive:
            names = set(archive.namelist())
            if _INDEX not in names:
                raise _foreign(name, names)
            index = json.loads(archive.read(_INDEX))
            if not isinstance(index, dict) or index.get("format") != _FORMAT:
                raise _foreign(name, names)
            if index.get("version") != _VERSION:
                raise DataError(f"{name} has format {index.get('version')!r}, newer than this chainrule reads",
                                fix="update chainrule")  # fmt: skip
            return _Reader(archive).value(index["data"])
    except zipfile.BadZipFile:
        raise _foreign(name, _beginning(f)) from None
    except (KeyError, ValueError, TypeError, IndexError, EOFError) as err:
        if isinstance(err, DataError):
            raise
        raise DataError(f"{name} is damaged", given=str(err)[:80], fix="save it anew") from None


def _beginning(f: Any) -> bytes:
    if hasattr(f, "read"):
        f.seek(0)
        return f.read(8)
    with open(f, "rb") as opened:
        return opened.read(8)


def _foreign(name: str, seen: Any) -> DataError:
    """The error for a file that `save` did not write; `seen` are its members, or its first bytes."""
    way = "in PyTorch, write the tensors with numpy.savez(path, **{k: v.numpy() …}), and read them with numpy.load"
    if isinstance(seen, set) and any(n.endswith("data.pkl") for n in seen):
        return DataError(f"{name} was written by PyTorch: it is a pickle, and loading one runs code", fix=way)
    if isinstance(seen, set) and any(n.endswith(".npy") for n in seen):
        return DataError(f"{name} was written by numpy.savez", fix="read it with numpy.load, then tensor(…)")
    if isinstance(seen, bytes) and seen[:1] == b"\x80":
        return DataError(f"{name} is a pickle, and loading one runs code", fix=way)
    if isinstance(seen, bytes) and seen[:6] == b"\x93NUMPY":
        return DataError(f"{name} was written by numpy.save", fix="read it with numpy.load, then tensor(…)")
    return DataError(
        f"{name} was not written by chainrule.save, or is damaged", fix="save it anew with save(obj, f)"
    )


def _write(out: BinaryIO, text: str, arrays: list[np.ndarray]) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_INDEX, text)
        for k, a in enumerate(arrays):
            with archive.open(f"{k}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, a, allow_pickle=False)


class _Writer:
    """Data → a tree for JSON, and the arrays that it numbers."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.seen: dict[int, tuple[Any, Any]] = {}  # id → the object (kept alive), its place
        self.inside: set[int] = set()

    def tree(self, v: Any, path: str) -> Any:
        if v is None or isinstance(v, bool | str):
            return v
        if isinstance(v, Handle | np.ndarray | np.generic):
            return self.array(v, path)
        if type(v) in (int, float, complex):
            return (
                v if type(v) is int else {"float": [v.real.hex(), v.imag.hex()][: 1 + isinstance(v, complex)]}
            )
        if isinstance(v, np.dtype):
            return {"dtype": v.name}
        if type(v) not in (list, tuple, dict, OrderedDict):
            raise DataError(f"{path} is a {type(v).__name__}, which is no data", given=repr(v)[:60],
                            fix="save its tensors and numbers, e.g. a state_dict")  # fmt: skip
        if id(v) in self.inside:
            raise DataError(f"{path} contains itself", fix="save data without circles")
        self.inside.add(id(v))
        try:
            if isinstance(v, dict):
                pairs = [[self.key(k, path), self.tree(w, f"{path}[{k!r}]")] for k, w in v.items()]
                return {"dict": pairs}
            return {type(v).__name__: [self.tree(w, f"{path}[{k}]") for k, w in enumerate(v)]}
        finally:
            self.inside.discard(id(v))

    def key(self, k: Any, path: str) -> Any:
        if k is not None and type(k) not in (str, int, float, bool, tuple):
            raise DataError(f"a key of {path} is a {type(k).__name__}", given=repr(k)[:60],
                            fix="use text or numbers as keys")  # fmt: skip
        return self.tree(k, path)

    def array(self, v: Any, path: str) -> Any:
        if id(v) in self.seen:
            return self.seen[id(v)][1]
        a = np.asarray(v.v if isinstance(v, Handle) else v)
        if a.dtype.kind not in "buifc":
            raise DataError(
                f"{path} is an array of dtype {a.dtype}", fix="save numbers, e.g. a.astype(float)"
            )
        self.arrays.append(a)
        kind = "tensor" if isinstance(v, Handle) else "array" if isinstance(v, np.ndarray) else "scalar"
        place = {kind: len(self.arrays) - 1}
        if kind == "tensor" and v.requires_grad:
            place["requires_grad"] = True
        self.seen[id(v)] = v, place
        return place


class _Reader:
    """The way back."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.made: dict[int, Any] = {}

    def value(self, t: Any) -> Any:
        if t is None or isinstance(t, bool | str | int):
            return t
        if not isinstance(t, dict) or not t:
            raise ValueError(f"unknown entry {t!r}")
        kind, inner = next(iter(t.items()))
        if kind in ("tensor", "array", "scalar"):
            if inner not in self.made:
                self.made[inner] = self.array(kind, inner, t.get("requires_grad", False))
            return self.made[inner]
        if kind == "float":
            parts = [float.fromhex(p) for p in inner]
            return parts[0] if len(parts) == 1 else complex(*parts)
        if kind == "dtype":
            return np.dtype(inner)
        if kind == "dict":
            return {self.value(k): self.value(v) for k, v in inner}
        if kind in ("list", "tuple"):
            return {"list": list, "tuple": tuple}[kind](self.value(v) for v in inner)
        raise ValueError(f"unknown entry {kind!r}")

    def array(self, kind: str, number: int, requires_grad: bool) -> Any:
        data = io.BytesIO(self.archive.read(f"{int(number)}.npy"))
        a = np.lib.format.read_array(data, allow_pickle=False)
        if kind == "tensor":
            return make_leaf(a, requires_grad)
        return a if kind == "array" else a[()]


__all__ = ["load", "save"]
