"""python -m bench [NAME …] [--smoke] [--cpu] [--json FILE]: see bench/README.md."""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import bench
from bench.harness import ABSENT, BENCHMARKS, Benchmark, run, take_processor_time


def main() -> None:
    options = _options()
    if options.cpu:
        take_processor_time()
    for module in pkgutil.iter_modules(bench.__path__, prefix="bench."):
        if module.name.startswith("bench.bench_"):
            importlib.import_module(module.name)
    chosen = _chosen(options.names)
    print(f"{_machine()}\n")
    if options.smoke:
        _smoke(chosen)
    else:
        _time(chosen, options.json)
    if ABSENT:
        print(f"\nNOT COMPARED with {', '.join(sorted(ABSENT))}: not installed here (make bench has it)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time chainrule against its rivals.")
    parser.add_argument("names", nargs="*", help="a benchmark, a topic (eager), or a pattern ('exp*')")
    parser.add_argument("--smoke", action="store_true", help="run and check each once, without timing")
    parser.add_argument(
        "--cpu", action="store_true", help="processor time of this thread: other work counts less"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    return parser.parse_args()


def _chosen(names: list[str]) -> list[Benchmark]:
    def matches(b: Benchmark, name: str) -> bool:
        without_size = b.name.partition("[")[0]
        return name in (b.name, b.topic) or fnmatchcase(without_size, name)

    for name in names:
        if not any(matches(b, name) for b in BENCHMARKS.values()):
            sys.exit(f"no benchmark is named {name!r}; there are: {', '.join(BENCHMARKS)}")
    return [b for b in BENCHMARKS.values() if not names or any(matches(b, name) for name in names)]


def _smoke(chosen: list[Benchmark]) -> None:
    for b in chosen:
        for thunk in b.prepare().values():
            thunk()
        print(f"{b.name} … ok", flush=True)


def _time(chosen: list[Benchmark], file: Path | None) -> None:
    results = []
    for b in chosen:
        results.append(run(b))
        print(f"{results[-1]}\n", flush=True)
    met = [result.met for result in results if result.benchmark.goal]
    print(f"goals: {met.count(True)} met, {met.count(False)} not met, {met.count(None)} unknown")
    if file:
        numbers = {"machine": _machine(), "date": f"{datetime.now(UTC):%Y-%m-%d}"}
        numbers["results"] = [result.to_json() for result in results]
        file.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def _machine() -> str:
    python = platform.python_version()
    return f"{_processor()}, {os.cpu_count()} cores, one used; Python {python}, {_versions()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _versions() -> str:
    found = []
    for package in ("chainrule", "numpy", "scipy", "torch", "jax", "autograd", "casadi"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


if __name__ == "__main__":
    main()
