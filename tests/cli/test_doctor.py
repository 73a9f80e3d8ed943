"""chainrule doctor: a real check, an honest list, and a status that scripts can use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chainrule.cli import doctor


def test_on_a_healthy_machine_everything_needed_is_ok(run: Any) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.stdout
    assert "4w + w³ at w = 1 has slope 7 and second derivative 6" in result.stdout
    assert "Everything that is needed works." in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_it_fits_a_narrow_terminal(run: Any) -> None:
    assert max(map(len, run("doctor", columns=60).stdout.splitlines())) <= 60


def test_json_is_one_object(run: Any) -> None:
    result = run("doctor", "--json")
    report = json.loads(result.stdout)
    assert report["healthy"] is True
    names = [f["name"] for f in report["findings"]]
    assert {
        "gradient",
        "eager step",
        "numpy",
        "LLVM",
        "BLAS",
        "machine code",
        "threads",
        "cache",
        "matplotlib",
    } <= set(names)
    assert {f["state"] for f in report["findings"]} <= {"ok", "missing", "broken"}


def test_a_wrong_gradient_is_found(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import chainrule as cr

    right = cr.Tensor.__pow__
    monkeypatch.setattr(cr.Tensor, "__pow__", lambda x, n: right(x, n + 1))
    result = run("doctor")
    assert result.exit_code == 1
    assert "✗ broken" in result.stdout
    assert "gradient is broken. To fix it:" in result.stdout


def test_a_missing_package_is_named_with_a_cure(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_REQUIRED", (("no_such_package_here", "nothing"),))
    monkeypatch.setattr(doctor, "_EXTRAS", (("nor_this_one", "plot", "pictures"),))
    result = run("doctor")
    assert result.exit_code == 1
    assert "pip install no_such_package_here" in result.stdout
    assert 'pip install "chainrule[plot]"' in result.stdout


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> doctor.Finding:
        raise OSError("no such library\nand more lines")

    assert doctor._tried("LLVM", break_down).detail == "OSError: no such library"


def test_no_path_of_this_machine_is_told(run: Any) -> None:
    """The report goes into bug reports."""
    assert "/" not in run("doctor", "--json").stdout.replace("d/dw", "")


def test_clear_cache_removes_what_is_kept(run: Any, tmp_path: Any, monkeypatch: Any) -> None:
    from chainrule import config
    from chainrule.codegen import cache

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    cache.write(cache.key("x"), b"code")
    assert "1 file," in run("doctor").stdout
    assert run("doctor", "--clear-cache").stdout == "1 kept file removed, 0.0 MB.\n"
    assert run("doctor", "--clear-cache").stdout == "Nothing was kept.\n"


def test_a_compiled_gradient_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.codegen import jit

    if jit.is_available():
        assert "compiled gradients work" in doctor._machine_code().detail
    monkeypatch.setattr(jit, "is_available", lambda: False)
    found = doctor._machine_code()
    assert found.state == doctor.MISSING
    assert "llvmlite is not there" in found.detail
    assert "llvmlite" in str(found.fix)
