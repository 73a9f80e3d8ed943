"""Kept object code: found again, never trusted blindly, safe among processes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule import config
from chainrule.codegen import cache, jit

TEXT = "define void @f(ptr %p) {\n  store double 3.0, ptr %p\n  ret void\n}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kept"))
    return tmp_path / "kept"


def run():
    """The number that compiled code writes."""
    out = np.zeros(1)
    jit.Module(TEXT, ["f"], []).function("f", 1)(out.ctypes.data)
    return out[0]


def test_what_was_written_is_read(folder):
    name = cache.key("a", "b")
    assert cache.read(name) is None
    cache.write(name, b"code")
    assert cache.read(name) == b"code"
    assert cache.size()[0] == 1


def test_keys_tell_their_parts_apart():
    assert len({cache.key("ab", "c"), cache.key("a", "bc"), cache.key("abc")}) == 3


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"", lambda d: d[:5], lambda d: bytes(len(d))]
)
def test_a_damaged_file_is_removed_and_made_again(folder, damage):
    assert run() == 3.0
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert run() == 3.0
    assert path.read_bytes() == whole


def test_kept_code_is_used_without_compiling(monkeypatch):
    assert run() == 3.0
    import llvmlite.binding as llvm

    monkeypatch.setattr(llvm, "parse_assembly", lambda text: pytest.fail("compiled again"))
    assert run() == 3.0


def test_another_processor_or_version_compiles_anew(monkeypatch, folder):
    run()
    monkeypatch.setattr(jit, "_made_by", lambda: ("another",))
    run()
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.write_text("not a folder")
    monkeypatch.setattr(config, "CACHE_DIR", str(file / "below"))
    assert run() == 3.0
    monkeypatch.setattr(config, "CACHE_DIR", None)
    assert run() == 3.0
    assert cache.size() == (0, 0)


def test_clear_removes_everything(folder):
    run()
    assert cache.clear() == 1
    assert list(folder.iterdir()) == []


def test_what_was_used_longest_ago_goes_first(folder, monkeypatch):
    import os

    monkeypatch.setattr(cache, "_MOST", 100)
    monkeypatch.setattr(cache, "_EVERY", 1)
    for k in range(4):
        cache.write(f"n{k}", b"x" * 30)
        os.utime(folder / f"n{k}", (k, k))
    cache._shrink(Path(folder))
    assert [p.name for p in sorted(folder.iterdir())] == ["n3"]


PROCESS = """
import sys
from chainrule.codegen import cache
for k in range(200):
    cache.write("shared", bytes([int(sys.argv[1])]) * 10_000)
    found = cache.read("shared")
    assert found is not None and len(set(found)) == 1 and len(found) == 10_000, found and set(found)
"""


def test_processes_may_write_at_once(folder):
    import os

    env = {**os.environ, "CHAINRULE_CACHE": str(folder)}
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, str(k)], env=env) for k in range(3)]
    assert [p.wait(60) for p in running] == [0, 0, 0]
