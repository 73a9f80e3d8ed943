"""Which mode a Jacobian takes, its layouts, and complex functions."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

WIDE = lambda x: cr.stack([x.sum(), (x * x).sum()])  # 3 numbers → 2
TALL = lambda x: cr.cat([x, x * x])  # 2 numbers → 4


@pytest.mark.parametrize(
    "f, at, mode, passes",
    [(WIDE, np.ones(3), "reverse", 2), (TALL, np.ones(2), "forward", 2), (cr.sin, np.ones(3), "reverse", 3)],
)
def test_the_mode_with_fewer_passes_is_taken_and_named(f, at, mode, passes):
    plan = cr.jacobian(f).plan(at)
    assert (plan.mode, plan.passes) == (mode, passes)
    assert str(plan).startswith(f"{mode} mode: {passes} passes")


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_the_mode_may_be_decided_by_the_caller(mode):
    assert cr.jacobian(WIDE, mode=mode).plan(np.ones(3)).mode == mode
    np.testing.assert_allclose(
        cr.jacobian(WIDE, np.array([1.0, 2.0, 3.0]), mode=mode).numpy(), [[1, 1, 1], [2, 4, 6]]
    )


def test_as_many_passes_are_made_as_the_plan_says(monkeypatch):
    from chainrule.api.run import Run

    counted = []
    for name in ("pull", "push"):
        whole = getattr(Run, name)
        monkeypatch.setattr(
            Run, name, lambda self, x, whole=whole, name=name: counted.append(name) or whole(self, x)
        )
    cr.jacobian(WIDE)(np.ones(30))
    assert counted == ["pull", "pull"]
    counted.clear()
    cr.jacobian(TALL)(np.ones(2))
    assert counted == ["push", "push"]


def test_denominator_layout_is_the_transpose():
    x = np.array([1.0, 2.0, 3.0])
    assert np.array_equal(cr.jacobian(WIDE, x, layout="denominator").numpy(), cr.jacobian(WIDE, x).numpy().T)
    z = cr.tensor([-1.0], requires_grad=True)
    assert cr.jacobian(cr.cat([2 * z, z**4]), z, layout="denominator").tolist() == [[2.0, -4.0]]


def test_denominator_layout_puts_all_dimensions_of_the_input_first():
    f = lambda x: x.sum(0)[None] * cr.ones(5, 1)  # (2, 3) → (5, 3)
    x = np.arange(6.0).reshape(2, 3)
    usual, other = cr.jacobian(f, x), cr.jacobian(f, x, layout="denominator")
    assert tuple(usual.shape) == (5, 3, 2, 3)
    assert np.array_equal(other.numpy(), usual.numpy().transpose(2, 3, 0, 1))


def test_the_jacobian_of_a_holomorphic_function_is_its_derivative():
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(cr.jacobian(lambda z: z * z, z).numpy(), np.diag(2 * z), rtol=1e-14)


def test_a_complex_function_of_real_numbers():
    j = cr.jacobian(lambda t: cr.exp(1j * t), 0.3)
    np.testing.assert_allclose(j.numpy(), 1j * np.exp(0.3j), rtol=1e-14)


@pytest.mark.parametrize("f", [cr.abs, lambda z: cr.abs(z) * z, lambda z: cr.abs(z) + 0j * z])
def test_a_function_that_is_not_holomorphic_has_no_jacobian(f):
    with pytest.raises(cr.ChainruleError, match="holomorphic"):
        cr.jacobian(f, 1 + 2j)


def test_reverse_passes_make_no_complex_jacobian():
    with pytest.raises(cr.ChainruleError, match="reverse passes"):
        cr.jacrev(lambda z: z * z)(1 + 2j)
