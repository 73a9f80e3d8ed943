"""Programs on disk: run without being planned again, to the same bits, and never where something else was planned."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule import config
from chainrule.codegen import cache, jit, kept
from chainrule.codegen import written as writing
from chainrule.codegen.program import Program
from chainrule.codegen.schedule import packed, unpacked
from chainrule.errors import IndexingError
from chainrule.ir import Graph, Type, Var, parse
from chainrule.table import TABLE
from chainrule.testing.fuzz import fuzz_graph
from chainrule.transforms.reverse import vjp
from tests.codegen.programs import arguments
from tests.codegen.programs import program as random_program
from tests.codegen.test_program import PROGRAMS, given_arrays
from tests.test_layers import GROUND, MAY_IMPORT

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="needs llvmlite")

X = np.linspace(-1.0, 1.0, 300)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(config, "VERIFY", False)
    return tmp_path / "kept"


@pytest.fixture
def planned_no_more(monkeypatch):
    """From when it is called, nothing may be planned."""
    return lambda: monkeypatch.setattr(writing, "planned", lambda *_, **__: pytest.fail("planned again"))


def slope(x):
    return (cr.sin(x) * x).sum()


def bits(outs):
    return [(np.asarray(o).dtype, np.shape(o), np.asarray(o).tobytes()) for o in outs]


# --- what is kept runs as what was planned ----------------------------------------------------------------


def graphs():
    for name, (f, shapes) in PROGRAMS.items():
        args = [np.random.default_rng(0).normal(size=s) for s in shapes]
        yield name, cr.graph_of(f, *args), args, 32
    for seed in range(30):
        args = arguments(np.random.default_rng(seed), empty=seed % 5 == 0)
        yield f"random {seed}", cr.graph_of(random_program(seed), *args), args, (32, 4096)[seed % 2]
        g, args, *_ = fuzz_graph(np.random.default_rng(seed), size=8)
        yield f"small {seed}", g, args, 16


CASES = {name: (graph, args, tile) for name, graph, args, tile in graphs()}


@pytest.mark.parametrize("pulled", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_program_from_disk_gives_the_same_bits(name, pulled, monkeypatch):
    """Every program that is all machine code is kept; what is read is what another planning comes to."""
    g, args, tile = CASES[name]
    if pulled:
        g = vjp(g, [k for k, v in enumerate(g.inputs) if v.dtype.kind == "f"])
    arrays = given_arrays(g, args)
    made = Program(g, tile=tile)
    found = kept.read(kept.name_of(g, {"tile": tile}))
    if made.called:
        assert found is None
        return
    assert packed(found[0]) == packed(made.schedule) == packed(writing.written(g, tile=tile).schedule)
    with monkeypatch.context() as m:
        m.setattr(writing, "planned", lambda *_, **__: pytest.fail("planned again"))
        again = Program(g, tile=tile)
        assert bits(again(arrays)) == bits(made(arrays))
    assert again.text == made.text


def kinds(plain):
    return set().union(*map(kinds, plain)) if plain.__class__ is tuple else {plain.__class__}


@pytest.mark.parametrize("name", CASES)
def test_a_schedule_is_plain_data(name):
    """So that any process reads it, and numbers of NumPy, which `marshal` would write as bytes, are not among it."""
    g, _, tile = CASES[name]
    schedule = writing.written(g, tile=tile).schedule
    plain = packed(schedule)
    assert (plain is None) == bool(schedule.called)
    if plain is not None:
        assert kinds(plain) <= {int, str, bool, bytes}
        assert packed(unpacked(plain)) == plain


def test_a_compiled_function_from_disk_tells_the_same(monkeypatch):
    first, second = cr.compile(cr.value_and_grad(slope)), cr.compile(cr.value_and_grad(slope))
    made = first(X)
    with monkeypatch.context() as m:
        m.setattr(writing, "planned", lambda *_, **__: pytest.fail("planned again"))
        for _ in range(4):  # with the native entry, too
            assert bits(second(X)) == bits(made)
    assert str(second.report()) == str(first.report())
    assert second.llvm == first.llvm
    assert second.asm == first.asm
    assert second.report(times=True).steps[0].seconds > 0


def test_an_index_out_of_range_is_refused_with_its_line(planned_no_more):
    pick = lambda x, i: x[i].sum()
    i = np.array([0, 5])
    assert float(cr.compile(pick)(X, i)) == X[0] + X[5]
    planned_no_more()
    with pytest.raises(IndexingError, match="300") as refused:
        cr.compile(pick)(X, np.array([0, 300]))
    assert "pick = lambda x, i: x[i].sum()" in str(refused.value)


def test_outputs_that_nobody_computes(planned_no_more):
    """Arguments, constants, and one output twice, each with memory of its own."""

    def f(x, n):
        y = cr.exp(x)
        return x, y, y, n, cr.arange(3.0), cr.tensor(2.5)

    made = cr.compile(f)(X, 1.5)
    planned_no_more()
    again = cr.compile(f)(X, 1.5)
    assert bits(again) == bits(made)
    assert len({a.numpy().ctypes.data for a in again[:3]} | {X.ctypes.data}) == 4


# --- what is not kept -------------------------------------------------------------------------------------


def test_programs_with_steps_in_numpy_are_not_kept(folder):
    """They need the equations; their object code is there."""
    f = cr.compile(lambda x: cr.sort(cr.exp(x)).values.sum())
    np.testing.assert_allclose(float(f(X)), np.exp(X).sum())
    assert kept.read(kept.name_of(f.graph, {})) is None
    assert len(list(folder.iterdir())) == 1


def test_large_constants_are_not_kept(monkeypatch):
    g = cr.graph_of(lambda x: (x * np.arange(300.0)).sum(), X)
    g = Graph(g.inputs, g.equations, g.outputs, g.constants)
    g.outputs.append(g.constant(np.arange(1000.0)))
    assert kept.name_of(g, {})
    monkeypatch.setattr(kept, "_MOST", 7000)
    assert kept.name_of(g, {}) is None


def test_primitives_that_others_registered_are_not_kept(monkeypatch):
    """Nobody sees when their files change."""
    monkeypatch.setitem(TABLE, "sin", dataclasses.replace(TABLE["sin"]))
    assert kept.name_of(parse(TEXTS[0]), {}) is None


def test_where_plans_are_verified_all_are_made(monkeypatch, folder):
    monkeypatch.setattr(config, "VERIFY", True)
    f = cr.compile(slope)
    f(X)
    assert kept.name_of(f.graph, {}) is None
    assert len(list(folder.iterdir())) == 1  # the object code


# --- names ------------------------------------------------------------------------------------------------

TEXTS = [
    "{ x:float64[3] -> a:float64[3] = sin x -> a }",
    "{ x:float64[4] -> a:float64[4] = sin x -> a }",
    "{ x:float64[3,1] -> a:float64[3,1] = sin x -> a }",
    "{ x:float32[3] -> a:float32[3] = sin x -> a }",
    "{ x:float64[3] -> a:float64[3] = cos x -> a }",
    "{ x:float64[3] -> a:float64[3] = sin x -> x }",
    "{ x:float64[3] -> a:float64[3] = sin x -> a a }",
    "{ x:float64[3] -> a:float64[3] = sin x  b:float64[3] = sin x -> a b }",
    "{ x:float64[3] -> a:float64[3] = sin x  b:float64[3] = sin a -> a b }",
    "{ x:float64[3] y:float64[3] -> a:float64[3] = sub x y -> a }",
    "{ x:float64[3] y:float64[3] -> a:float64[3] = sub y x -> a }",
    "{ x:float64[3] y:float64[3] -> a:float64[3] = sin x -> a }",
    *(
        f"{{ x:float64[] -> a:float64[] = mul x {c} -> a }}"
        for c in ("0.0", "-0.0", "1.0", "nan", "inf", "1e-300")
    ),
    *(f"{{ x:float64[2,2] -> a:float64[2] = sum x axis=({k},) keepdims=False -> a }}" for k in (0, 1)),
    "{ x:float64[2,2] -> a:float64[1,2] = sum x axis=(0,) keepdims=True -> a }",
]


def test_each_program_has_a_name_of_its_own():
    names = [kept.name_of(parse(text), {}) for text in TEXTS]
    assert None not in names
    assert len({*names}) == len(names)
    assert [kept.name_of(parse(text), {}) for text in TEXTS] == names  # variables are others
    assert kept.name_of(parse(TEXTS[0]), {"tile": 32}) not in names


def test_entries_of_constants_count():
    def g(c):
        x = Var(Type((2,), np.dtype(float)))
        g = Graph([x])
        g.outputs.append(g.emit("mul", x, g.constant(c)))
        return g

    arrays = [np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.0, 1.0]), np.array([-0.0, 1.0])]
    assert len({kept.name_of(g(a), {}) for a in arrays}) == 4


@pytest.mark.parametrize("case", ["kept", "planners", "compiler"])
def test_all_that_decides_a_schedule_is_in_its_name(case, monkeypatch):
    g = parse(TEXTS[0])
    before = kept.name_of(g, {})
    if case == "planners":
        monkeypatch.setattr(kept, "_planners", lambda: "another NumPy")
    elif case == "compiler":
        monkeypatch.setattr(jit, "made_by", lambda: ("another processor",))
    assert (kept.name_of(g, {}) == before) == (case == "kept")


def test_a_source_file_that_changed_is_noticed(tmp_path):
    for part in ("ir", "table", "passes", "codegen", "codegen/vecmath"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.py").write_text("1")
    (tmp_path / "__init__.py").write_text("1")
    before = kept._files(str(tmp_path))
    assert kept._files(str(tmp_path)) == before
    for part in ("__init__.py", "codegen/a.py", "codegen/vecmath/a.py", "table/a.py"):
        stat = (tmp_path / part).stat()
        os.utime(tmp_path / part, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
        after = kept._files(str(tmp_path))
        assert after != before
        before = after
    (tmp_path / "passes" / "b.py").write_text("")
    assert kept._files(str(tmp_path)) != before


def test_all_that_planning_may_import_is_looked_at():
    assert MAY_IMPORT["codegen"] - GROUND | {"codegen"} <= {*kept._PARTS}


def test_where_there_are_no_source_files_nothing_is_kept(monkeypatch):
    """In a zip archive nobody can tell whether they changed."""
    monkeypatch.setattr(kept, "_FOLDER", "/nowhere")
    kept._planners.cache_clear()
    assert kept.name_of(parse(TEXTS[0]), {}) is None
    kept._planners.cache_clear()


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", [None, lambda d: d[:-1], lambda d: d[:40], lambda d: b"", lambda d: d[:50] + b"\0" + d[51:]]
)
@pytest.mark.parametrize("which", [0, 1])
def test_files_that_are_missing_or_damaged_are_made_again(folder, damage, which):
    """The schedule, or the object code: the other one alone is of no use."""
    expected = bits([cr.compile(slope)(X)])
    whole = {p: p.read_bytes() for p in folder.iterdir()}
    path = sorted(whole, key=lambda p: len(whole[p]))[which]
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(whole[path]))
    assert bits([cr.compile(slope)(X)]) == expected
    assert {p: p.read_bytes() for p in folder.iterdir()} == whole


PROCESS = """
import sys
import numpy as np
import chainrule as cr
x = np.linspace(-1.0, 1.0, 300)
value, gradient = cr.compile(cr.value_and_grad(lambda x: (cr.softmax(cr.sin(x).reshape(100, 3), 1) ** 2).sum()))(x)
print(gradient.numpy().tobytes().hex())
assert ("chainrule.codegen.plan" in sys.modules) == (sys.argv[1] == "cold")  # not even imported
"""


def test_the_next_process_plans_nothing(folder):
    """Whatever order its sets have."""

    def run(seed, *args):
        env = {**os.environ, "CHAINRULE_CACHE": str(folder), "CHAINRULE_VERIFY": "0", "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROCESS, *args]
        return subprocess.run(command, env=env, check=True, timeout=300, stdout=subprocess.PIPE).stdout

    assert len({run("1", "cold"), run("2", "warm"), run("3", "warm")}) == 1
    assert all(cache.read(p.name) is not None for p in folder.iterdir())
