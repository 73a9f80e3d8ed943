"""Files on disk that the next process need not make again: object code (`jit`), and what runs it (`kept`).

Each is named by all that it was made from: text or graph, versions, processor. Files begin with a checksum, and
appear under their name when they are whole, so that processes may write at once and a torn file is noticed.
"""

from __future__ import annotations

import contextlib
import os
import time

from chainrule import config

try:
    from _blake2 import blake2b  # what hashlib gives, too, but that loads OpenSSL: half of a hit
except ImportError:
    from hashlib import blake2b

_DIGEST = 32
_MOST = 256 * 2**20  # bytes: what was used longest ago goes first
_EVERY = 64  # files written between two looks at the size
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_written = 0


def key(*parts: str) -> str:
    """The name of what is made from these texts."""
    h = blake2b(digest_size=_DIGEST)
    for part in parts:
        h.update(f"{len(part)}:".encode())
        h.update(part.encode())
    return h.hexdigest()


def read(name: str) -> bytes | None:
    """What was kept under a name; None if there is nothing, or it is damaged (then it is removed)."""
    if config.CACHE_DIR is None:
        return None
    path = os.path.join(config.CACHE_DIR, name)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    found, content = data[:_DIGEST], data[_DIGEST:]
    if digest(content) != found:
        remove(name)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content


def write(name: str, content: bytes) -> None:
    """Keep something under a name; where the folder cannot be written nothing is kept."""
    if config.CACHE_DIR is None:
        return
    folder = config.CACHE_DIR
    part = os.path.join(folder, f".part-{os.getpid()}-{time.time_ns()}")
    try:
        os.makedirs(folder, exist_ok=True)
        with os.fdopen(os.open(part, _NEW, 0o600), "wb") as file:
            file.write(digest(content) + content)
        os.replace(part, os.path.join(folder, name))
    except OSError:
        return
    global _written
    _written += 1
    if _written % _EVERY == 1:
        _shrink(folder)


def digest(content: bytes) -> bytes:
    """The checksum of some bytes."""
    return blake2b(content, digest_size=_DIGEST).digest()


def remove(name: str) -> None:
    """Forget what is kept under a name."""
    if config.CACHE_DIR is not None:
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(config.CACHE_DIR, name))


def size() -> tuple[int, int]:
    """Number of files and bytes that are kept."""
    found = _files(config.CACHE_DIR) if config.CACHE_DIR is not None else []
    return len(found), sum(n for _, n, _ in found)


def clear() -> int:
    """Remove everything that is kept; the number of files."""
    found = _files(config.CACHE_DIR) if config.CACHE_DIR is not None else []
    for _, _, path in found:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return len(found)


def _files(folder: str) -> list[tuple[float, int, str]]:
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):
                stat = entry.stat()
                found.append((stat.st_mtime, stat.st_size, entry.path))
    return sorted(found)


def _shrink(folder: str) -> None:
    found = _files(folder)
    total = sum(n for _, n, _ in found)
    for _, n, path in found:
        if total <= _MOST:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= n


__all__ = ["clear", "digest", "key", "read", "remove", "size", "write"]
