"""Kept object code: found again, never trusted blindly, safe among processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import config
from chainrule.codegen import cache, jit

TEXT = "define void @f(ptr %p) {\n  store double 3.0, ptr %p\n  ret void\n}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(config, "VERIFY", False)  # then whole programs are kept, too
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


@pytest.mark.parametrize("part", range(5))
def test_every_part_of_what_made_the_code_counts(part, monkeypatch, folder):
    """Our own format, llvmlite, LLVM, the name and the features of the processor."""
    import llvmlite
    import llvmlite.binding as llvm

    before = jit.made_by()
    monkeypatch.setattr(llvmlite, "__version__", "0.0.1")
    monkeypatch.setattr(llvm, "llvm_version_info", (1, 2, 3))
    monkeypatch.setattr(jit, "_processor", lambda: ("another", "+x"))
    after = ("2", *jit.made_by.__wrapped__()[1:])
    assert all(a != b for a, b in zip(before, after, strict=True))
    run()
    changed = (*before[:part], after[part], *before[part + 1 :])
    monkeypatch.undo()
    monkeypatch.setattr(config, "CACHE_DIR", str(folder))
    monkeypatch.setattr(jit, "made_by", lambda: changed)
    assert run() == 3.0
    assert len(list(folder.iterdir())) == 2


def test_another_processor_or_version_compiles_anew(monkeypatch, folder):
    run()
    monkeypatch.setattr(jit, "made_by", lambda: ("another",))
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


def refuse(*args, **kwargs):
    raise PermissionError("read-only")


def test_a_folder_that_can_only_be_read_serves_what_is_there(monkeypatch, folder):
    assert run() == 3.0
    (path,) = folder.iterdir()
    for name in ("open", "utime", "unlink", "replace", "makedirs"):
        monkeypatch.setattr(cache.os, name, refuse)
    import llvmlite.binding as llvm

    with monkeypatch.context() as m:
        m.setattr(llvm, "parse_assembly", lambda text: pytest.fail("compiled again"))
        assert run() == 3.0
    with open(path, "r+b") as file:
        file.truncate(40)
    assert run() == 3.0  # the damaged file stays, and is passed over
    assert [p.stat().st_size for p in folder.iterdir()] == [40]


@pytest.mark.parametrize("left", [0, 1, 31, 32, 33, 0.5, -1])
def test_compiled_functions_are_right_with_files_that_were_cut_short(folder, left):
    """Every file of a program at once, as after a full disk."""
    x = np.linspace(0, 1, 100)

    def slope():
        return cr.compile(cr.grad(lambda x: (cr.sin(x) * x).sum()))(x).numpy()

    np.testing.assert_allclose(slope(), np.sin(x) + x * np.cos(x), rtol=1e-14)
    whole = {p: p.read_bytes() for p in folder.iterdir()}
    assert whole
    for p, data in whole.items():
        p.write_bytes(data[: int(len(data) * left) if isinstance(left, float) else left])
    np.testing.assert_allclose(slope(), np.sin(x) + x * np.cos(x), rtol=1e-14)
    assert {p: p.read_bytes() for p in folder.iterdir()} == whole


@pytest.mark.parametrize("at", [0, 31, 32, 100, -1])
def test_a_byte_that_changed_is_noticed(folder, at):
    assert run() == 3.0
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert cache.read(path.name) is None
    assert run() == 3.0


def test_clear_removes_everything(folder):
    run()
    assert cache.clear() == 1
    assert list(folder.iterdir()) == []


def test_what_was_used_longest_ago_goes_first(folder, monkeypatch):
    monkeypatch.setattr(cache, "_MOST", 100)
    monkeypatch.setattr(cache, "_EVERY", 1)
    for k in range(4):
        cache.write(f"n{k}", b"x" * 30)
        os.utime(folder / f"n{k}", (k, k))
    cache._shrink(Path(folder))
    assert [p.name for p in sorted(folder.iterdir())] == ["n3"]


_PATIENCE = 300  # seconds for what takes one on an idle machine

PROCESS = """
import sys
from chainrule.codegen import cache
for k in range(200):
    cache.write("shared", bytes([int(sys.argv[1])]) * 10_000)
    found = cache.read("shared")
    assert found is not None and len(set(found)) == 1 and len(found) == 10_000, found and set(found)
"""


def test_processes_may_write_at_once(folder):
    env = {**os.environ, "CHAINRULE_CACHE": str(folder)}
    running = [subprocess.Popen([sys.executable, "-c", PROCESS, str(k)], env=env) for k in range(3)]
    assert [p.wait(_PATIENCE) for p in running] == [0, 0, 0]


COMPILES = """
import sys, time
import numpy as np
import chainrule as cr
from chainrule.codegen import jit
if sys.argv[2] == "warm":
    import llvmlite.binding as llvm
    llvm.parse_assembly = None
x = np.linspace(0, 1, 500)
f = cr.compile(cr.grad(lambda x: (cr.sin(x) * x).sum()))
g = cr.grad(cr.compile(lambda x: (cr.exp(x) * x).sum()))
time.sleep(max(0.0, float(sys.argv[1]) - time.time()))  # all at once
np.testing.assert_allclose(f(x).numpy(), np.sin(x) + x * np.cos(x), rtol=1e-14)
np.testing.assert_allclose(g(x).numpy(), np.exp(x) * (1 + x), rtol=1e-14)
"""


def test_processes_that_compile_the_same_function_at_once(folder):
    """With nothing kept; afterwards everything is there once, and the next process compiles nothing."""
    env = {**os.environ, "CHAINRULE_CACHE": str(folder), "CHAINRULE_VERIFY": "0"}
    start = time.time() + 1.5
    running = [
        subprocess.Popen([sys.executable, "-c", COMPILES, str(start), "cold"], env=env) for _ in range(3)
    ]
    assert [p.wait(_PATIENCE) for p in running] == [0, 0, 0]
    names = sorted(p.name for p in folder.iterdir())
    assert not [n for n in names if n.startswith(".part")]
    assert all(cache.read(n) is not None for n in names)
    subprocess.run([sys.executable, "-c", COMPILES, "0", "warm"], env=env, check=True, timeout=_PATIENCE)
    assert sorted(p.name for p in folder.iterdir()) == names
