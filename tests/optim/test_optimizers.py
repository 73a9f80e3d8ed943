"""SGD and Adam: the recurrences by hand, state, groups, closures, and what they refuse or report."""

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ArgumentError, ChainruleError, DataError, DerivativeError, DtypeError, ShapeError
from chainrule.tape import kernels


def leaf(value, **options):
    return cr.tensor(value, requires_grad=True, **options)


def run(optimizer, w, steps, loss=lambda w: (w**4).sum() / 4 + (w * w).sum()):
    for _ in range(steps):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
    return w.tolist()


def slope(w):
    return w**3 + 2 * w


def sgd_by_hand(w, steps, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    b = None
    for _ in range(steps):
        g = (-slope(w) if maximize else slope(w)) + weight_decay * w
        if momentum:
            b = g if b is None else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        w = w - lr * g
    return w


def adam_by_hand(w, steps, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False):
    m = v = top = 0.0
    for t in range(1, steps + 1):
        g = (-slope(w) if maximize else slope(w)) + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        top = max(top, v)
        size = math.sqrt((top if amsgrad else v) / (1 - betas[1] ** t)) + eps
        w = w - lr * m / (1 - betas[0] ** t) / size
    return w


SGD = [
    dict(lr=0.1), dict(lr=0.05, momentum=0.9), dict(lr=0.05, momentum=0.9, nesterov=True),
    dict(lr=0.001, maximize=True), dict(lr=0.05, momentum=0.5, dampening=0.3, weight_decay=0.1),
    dict(lr=0.05, weight_decay=0.2),
]  # fmt: skip
ADAM = [
    dict(lr=0.1), dict(lr=0.01, betas=(0.3, 0.9)), dict(lr=0.1, amsgrad=True, betas=(0.9, 0.5)),
    dict(lr=0.1, weight_decay=0.1, eps=1e-3), dict(lr=0.001, maximize=True),
]  # fmt: skip
BOTH = [(cr.optim.SGD, sgd_by_hand, o) for o in SGD] + [(cr.optim.Adam, adam_by_hand, o) for o in ADAM]
IDS = [f"{c.__name__} {', '.join(f'{k}={v}' for k, v in o.items())}" for c, _, o in BOTH]


@pytest.mark.parametrize("make, by_hand, options", BOTH, ids=IDS)
@pytest.mark.parametrize("start", [1.5, [1.5, -0.25]], ids=["number", "vector"])
def test_forty_steps_are_the_recurrence(make, by_hand, options, start):
    w = leaf(start)
    found = np.array(run(make([w], **options), w, 40))
    expected = [by_hand(v, 40, **options) for v in np.atleast_1d(start)]
    np.testing.assert_allclose(np.atleast_1d(found), expected, rtol=1e-12, atol=1e-15)
    assert w.is_leaf
    assert w.requires_grad


@pytest.mark.parametrize("make, by_hand, options", BOTH, ids=IDS)
def test_large_parameters_move_as_small_ones_do(make, by_hand, options, monkeypatch):
    """In one pass through memory, and in the memory that they have."""
    monkeypatch.setattr(kernels, "LEAST", 100)
    start = np.random.default_rng(0).uniform(-1.5, 1.5, (7, 31))
    w = leaf(start)
    before = w.detach()
    run(make([w], **options), w, 5)
    np.testing.assert_allclose(
        w.tolist(), np.vectorize(lambda v: by_hand(v, 5, **options))(start), rtol=1e-12
    )
    assert before.tolist() == w.tolist()


@pytest.mark.parametrize("make", [cr.optim.SGD, cr.optim.Adam])
def test_parameters_keep_their_dtype_and_their_memory(make):
    w = leaf([1.0, 2.0], dtype=cr.float32)
    memory = w.detach()
    run(make([w], lr=0.1), w, 3)
    assert w.dtype == cr.float32
    assert memory.tolist() == w.tolist()


def test_groups_have_settings_of_their_own():
    a, b = leaf(1.0), leaf(1.0)
    opt = cr.optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    (a + b).backward()
    opt.step()
    assert (a.item(), b.item()) == (0.9, 0.5)
    opt.param_groups[0]["lr"] = 1.0  # what schedules do
    opt.step()
    np.testing.assert_allclose(a.item(), -0.1)
    c = leaf(3.0)
    opt.add_param_group({"params": [c]})
    assert len(opt.param_groups) == 3


def test_zero_grad_forgets_or_zeroes():
    w = leaf([1.0, 2.0])
    opt = cr.optim.SGD([w], lr=0.1)
    w.sum().backward()
    opt.zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0, 0.0]
    opt.zero_grad()
    assert w.grad is None


def test_a_closure_computes_the_loss_with_gradients_on():
    w = leaf(2.0)
    opt = cr.optim.SGD([w], lr=0.25)

    def closure():
        opt.zero_grad()
        loss = w * w
        loss.backward()
        return loss

    with cr.no_grad():
        assert opt.step(closure).item() == 4.0
    assert w.item() == 1.0


@pytest.mark.parametrize(
    "make",
    [lambda w: cr.optim.SGD(w, lr=0.1, momentum=0.9), lambda w: cr.optim.Adam(w, lr=0.1, amsgrad=True)],
)
def test_a_saved_state_continues_the_same_run(make, tmp_path):
    w = leaf([1.5, -0.25])
    opt = make([w])
    run(opt, w, 5)
    again = leaf(w.tolist())
    other = make([again])
    other.load_state_dict(opt.state_dict())
    assert run(opt, w, 5) == run(other, again, 5)


def test_the_loaded_state_is_a_copy():
    w, u = leaf([1.0]), leaf([1.0])
    one, two = (cr.optim.SGD([p], lr=0.1, momentum=0.9) for p in (w, u))
    run(one, w, 2)
    two.load_state_dict(one.state_dict())
    before = two.state_dict()["state"][0]["momentum_buffer"].tolist()
    run(one, w, 2)
    assert two.state_dict()["state"][0]["momentum_buffer"].tolist() == before


# --- what is refused and reported ----------------------------------------------------------------


def test_a_gradient_that_is_not_finite_moves_nothing():
    a, b = leaf([1.0]), leaf([0.0, 1.0])
    opt = cr.optim.SGD([a, b], lr=0.1)
    (a.sum() + (b.sqrt() * cr.tensor([0.0, 1.0])).sum()).backward()
    assert np.isnan(b.grad.numpy()).tolist() == [True, False]
    with pytest.raises(DerivativeError) as info:
        opt.step()
    assert "1 of 2 entries" in info.value.what
    assert "grad[0] = nan of parameter 1" in info.value.given
    assert "why" in info.value.fix
    assert (a.item(), b.tolist()) == (1.0, [0.0, 1.0])


def test_large_finite_gradients_are_no_reason_to_stop():
    w = leaf([0.0, 0.0])
    opt = cr.optim.SGD([w], lr=1e-300)
    (w * cr.tensor([1.5e308, 1.5e308])).sum().backward()  # their sum is infinite
    opt.step()
    np.testing.assert_allclose(w.tolist(), [-1.5e8, -1.5e8])


def test_a_parameter_without_gradient_is_noted():
    with pytest.warns(cr.GradientNote, match="never move"):
        cr.optim.SGD([cr.tensor(1.0)], lr=0.1)


def test_a_parameter_that_the_loss_did_not_use_is_skipped_and_reported():
    w, u = leaf([1.0]), leaf([1.0, 2.0])
    opt = cr.optim.SGD([("w", w), ("u", u)], lr=0.5)
    w.sum().backward()
    opt.step()
    assert u.tolist() == [1.0, 2.0]
    text = str(opt.report())
    assert "w   moved by 0.5" in text
    assert "u   skipped: its .grad is None" in text


def test_an_update_below_half_a_spacing_is_reported_as_lost():
    """float32 at 1: the spacing below is 2⁻²⁴ = 5.96e-8, and 2e-8 is 0.34 of it."""
    w = leaf([1.0, 0.0], dtype=cr.float32)
    opt = cr.optim.SGD([w], lr=1e-8)
    (2 * w).sum().backward()
    opt.step()
    assert w.tolist()[0] == 1.0
    (row,) = opt.report().rows
    assert (
        row[1]
        == "1 of 2 entries stand still: at [0] the step of 2e-08 is 0.34 of the spacing of float32 below 1"
    )


def test_the_report_says_when_it_comes_too_late_or_too_early():
    w = leaf(1.0)
    opt = cr.optim.SGD([w], lr=0.1)
    assert "not moved yet" in str(opt.report())
    run(opt, w, 1)
    opt.zero_grad()
    assert "ask before zero_grad()" in str(opt.report())


W = leaf(1.0)


@pytest.mark.parametrize(
    "call, error, said",
    [
        (lambda: cr.optim.SGD([W * 2], lr=0.1), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: cr.optim.SGD(W, lr=0.1), TypeError, r"\[w\]"),
        (lambda: cr.optim.SGD([], lr=0.1), ValueError, "no parameters"),
        (lambda: cr.optim.SGD(3, lr=0.1), TypeError, "list of Tensors"),
        (lambda: cr.optim.SGD([1.0], lr=0.1), TypeError, "not a Tensor"),
        (lambda: cr.optim.SGD([W, W], lr=0.1), ArgumentError, "twice"),
        (lambda: cr.optim.SGD([{"params": [W]}, {"params": [W]}], lr=0.1), ValueError, "twice"),
        (lambda: cr.optim.SGD([{"lr": 1}], lr=0.1), ArgumentError, "'params'"),
        (lambda: cr.optim.SGD([{"params": [W], "mass": 1}], lr=0.1), ArgumentError, "'mass'"),
        (lambda: cr.optim.SGD([W], lr=-1.0), ValueError, "lr is -1.0"),
        (lambda: cr.optim.SGD([W], lr="fast"), ArgumentError, "lr is 'fast'"),
        (lambda: cr.optim.SGD([W], momentum=-0.5), ValueError, "momentum"),
        (lambda: cr.optim.SGD([W], nesterov=True), ValueError, "needs momentum"),
        (lambda: cr.optim.Adam([W], betas=(0.9, 1.0)), ValueError, r"betas\[1\] is 1"),
        (lambda: cr.optim.Adam([W], betas=0.9), ArgumentError, "two numbers"),
        (lambda: cr.optim.Adam([W], eps=-1), ValueError, "eps"),
        (lambda: cr.optim.Adam([leaf([1j])]), DtypeError, "complex"),
        (lambda: cr.optim.SGD([W]).load_state_dict({}), DataError, "state_dict"),
        (lambda: cr.optim.SGD([W]).load_state_dict(cr.optim.SGD([leaf(1.0), leaf(2.0)]).state_dict()), ValueError,
         "other groups"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_with_a_way_out(call, error, said):
    with pytest.raises(error, match=said) as info:
        call()
    assert isinstance(info.value, ChainruleError)
    assert info.value.fix


def test_the_state_of_a_parameter_of_another_shape_is_refused():
    w, u = leaf([1.0, 2.0]), leaf([1.0])
    opt = cr.optim.SGD([w], momentum=0.9)
    run(opt, w, 1)
    with pytest.raises(ShapeError, match="momentum_buffer of parameter 0"):
        cr.optim.SGD([u], momentum=0.9).load_state_dict(opt.state_dict())


def test_printed_it_shows_its_settings():
    assert repr(cr.optim.SGD([W], lr=0.5)).splitlines()[:3] == [
        "SGD (",
        "Parameter Group 0",
        "    dampening: 0",
    ]
