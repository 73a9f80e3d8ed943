"""chainrule doctor: what works here, and how to get the rest."""

from __future__ import annotations

import importlib
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from chainrule import config
from chainrule.cli import output

OK, MISSING, BROKEN = "ok", "missing", "broken"
_MARKS = {OK: "✓", MISSING: "-", BROKEN: "✗"}

# Package and what it is for; extras with the name under which pip knows them.
_REQUIRED = (
    ("numpy", "arrays"),
    ("scipy", "special functions, linear algebra"),
    ("llvmlite", "machine code"),
    ("optree", "nested arguments"),
    ("rich", "tables in the terminal"),
    ("typer", "this command"),
)
_EXTRAS = (
    ("matplotlib", "plot", "figures drawn by matplotlib"),
    ("IPython", "notebook", "notebooks"),
    ("anywidget", "notebook", "live pictures in notebooks"),
    ("starlette", "play", "the playground"),
    ("uvicorn", "play", "the playground"),
    ("dask", "dask", "several machines"),
    ("torch", "torch", "exchange with PyTorch"),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `state` is ok, missing or broken, `fix` says how to change that."""

    name: str
    state: str
    detail: str
    needed: bool = True
    fix: str | None = None


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    clear_cache: Annotated[
        bool, typer.Option("--clear-cache", help="Remove compiled code that is kept, and do nothing else.")
    ] = False,
) -> None:
    """What works here, and how to get the rest.

    Computes a gradient, compiled too, and compares it with the answer, times one step, loads LLVM, names the
    BLAS, counts the threads and what is kept of compiled code, and lists the packages that chainrule uses.

    Exit status: 0 if everything that is needed works, else 1.

    \b
    Examples
      chainrule doctor
      chainrule doctor --json > report.json
      chainrule doctor --clear-cache
    """
    if clear_cache:
        output.say(_cleared())
        return
    findings = examine()
    healthy = all(f.state == OK for f in findings if f.needed)
    if as_json:
        output.say_json({"healthy": healthy, **machine(), "findings": [asdict(f) for f in findings]})
    else:
        _say(findings, healthy=healthy)
    if not healthy:
        raise typer.Exit(1)


def machine() -> dict[str, str | int]:
    """Versions, system and terminal; no names of people or folders."""
    import chainrule

    return {
        "chainrule": chainrule.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "terminal": f"{output.width()} columns, {sys.stdout.encoding}",
    }


def examine() -> list[Finding]:
    """Every check, the needed ones first; a check that fails is a finding, not an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [_tried("gradient", _gradient), _tried("eager step", _eager_step)]
        found += [_tried(name, lambda name=name, use=use: _package(name, use)) for name, use in _REQUIRED]
        found += [_tried("LLVM", _llvm), _tried("machine code", _machine_code), _tried("BLAS", _blas)]
        found += [_tried("threads", _threads), _tried("cache", _cache)]
    return found + [_extra(*extra) for extra in _EXTRAS]


def _tried(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ImportError as err:
        package = err.name or name
        return Finding(name, MISSING, f"'{package}' cannot be imported", fix=f"pip install {package}")
    except Exception as err:
        first_line = str(err).partition("\n")[0]
        return Finding(
            name, BROKEN, f"{type(err).__name__}: {first_line}", fix="pip install --force-reinstall chainrule"
        )


def _gradient() -> Finding:
    """dL/dw of L = 4w + w³ at 1 is 7, and of its slope 6."""
    import chainrule as cr

    w = cr.tensor(1.0, requires_grad=True)
    (4 * w + w**3).backward()
    slope, bend = float(w.grad), float(cr.grad(cr.grad(lambda w: 4 * w + w**3))(1.0))
    detail = f"4w + w³ at w = 1 has slope {slope:g} and second derivative {bend:g}"
    right = (slope, bend) == (7.0, 6.0)
    return Finding("gradient", OK if right else BROKEN, detail if right else f"{detail}; 7 and 6 are right")


def _eager_step() -> Finding:
    """Median time of a forward and a backward pass on one number."""
    import chainrule as cr

    times = []
    for _ in range(200):
        start = time.perf_counter()
        w = cr.tensor(1.0, requires_grad=True)
        (4 * w + w**3).backward()
        times.append(time.perf_counter() - start)
    return Finding("eager step", OK, f"{1e6 * statistics.median(times):.0f} µs: 4w + w³ and its gradient")


def _package(name: str, use: str) -> Finding:
    importlib.import_module(name)
    return Finding(name, OK, f"{_version(name)}: {use}")


def _llvm() -> Finding:
    """Machine code can be made here: LLVM loads and knows this processor."""
    llvm = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine()
    version = ".".join(map(str, llvm.llvm_version_info[:2]))
    size = len(target.emit_object(llvm.parse_assembly("define double @f(double %x) { ret double %x }")))
    return Finding(
        "LLVM", OK if size else BROKEN, f"{version} for {llvm.get_host_cpu_name()}, {target.triple}"
    )


def _machine_code() -> Finding:
    """A compiled gradient is right, and how long it takes to make it anew."""
    import chainrule as cr

    kept, config.CACHE_DIR = config.CACHE_DIR, None
    try:
        f = cr.compile(cr.grad(lambda w: (4 * w + w**3).sum()))
        start = time.perf_counter()
        slopes = f(cr.ones(1000))
        taken = time.perf_counter() - start
    finally:
        config.CACHE_DIR = kept
    why = f.report().why
    if why:
        return Finding("machine code", MISSING, why, fix="pip install --force-reinstall llvmlite")
    detail = f"compiled gradients work; a small one is made in {1e3 * taken:.0f} ms"
    right = bool((slopes == 7.0).all())
    return Finding(
        "machine code", OK if right else BROKEN, detail if right else "a compiled gradient is wrong"
    )


def _threads() -> Finding:
    """How many threads large compiled work uses."""
    import chainrule as cr

    n, cores = cr.get_num_threads(), int(machine()["cores"])
    detail = f"{n} for large compiled work on {cores} core{'s' if cores > 1 else ''}"
    return Finding("threads", OK, f"{detail}; set_num_threads(n) or CHAINRULE_NUM_THREADS changes it")


def _blas() -> Finding:
    """The library behind matrix products."""
    config = importlib.import_module("numpy").show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return Finding("BLAS", OK, f"{blas['name']} {blas.get('version', '')}".strip() + ", through NumPy")


def _cache() -> Finding:
    """What is kept of compiled code; not where, since reports are sent around."""
    from chainrule.codegen import cache

    folder = config.CACHE_DIR
    if folder is None:
        return Finding("cache", OK, "switched off by CHAINRULE_CACHE: every process compiles anew")
    if os.path.isdir(folder) and not os.access(folder, os.W_OK):
        return Finding(
            "cache", BROKEN, "the cache folder cannot be written", fix="set CHAINRULE_CACHE to another"
        )
    files, size = cache.size()
    kept = (
        f"{files} file{'s' if files != 1 else ''}, {size / 2**20:.1f} MB (--clear-cache removes them)"
        if files
        else "empty"
    )
    return Finding("cache", OK, f"compiled code in the user's cache folder: {kept}")


def _cleared() -> str:
    from chainrule.codegen import cache

    _, size = cache.size()
    count = cache.clear()
    if not count:
        return "Nothing was kept."
    return f"{count} kept file{'s' if count != 1 else ''} removed, {size / 2**20:.1f} MB."


def _extra(name: str, extra: str, use: str) -> Finding:
    """Not imported: some of these take seconds."""
    import importlib.util

    if importlib.util.find_spec(name) is not None:
        return Finding(name, OK, f"{_version(name)}: {use}", needed=False)
    fix = f'pip install "chainrule[{extra}]"'
    return Finding(name, MISSING, f"{use}; {fix}", needed=False, fix=fix)


def _version(name: str) -> str:
    import importlib.metadata  # 13 ms

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown version"


def _say(findings: list[Finding], *, healthy: bool) -> None:
    m = machine()
    output.say_wrapped(
        f"chainrule {m['chainrule']} on Python {m['python']}, {m['system']}, {m['cores']} cores, "
        f"{m['terminal']}"
    )
    for title, needed in (("Needed", True), ("Extras", False)):
        output.say(f"\n{title}")
        output.say_table(
            (f"{_MARKS[f.state]} {f.state}", f.name, f.detail) for f in findings if f.needed is needed
        )
    output.say()
    if healthy:
        output.say_wrapped("Everything that is needed works.")
    for f in findings:
        if f.needed and f.state != OK:
            output.say_wrapped(f"{f.name} is {f.state}. To fix it:  {f.fix}", indent="  ")
