"""Imports point down, and heavy packages wait until needed: ARCHITECTURE.md, "Who may import whom"."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "chainrule"

GROUND = {"errors", "source", "config"}
GRAPHS = GROUND | {"table", "ir"}
ENGINE = GRAPHS | {"transforms", "passes", "codegen", "tape", "dispatch", "quick", "ops", "eager", "record"}
PYTHON = ENGINE | {"api", "testing", "optim"}
TORCH_NAMES = {"autograd", "cuda", "func", "linalg", "nn", "special", "fft", "random", "utils"}
PUBLIC = ""  # the package itself, as in `from chainrule import grad`

# A folder or file of src/chainrule -> what it may import of ours besides itself.
MAY_IMPORT: dict[str, set[str]] = {
    **dict.fromkeys(GROUND, GROUND),
    "table": {"errors"},
    "ir": GROUND | {"table"},
    "transforms": GRAPHS,
    "passes": GRAPHS,
    "codegen": GRAPHS | {"passes"},
    "tape": GRAPHS | {"transforms", "codegen"},
    "dispatch": GRAPHS | {"tape"},
    "quick": GRAPHS | {"tape", "dispatch"},
    "ops": GRAPHS | {"tape", "dispatch", "quick"},
    "eager": GRAPHS | {"transforms", "tape", "dispatch", "quick", "ops"},
    "record": GRAPHS | {"transforms", "passes", "tape", "dispatch", "ops", "eager"},
    "api": ENGINE,
    "testing": ENGINE | {"api"},
    "notebook": set(),
    "optim": ENGINE | {"api", "draw", "notebook"},
    "draw": {"errors"},
    "insight": PYTHON - {"codegen"} | {PUBLIC, "codegen.report", "draw", "notebook"},
    "learn": {PUBLIC, *GROUND, "api", "insight", "draw"},
    "cli": {PUBLIC, *GROUND, "api", "insight", "draw", "codegen.cache", "learn"},
    **dict.fromkeys(TORCH_NAMES, PYTHON),
    PUBLIC: PYTHON | TORCH_NAMES | {"insight", "draw", "notebook", "learn"},
    "__main__": {"cli"},
}

# A package -> the only places that may import it, early or late.
CONFINED = {
    "scipy": {"table", "transforms.jacobian", "codegen.jit", "codegen.threads"},
    "llvmlite": {"codegen.jit"},
}
WITHOUT_NUMPY = {"transforms", "passes", "draw", "cli", "learn"}
WITH_NUMPY_AFTER_ALL = {"transforms.jacobian"}  # colouring of sparse patterns

HEAVY = {"scipy", "matplotlib", "llvmlite", "rich", "typer", "optree", "IPython"}
HEAVY_AT_THE_TOP = {"cli": {"typer", "rich"}}


def violations(root: Path) -> list[str]:
    """Each import that breaks a rule, as `file:line: the rule`."""
    found = []
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        package = path.parent.relative_to(root.parent).parts
        tree = ast.parse(path.read_text(encoding="utf-8"))
        early = set(imports(tree.body, package, early=True))
        for name, line in imports([tree], package):
            rules = broken_rules(root, module, name, early=(name, line) in early)
            found += [f"{path.relative_to(root)}:{line}: {rule}" for rule in rules]
    return found


def imports(nodes: list, package: tuple[str, ...], *, early: bool = False) -> Iterator[tuple[str, int]]:
    """Dotted names that are imported, with their lines; `early`: only where that happens with the module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif not (early and waits(node)):
            yield from imports(list(ast.iter_child_nodes(node)), package, early=early)


def waits(node: ast.AST) -> bool:
    """True for code that does not run when its module is imported."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def broken_rules(root: Path, module: str, name: str, *, early: bool) -> Iterator[str]:
    here = module.partition(".")[0]
    if here not in MAY_IMPORT:
        yield f"{here!r} has no row in MAY_IMPORT: say what it may import"
        return
    package, _, inside = name.partition(".")
    if package == "chainrule":
        there = inside.partition(".")[0]
        if not any((root / f"{there}{end}").exists() for end in ("", ".py")):
            inside = there = PUBLIC
        if there != here and not within(inside, MAY_IMPORT[here]):
            yield f"{here or 'chainrule'!r} may not import {inside or 'chainrule'!r}"
    if package in CONFINED and not within(module, CONFINED[package]):
        yield f"{package} belongs in {', '.join(sorted(CONFINED[package]))}"
    if package == "numpy" and here in WITHOUT_NUMPY and not within(module, WITH_NUMPY_AFTER_ALL):
        yield f"{here!r} does without numpy"
    if early and package in HEAVY - HEAVY_AT_THE_TOP.get(here, set()):
        yield f"{package} is heavy: import it inside the function that needs it"


def within(name: str, places: set[str]) -> bool:
    return any(name == place or (place and name.startswith(f"{place}.")) for place in places)


def test_imports_point_down_and_heavy_packages_wait():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    "file, line, rule",
    [
        ("table/exponential.py", "from chainrule.ir import graph", "'table' may not import 'ir.graph'"),
        ("table/exponential.py", "from ..ir.graph import Graph", "'table' may not import 'ir.graph.Graph'"),
        ("table/__init__.py", "from .. import ir", "'table' may not import 'ir'"),
        ("table/exponential.py", "import chainrule.ir", "'table' may not import 'ir'"),
        ("transforms/reverse.py", "def late(): import chainrule.eager", "may not import 'eager'"),
        ("ops/array.py", "from chainrule import grad", "'ops' may not import 'chainrule'"),
        ("ir/graph.py", "def late(): import scipy.special", "scipy belongs in"),
        ("passes/cse.py", "import numpy as np", "'passes' does without numpy"),
        ("table/special.py", "import scipy.special", "scipy is heavy"),
        ("table/special.py", "class A:\n    from scipy import special", "scipy is heavy"),
        ("insight/plots.py", "if True:\n    import matplotlib.pyplot as plt", "matplotlib is heavy"),
        ("insight/plan.py", "from chainrule.codegen import jit", "'insight' may not import 'codegen.jit'"),
        ("novelty.py", "import math", "'novelty' has no row"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, line, rule):
    root = plant(tmp_path, file, line)
    assert [rule in found for found in violations(root)] == [True]


@pytest.mark.parametrize(
    "file, line",
    [
        ("table/special.py", "def value(x):\n    from scipy import special"),
        ("table/special.py", "from chainrule.errors import ShapeError\nfrom .primitive import Primitive"),
        ("cli/main.py", "import typer\nfrom chainrule import grad\nfrom chainrule.insight import explain"),
        ("insight/plots.py", "if TYPE_CHECKING:\n    import matplotlib"),
        ("insight/plan.py", "from chainrule.codegen.report import Report"),
        ("__init__.py", "from chainrule.ops import sin as sin"),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path, file, line):
    assert violations(plant(tmp_path, file, line)) == []


def plant(folder: Path, file: str, line: str) -> Path:
    """A package of empty folders with one line of code in it."""
    root = folder / "chainrule"
    for name in filter(None, MAY_IMPORT):
        (root / name).mkdir(parents=True)
    (root / file).write_text(line, encoding="utf-8")
    return root


def test_importing_the_package_loads_nothing_heavy():
    code = f"import chainrule, sys; print(sorted({HEAVY} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
