"""Random programs, run once by PyTorch and once by chainrule, give the same numbers, flags, gradients and errors.

Deliberate differences, kept out of `programs.py` or allowed here:

- kinks, ties, jumps and edges of domains (semantics.md C.6): values keep a distance from them;
- two values assigned to one place (`x[[0, 0]] = v`): torch gives both a gradient, we the one that stayed;
- which values a rule keeps (`KEEPS`): after an in-place change one engine may refuse where the other need not;
- the several views of `split` and `unbind` may be changed in place here; torch refuses, even to show them;
- an expanded tensor may never be written to here; torch allows it for a part without repetitions;
- where there is no second derivative, torch says None, and we may say 0.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import programs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad

import chainrule as cr

pytestmark = [
    pytest.mark.usefixtures("doubles"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
    pytest.mark.filterwarnings("ignore:std\\(\\)|var\\(\\)|Using backward|.torch.jit"),
]

# Rules that read an input where torch's reads the result (accuracy, mechanisms.md §1.4), or keep it whole where torch
# drops a factor of length 1.
KEEPS = {
    "tanh": "sech² as a product of two sigmoids reads x",
    "sigmoid": "out·sigmoid(-x) reads x",
    "expm1": "exp(x) is exact where out + 1 is not",
    "rsqrt": "reads x",
    "div": "1/y reads y",
    "relu": "compares x",
    "softmax": "reads x",
    "logsumexp": "exp(x - out) reads x",
    "dot_general": "torch computes a product over a length of 1 as mul, and knows which factor is tracked",
}
SEEDS, LENGTHS = st.integers(0, 2**32 - 1), st.integers(1, 12)
MANY = settings(max_examples=max(500, settings.default.max_examples))
MIXED = ("float64", "float32", "int64")


class Pair(NamedTuple):
    """A program with its variables under torch and under chainrule."""

    program: programs.Program
    torch: dict[str, Any]
    ours: dict[str, Any]

    @property
    def tracked(self) -> list[str]:
        return [k for k in self.program.leaves if self.torch[k].requires_grad]


def both(seed: int, length: int, **how: Any) -> Pair:
    program = programs.program(torch, seed, length, **how)
    expected = program.run(torch)
    try:
        return Pair(program, expected, program.run(cr))
    except cr.ChainruleError as err:
        if "several entries share" in str(err):
            return Pair(program, expected, expected)
        raise AssertionError(f"chainrule refuses {program!r}") from err


def dtype(t: Any) -> str:
    return str(t.dtype).removeprefix("torch.")


def tolerance(t: Any, times: float) -> float:
    """Relative to the largest number: a few ulp, times the number of operations in which rounding can pile up."""
    return (2e-14 if dtype(t) != "float32" else 2e-6) * times


def assert_close(ours: Any, theirs: Any, what: Any, *, times: float, mixed: bool = False) -> None:
    a, b = programs.num(ours), programs.num(theirs)
    assert a.shape == b.shape, what
    scale = max(1.0, float(np.abs(b.astype(float)).max(initial=0.0)))
    rtol = 2e-6 * times if mixed else tolerance(theirs, times)
    assert np.all(np.abs(a.astype(float) - b.astype(float)) <= rtol * scale), (
        f"{what}: {ours} is not {theirs}"
    )


def assert_same_variables(p: Pair, *, mixed: bool) -> None:
    for name, t in p.torch.items():
        if hasattr(t, "requires_grad"):
            c, what = p.ours[name], f"{name} of {p.program!r}"
            found = (tuple(c.shape), dtype(c), c.requires_grad, c.is_leaf)
            assert found == (tuple(t.shape), dtype(t), t.requires_grad, t.is_leaf), what
            assert_close(c, t, what, times=50 * programs.LIMIT, mixed=mixed)


def refusal(loss: Any, **how: Any) -> str | None:
    """What the backward pass is refused for, or None."""
    try:
        loss.backward(**how)
    except RuntimeError as err:
        return str(err)
    return None


def agree_to_differ(theirs: str | None, ours: str | None) -> bool:
    """Whether one engine may refuse a change in place that the other allows."""
    if theirs is not None:
        assert "inplace" in theirs or "in-place" in theirs, theirs
        return True
    name = re.match(r"\[E205\] (\w+) needs its (input|result)", ours or "")
    return name is not None and name[1] in KEEPS


def assert_same_gradients(p: Pair, *, mixed: bool) -> None:
    for name in p.program.leaves:
        theirs, ours = p.torch[name].grad, p.ours[name].grad
        what = f"{name}.grad of {p.program!r}"
        assert (ours is None) == (theirs is None), what
        if theirs is not None:
            assert dtype(ours) == dtype(theirs), what
            assert_close(ours, theirs, what, times=5000, mixed=mixed)


@pytest.mark.parametrize("dtypes", [("float64",), MIXED], ids=["float64", "mixed"])
@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_values_flags_and_gradients_are_torchs(dtypes, seed, length):
    p = both(seed, length, dtypes=dtypes)
    mixed = dtypes is MIXED
    assert_same_variables(p, mixed=mixed)
    for _ in range(2):  # the second one accumulates
        theirs = refusal(p.torch["loss"], retain_graph=True)
        ours = refusal(p.ours["loss"], retain_graph=True)
        if (theirs is None) != (ours is None):
            assert agree_to_differ(theirs, ours), f"{ours} {p.program!r}"
            return
        if theirs is None:
            assert_same_gradients(p, mixed=mixed)


def slope(program: programs.Program, directions: dict[str, np.ndarray]) -> float:
    """Derivative of the loss along a direction by torch's forward mode, which saves no values."""
    with forward_ad.dual_level():
        whole = program.run(torch)
        leaves = {
            k: forward_ad.make_dual(whole[k].detach(), torch.tensor(d, dtype=whole[k].dtype))
            for k, d in directions.items()
        }
        tangent = forward_ad.unpack_dual(program.run(torch, leaves)["loss"]).tangent
    return 0.0 if tangent is None else float(tangent)


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_gradients_after_changes_in_place_are_forward_modes_even_where_torch_refuses(seed, length):
    p = both(seed, length)
    if "no_grad" in p.program.source or p.ours is p.torch or refusal(p.ours["loss"]):
        return
    rng = np.random.default_rng(seed)
    directions = {k: rng.standard_normal(p.torch[k].shape) for k in p.tracked}
    found = sum(
        float((programs.num(p.ours[k].grad) * d).sum())
        for k, d in directions.items()
        if p.ours[k].grad is not None
    )
    expected = slope(p.program, directions)
    assert abs(found - expected) <= 1e-9 * max(1.0, abs(expected)), repr(p.program)


def second_order(p: Pair, lib: Any, names: dict[str, Any]) -> list[Any]:
    """Gradients of the sum of the squares of the gradients."""
    xs = [names[k] for k in p.tracked]
    gs = lib.autograd.grad(names["loss"], xs, create_graph=True, allow_unused=True)
    live = [g for g in gs if g is not None and g.requires_grad]
    if not live:
        return [None] * len(xs)
    return list(lib.autograd.grad(sum((g * g).sum() for g in live), xs, allow_unused=True))


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_second_derivatives_are_torchs(seed, length):
    p = both(seed, length, inplace=False)
    theirs, ours = second_order(p, torch, p.torch), second_order(p, cr, p.ours)
    for name, a, b in zip(p.tracked, ours, theirs, strict=True):
        zero = np.zeros(p.torch[name].shape)
        expected = torch.tensor(zero) if b is None else b
        assert_close(cr.tensor(zero) if a is None else a, expected, f"{name} of {p.program!r}", times=1e6)


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_intermediate_gradients_are_torchs(seed, length):
    p = both(seed, length, inplace=False)
    names = [k for k, t in p.torch.items() if k[0] == "v" and t.requires_grad and not t.is_leaf]
    for found in (p.torch, p.ours):
        for k in names:
            found[k].retain_grad()
        found["loss"].backward()
    for k in names:
        a, b = p.ours[k].grad, p.torch[k].grad
        assert (a is None) == (b is None), f"{k} of {p.program!r}"
        if b is not None:
            assert_close(a, b, f"{k} of {p.program!r}", times=5000)


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_a_backward_frees_what_torch_frees_or_less(seed, length):
    p = both(seed, length, inplace=False)
    p.torch["loss"].backward()
    p.ours["loss"].backward()
    ours = refusal(p.ours["loss"])
    assert ours is None or refusal(p.torch["loss"]) is not None or freed_for_good_reason(ours), (
        f"{ours} {p.program!r}"
    )


def freed_for_good_reason(message: str) -> bool:
    """Our rule keeps a value that torch's does not (KEEPS, and composites)."""
    return "E204" in message


@MANY
@given(seed=SEEDS, length=LENGTHS)
def test_the_same_program_twice_gives_the_same_bits(seed, length):
    p = both(seed, length)
    again = p.program.run(cr)
    for name, t in p.ours.items():
        if hasattr(t, "requires_grad"):
            assert np.array_equal(programs.num(again[name]), programs.num(t)), f"{name} of {p.program!r}"


# --- the checks themselves -------------------------------------------------------------------------


def test_a_wrong_number_is_noticed():
    with pytest.raises(AssertionError):
        assert_close(cr.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-9]), "x", times=1000)


def test_a_missing_gradient_is_noticed():
    p = both(3, 5)
    p.torch["loss"].backward()
    with pytest.raises(AssertionError, match="grad of"):
        assert_same_gradients(p, mixed=False)


def test_a_wrong_flag_is_noticed():
    p = both(3, 5)
    p.ours[p.tracked[0]] = p.ours[p.tracked[0]].detach()
    with pytest.raises(AssertionError):
        assert_same_variables(p, mixed=False)


def test_programs_reach_every_kind_of_operation():
    text = "\n".join(programs.program(torch, seed, 12, dtypes=MIXED).source for seed in range(300))
    words = "@ einsum where clamp cat .sum( keepdim [None += _( no_grad detach float() torch.sort if for expand **"
    for part in (*words.split(), "zeros(", "torch.maximum", "] *="):
        assert part in text, part
