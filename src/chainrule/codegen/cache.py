"""Object code on disk, so that the next process need not compile it again.

One file for each module, named by what it was made from: text, versions, processor. Files begin with a checksum, and
appear under their name when they are whole, so that processes may write at once and a torn file is noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from chainrule import config

_DIGEST = 32
_MOST = 256 * 2**20  # bytes: what was used longest ago goes first
_EVERY = 64  # files written between two looks at the size
_written = 0


def key(*parts: str) -> str:
    """The name of what is made from these texts."""
    h = hashlib.sha256()
    for part in parts:
        h.update(f"{len(part)}:".encode())
        h.update(part.encode())
    return h.hexdigest()


def read(name: str) -> bytes | None:
    """What was kept under a name; None if there is nothing, or it is damaged (then it is removed)."""
    if config.CACHE_DIR is None:
        return None
    path = Path(config.CACHE_DIR) / name
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:_DIGEST], data[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        remove(name)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content


def write(name: str, content: bytes) -> None:
    """Keep something under a name; where the folder cannot be written nothing is kept."""
    if config.CACHE_DIR is None:
        return
    folder = Path(config.CACHE_DIR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder, prefix=".part-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        os.replace(part, folder / name)
    except OSError:
        return
    global _written
    _written += 1
    if _written % _EVERY == 1:
        _shrink(folder)


def remove(name: str) -> None:
    """Forget what is kept under a name."""
    if config.CACHE_DIR is not None:
        with contextlib.suppress(OSError):
            (Path(config.CACHE_DIR) / name).unlink()


def size() -> tuple[int, int]:
    """Number of files and bytes that are kept."""
    found = _files(Path(config.CACHE_DIR)) if config.CACHE_DIR is not None else []
    return len(found), sum(n for _, n, _ in found)


def clear() -> int:
    """Remove everything that is kept; the number of files."""
    found = _files(Path(config.CACHE_DIR)) if config.CACHE_DIR is not None else []
    for _, _, path in found:
        with contextlib.suppress(OSError):
            path.unlink()
    return len(found)


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                stat = entry.stat()
                found.append((stat.st_mtime, stat.st_size, Path(entry.path)))
    return sorted(found)


def _shrink(folder: Path) -> None:
    found = _files(folder)
    total = sum(n for _, n, _ in found)
    for _, n, path in found:
        if total <= _MOST:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= n


__all__ = ["clear", "key", "read", "remove", "size", "write"]
