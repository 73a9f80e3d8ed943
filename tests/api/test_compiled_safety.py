"""Compiled functions among threads, forks, interrupts and the garbage collector."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen import jit, plan

pytestmark = pytest.mark.skipif(not jit.is_available(), reason="llvmlite knows no target here")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")


def program(source, seconds=120):
    """What a program prints, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        capture_output=True, text=True, timeout=seconds, env={**os.environ, "CHAINRULE_CACHE": "off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- threads --------------------------------------------------------------------------------------------

FUNCTIONS = {
    "a number": (lambda x: cr.sin(x) * cr.exp(-x), lambda k: 0.1 * k),
    "small arrays": (lambda x: (cr.sin(x) * x, x.sum()), lambda k: np.arange(20.0) + k),
    "tiles on threads": (lambda x: (cr.exp(cr.sin(x)).sum(), x * 2), lambda k: np.linspace(k, k + 1, 30_000)),
    "calls of NumPy": (lambda x: cr.cumsum(cr.sort(cr.sin(x)).values, 0), lambda k: np.arange(300.0) + k),
    "value and gradient": (cr.value_and_grad(lambda x: (cr.sin(x) ** 2).sum()), lambda k: np.arange(9.0) + k),
}


def numbers(result):
    parts = result if isinstance(result, tuple) else (result,)
    return [np.asarray(p).tobytes() for p in parts]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_eight_threads_get_what_one_gets(name, monkeypatch):
    monkeypatch.setattr(plan, "_CHUNK_WORK", 5000)  # chunks for little work
    f, argument = FUNCTIONS[name]
    alone, shared = cr.compile(f), cr.compile(f)
    expected = {k: numbers(alone(argument(k))) for k in range(40)}
    start = threading.Barrier(8)

    def calls(w):
        start.wait()  # the first call of all records and compiles
        order = np.random.default_rng(w).permutation(np.repeat(np.arange(40), 5))
        return [int(k) for k in order if numbers(shared(argument(int(k)))) != expected[k]]

    before = cr.get_num_threads()
    cr.set_num_threads(3)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert [wrong for wrong in pool.map(calls, range(8)) if wrong] == []
    finally:
        cr.set_num_threads(before)


def test_a_call_from_the_collector_does_not_disturb_the_call_that_it_interrupts():
    """Making a result may collect garbage, whose finalizer may call the same function."""
    f = cr.compile(lambda x, y: (x * 2.0, x + y, y * 3.0))
    for _ in range(3):
        f(1.0, 2.0)
    called = []

    class Calls:
        def __del__(self):
            called.append(f(100.0, 200.0))

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for k in range(200):
            garbage = Calls()
            garbage.itself = garbage
            del garbage
            assert [t.item() for t in f(float(k), 1.0)] == [2.0 * k, k + 1.0, 3.0]
    finally:
        gc.set_threshold(*before)
    assert called
    assert all([t.item() for t in outs] == [200.0, 300.0, 600.0] for outs in called)


# --- forks ------------------------------------------------------------------------------------------------


@forks
def test_a_forked_process_calls_and_compiles():
    out = program("""
        import os, signal, warnings
        import numpy as np
        import chainrule as cr
        from chainrule.codegen import plan
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork where there are threads
        plan._CHUNK_WORK = 5000
        cr.set_num_threads(3)
        f = cr.compile(lambda x: (cr.exp(cr.sin(x)).sum(), x.sum()))
        small = cr.compile(lambda x: x * 2)
        x = np.linspace(0, 1, 30_000)
        expected = [t.item() for t in f(x)]
        for _ in range(3):
            small(1.0)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            right = [t.item() for t in f(x)] == expected and small(2.0).item() == 4.0
            right &= cr.compile(lambda x: x * 3)(2.0).item() == 6.0
            os._exit(0 if right else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), [t.item() for t in f(x)] == expected)
    """)
    assert out.split() == ["0", "True"]


@forks
def test_a_fork_while_another_thread_compiles():
    out = program("""
        import os, signal, threading, warnings
        import chainrule as cr
        warnings.simplefilter("ignore", DeprecationWarning)
        cr.compile(lambda x: x + 1)(1.0)
        over = threading.Event()

        def compiles():
            k = 0
            while not over.is_set():
                k += 1
                cr.compile(lambda x: x * float(k) + k)(1.0)

        thread = threading.Thread(target=compiles)
        thread.start()
        codes = []
        for n in range(12):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                os._exit(0 if cr.compile(lambda x: x - n)(1.0).item() == 1.0 - n else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        over.set()
        thread.join()
        print(codes)
    """)
    assert out.strip() == str([0] * 12)


# --- interrupts -------------------------------------------------------------------------------------------


def test_after_an_interrupt_everything_still_works():
    out = program("""
        import os, signal, threading, time
        import numpy as np
        import chainrule as cr
        signal.signal(signal.SIGINT, signal.default_int_handler)
        cr.set_num_threads(3)

        def f(x):
            y = x
            for _ in range(60):
                y = cr.sin(y) + cr.exp(-y * y)
            return y.sum()

        compiled = cr.compile(f)
        x = np.linspace(0, 1, 400_000)
        expected = compiled(x).item()
        interrupted = 0
        for k in range(5):
            timer = threading.Timer(0.02 + 0.01 * k, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            try:
                for _ in range(1000):
                    compiled(x)
            except KeyboardInterrupt:
                interrupted += 1
            timer.join()
            assert compiled(x).item() == expected
        print(interrupted, cr.compile(lambda x: x * 2)(2.0).item())
    """)
    assert out.split() == ["5", "4.0"]


# --- lifetime ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f, x, calls",
    [
        (lambda x: x * 2, 1.0, 10_000),
        (lambda x: (x * 2, x.sum()), np.ones(30), 10_000),
        (cr.value_and_grad(lambda x: (x * x).sum()), cr.ones(30), 10_000),
        (lambda x: cr.sort(x).values, np.ones(30), 2000),
    ],
    ids=["number", "arrays", "gradient", "NumPy"],
)
def test_calls_keep_no_memory(f, x, calls):
    g = cr.compile(f)
    for _ in range(200):
        g(x)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(calls):
        g(x)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000  # one object for each call would be five times that, or more


def test_tracked_calls_keep_no_memory():
    w = cr.ones(30, requires_grad=True)
    g = cr.compile(lambda x: (w * x).sum())
    for _ in range(20):
        g(np.ones(30)).backward()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(1000):
        g(np.ones(30)).backward()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000


@pytest.mark.parametrize("size", [30, 30_000])
def test_arrays_go_when_they_are_dropped(size):
    f = cr.compile(lambda x: (x * 2, cr.sort(x).values))
    g = cr.compile(lambda x: x * 2)
    arrays = [np.ones(size) for _ in range(8)]
    watched = [weakref.ref(a) for a in arrays]
    for a in arrays:
        watched += [weakref.ref(t.v) for t in (*f(a), g(a), g(a))]
    del arrays, a
    gc.collect()
    assert [r() for r in watched if r() is not None] == []


def test_a_tensor_that_a_name_no_longer_means_goes():
    w = cr.ones(30)
    f = cr.compile(lambda x: (w * x).sum())
    first = weakref.ref(w)
    for _ in range(3):
        f(1.0)
    w = cr.zeros(30)
    for _ in range(3):
        f(1.0)
    gc.collect()
    assert first() is None


def test_compiled_functions_go_with_their_code():
    w = np.ones(100)
    f = cr.compile(cr.value_and_grad(lambda x: (x * w).sum()))
    for _ in range(3):
        f(np.ones(100))
    executable = f._latest
    kept = [weakref.ref(executable), weakref.ref(executable.function.program.code), weakref.ref(f)]
    del f, executable
    gc.collect()
    assert [r() for r in kept] == [None] * 3


def test_an_entry_lives_as_long_as_somebody_holds_it():
    f = cr.compile(lambda x: x * 2)
    for _ in range(3):
        f(1.0)
    call, code = f._latest.call, test_an_entry_lives_as_long_as_somebody_holds_it.__code__
    del f
    gc.collect()
    assert call(code, 0, 3.0).item() == 6.0


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="this system does not tell its memory there"
)
def test_many_functions_that_are_compiled_and_dropped_keep_no_memory():
    out = program("""
        import gc, resource
        import chainrule as cr

        def some(n, at):
            for k in range(n):
                f = cr.compile(lambda x: cr.sin(x) * (at + k) + k)
                for _ in range(3):
                    f(1.0)

        def kilobytes():
            gc.collect()
            return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024

        some(230, 0)  # by then the pools of Python, LLVM and the C library have their size
        before = kilobytes()
        some(150, 230)
        print(kilobytes() - before)
    """)
    assert int(out) < 150 * 4  # kB, of some 30 kB of code and tables each
