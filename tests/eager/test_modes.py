"""no_grad and its kin: threads, generators, tasks, decorators, nesting."""

import asyncio
import threading

import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, InferenceError
from chainrule.tape import modes

on = cr.is_grad_enabled


@pytest.fixture(autouse=True)
def outermost():
    """What a generator of another test has left holds nowhere, but is still there until somebody enters a mode."""
    modes._MODE.set(modes.PLAIN)


def test_no_grad_holds_inside_the_block_and_ends_with_it():
    with cr.no_grad():
        assert not on()
    assert on()


def test_no_grad_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), cr.no_grad():
        1 / 0
    assert on()


def test_modes_nest():
    seen = []
    with cr.no_grad():
        with cr.enable_grad():
            seen.append(on())
            with cr.no_grad():
                seen.append(on())
        seen.append(on())
    assert seen == [True, False, False]


def test_one_object_may_be_entered_again():
    mode = cr.no_grad()
    with mode:
        with mode:
            pass
        assert not on()
    assert on()


@pytest.mark.parametrize("decorate", [cr.no_grad, cr.no_grad(), cr.inference_mode, cr.inference_mode()])
def test_a_decorated_function_runs_under_the_mode(decorate):
    @decorate
    def f(a, *, b):
        """Its own text."""
        return a + b, on()

    assert f(1, b=2) == (3, False)
    assert f.__doc__ == "Its own text."
    assert on()


def test_enable_grad_decorates_too():
    @cr.enable_grad
    def f():
        return on()

    with cr.no_grad():
        assert f()


@pytest.mark.parametrize("decorate", [cr.no_grad, cr.no_grad()])
def test_a_decorated_generator_runs_under_the_mode_and_its_caller_does_not(decorate):
    @decorate
    def steps():
        got = yield on()
        yield got, on()
        return "end"

    g = steps()
    assert next(g) is False
    assert on()
    assert g.send("sent") == ("sent", False)
    with pytest.raises(StopIteration) as stop:
        next(g)
    assert stop.value.value == "end"


def test_an_exception_thrown_into_a_decorated_generator_arrives():
    @cr.no_grad()
    def steps():
        try:
            yield 1
        except KeyError:
            yield on()

    g = steps()
    next(g)
    assert g.throw(KeyError()) is False
    g.close()


def test_a_decorated_coroutine_runs_under_the_mode():
    @cr.no_grad()
    async def f():
        await asyncio.sleep(0)
        return on()

    async def main():
        return await asyncio.gather(f(), f()), on()

    assert asyncio.run(main()) == ([False, False], True)


@pytest.mark.parametrize("switch", [cr.no_grad, lambda: cr.set_grad_enabled(False), cr.inference_mode])
def test_a_mode_set_inside_a_generator_holds_only_while_it_runs(switch):
    def g():
        with switch():
            yield on()
            yield on()

    first, second = g(), g()
    seen = [next(first), on(), next(second), on(), next(first), on()]
    first.close()
    seen.append(on())
    second.close()
    seen.append(on())
    assert seen == [False, True, False, True, False, True, True, True]


def test_a_generator_under_enable_grad_does_not_switch_its_caller_on():
    def g():
        with cr.enable_grad():
            yield on()

    with cr.no_grad():
        it = g()
        assert next(it) is True
        assert not on()
        it.close()
        assert not on()
    assert on()


def test_set_grad_enabled_inside_a_generator_does_not_leak():
    def g():
        cr.set_grad_enabled(False)
        yield on()

    assert next(g()) is False
    assert on()


def test_an_async_generator_does_not_leak_into_its_task():
    async def g():
        with cr.no_grad():
            yield on()
            await asyncio.sleep(0)
            yield on()

    async def main():
        return [(inside, on()) async for inside in g()]

    assert asyncio.run(main()) == [(False, True), (False, True)]


def test_tasks_do_not_see_each_others_modes():
    seen = []

    async def quiet():
        with cr.no_grad():
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(("quiet", on()))

    async def loud():
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(("loud", on()))

    async def main():
        await asyncio.gather(quiet(), loud())

    asyncio.run(main())
    assert set(seen) == {("quiet", False), ("loud", True)}


def test_a_new_thread_records():
    seen = []
    with cr.no_grad():
        thread = threading.Thread(target=lambda: seen.append(on()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_differentiate_at_the_same_time():
    results = {}

    def work(k):
        x = cr.tensor(float(k), requires_grad=True)
        for _ in range(200):
            (x**3).backward()
        results[k] = x.grad.item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {k: 200 * 3.0 * k**2 for k in range(4)}


def test_set_grad_enabled_is_a_call_a_block_and_a_decorator():
    cr.set_grad_enabled(False)
    assert not on()
    cr.set_grad_enabled(True)
    assert on()
    with cr.set_grad_enabled(False):
        assert not on()
    assert on()

    @cr.set_grad_enabled(False)
    def f():
        return on()

    assert on()
    assert not f()


def test_inference_mode_can_be_switched_off():
    with cr.inference_mode(False):
        assert on()
        assert not cr.is_inference_mode_enabled()
    with cr.inference_mode():
        assert cr.is_inference_mode_enabled()
        assert not on()


def test_a_tensor_knows_that_it_was_made_under_inference_mode():
    with cr.inference_mode():
        a = cr.tensor([1.0]) * 2
    assert a.is_inference()
    assert not (a * 2).is_inference()
    assert not cr.tensor([1.0]).is_inference()


def test_a_tensor_of_inference_mode_cannot_require_a_gradient_outside():
    with cr.inference_mode():
        a = cr.tensor([1.0]) * 2
    with pytest.raises(InferenceError, match="outside of it"):
        a.requires_grad_()
    assert a.clone().requires_grad_().requires_grad


@pytest.mark.parametrize("mode", [cr.no_grad, cr.enable_grad])
def test_a_mode_decorates_functions_only(mode):
    with pytest.raises(ArgumentError, match="not a int"):
        mode(3)


def test_the_functional_transforms_record_inside_no_grad():
    with cr.no_grad():
        assert cr.grad(lambda x: x**2)(3.0).item() == 6.0
        assert cr.hessian(lambda x: x**3)(2.0).item() == 12.0


def test_create_graph_works_inside_no_grad():
    x = cr.tensor(3.0, requires_grad=True)
    y = x**3
    with cr.no_grad():
        (g,) = cr.autograd.grad(y, x, create_graph=True)
    assert cr.autograd.grad(g, x)[0].item() == 18.0


def _chain(m):
    return 1 if m.outer is None else 1 + _chain(m.outer)


def _paired(generator, times):
    for _ in range(times):
        for _a, _b in zip(generator(), generator(), strict=False):
            pass


def test_generators_that_end_out_of_order_leave_the_mode_of_ordinary_programs():
    def g():
        with cr.no_grad():
            yield from range(3)

    _paired(g, 100)
    assert modes.mode() is modes.PLAIN
    assert _chain(modes.mode()) == 1
    assert on()


def test_the_chain_of_two_running_generators_is_counted():
    def g():
        with cr.no_grad():
            yield

    first, second = g(), g()
    next(first)
    next(second)
    assert _chain(modes.mode()) == 3
    second.close()
    first.close()
    assert _chain(modes.mode()) == 1


def test_generators_that_end_out_of_order_under_no_grad_leave_no_grad():
    def g():
        with cr.enable_grad():
            yield from range(3)

    with cr.no_grad():
        before = modes.mode()
        _paired(g, 100)
        assert modes.mode() is before
        assert not on()
    assert modes.mode() is modes.PLAIN


def test_a_generator_that_outlives_earlier_ones_keeps_a_short_chain():
    def g():
        with cr.no_grad():
            yield on()
            yield on()

    running = g()
    next(running)
    for _ in range(100):
        later = g()
        next(later)
        running.close()
        running = later
    assert _chain(modes.mode()) <= 3  # the one that runs, at most one that was left, the outermost
    assert next(running) is False
    running.close()
    assert modes.mode() is modes.PLAIN


def test_the_modes_that_all_programs_share_stay_as_they_are():
    shared = {key: (m.grad, m.inference, m.scope, m.frame, m.outer) for key, m in modes._PLAINLY.items()}
    first, second = cr.no_grad(), cr.inference_mode()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    second.__exit__()
    cr.set_grad_enabled(True)
    assert shared == {key: (*key, None, None, None) for key in modes._PLAINLY}
    assert {k: (m.grad, m.inference, m.scope, m.frame, m.outer) for k, m in modes._PLAINLY.items()} == shared


VIEWS = [
    lambda c: c.reshape(2),
    lambda c: c[0],
    lambda c: c[:1],
    lambda c: c.reshape(1, 2).t()[0, 0],
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_an_inference_tensor_is_one_too_and_is_never_kept(view):
    with cr.inference_mode():
        c = cr.tensor([1.0, 2.0]) * 2
    v = view(c)
    x = cr.tensor([3.0, 4.0], requires_grad=True)
    assert v.is_inference()
    with pytest.raises(InferenceError):
        x * v


def test_a_copy_of_an_inference_tensor_is_an_ordinary_tensor():
    with cr.inference_mode():
        c = cr.tensor([[1.0, 2.0], [3.0, 4.0]]) * 2
    x = cr.tensor([1.0, 1.0], requires_grad=True)
    copies = [c.clone()[0], c.t().reshape(-1)[:2], c[[0, 1]][0]]
    assert [t.is_inference() for t in copies] == [False, False, False]
    (x * copies[1]).sum().backward()
    assert x.grad.tolist() == [2.0, 6.0]
