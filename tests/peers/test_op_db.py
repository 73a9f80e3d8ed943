"""Every operation on PyTorch's own sample inputs: value, gradient, forward mode and second derivative.

Where the two differ on purpose, or chainrule refuses, a row of `differences.py` says why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sample_inputs as db
import torch
from differences import ROWS, WAITED_FOR, Row
from operations import FUNCTIONAL, NAMES, NOT_IN_TORCH, PLACES, REFUSED

import chainrule as cr
from chainrule.dispatch import bind
from chainrule.table import TABLE
from chainrule.table.primitive import Jvp, Partials

pytestmark = [pytest.mark.usefixtures("doubles"), pytest.mark.filterwarnings("ignore")]

NOT_COMPARED = {
    "empty",
    "empty_like",
    "new_empty",
    "randn",
    "randint",
    "rand",
    "randint_like",
}  # arbitrary or random numbers


# --- every name ----------------------------------------------------------------------------------


def places(name: str) -> list[str]:
    """Where torch has the name: "exp" → "exp", "Tensor.exp"."""
    if name in NOT_IN_TORCH:
        return [f"special.{name}"]
    found = [f"{place}.{name}".lstrip(".") for place in PLACES if hasattr(db.reach(torch, place), name)]
    return found + [f"nn.functional.{name}"] * (name in FUNCTIONAL)


@pytest.mark.parametrize("place", sorted({place for name in NAMES for place in places(name)}))
def test_the_name_is_there_where_torch_has_it(place, request):
    if place in WAITED_FOR:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason="not there yet"))
    if place in REFUSED:
        with pytest.raises(cr.ChainruleError, match=place.split(".")[-1]):
            db.reach(cr, place)
    else:
        db.reach(cr, place)


@pytest.mark.parametrize("name", NAMES)
def test_torch_has_the_name_somewhere(name):
    assert places(name)


def test_a_name_that_is_missing_is_noticed():
    with pytest.raises(AttributeError):
        db.reach(cr, "Tensor.integrate")


# --- every sample --------------------------------------------------------------------------------


def compared() -> Iterator[tuple[str, Any]]:
    for key, op in db.entries().items():
        try:
            db.ours(op)
        except db.Missing:
            continue
        if (op.name not in NOT_COMPARED and op.name.rstrip("_") == op.name) or op.name.startswith("__"):
            yield key, op


COMPARED = dict(compared())
CHECKS = ("value", "method", "arrays", "in place", "gradient", "tangent", "second", "float32", "int64",
          "complex128", "complex gradient")  # fmt: skip
DTYPE_OF = {"complex gradient": "complex128"} | {d: d for d in ("float32", "int64", "complex128")}


def applies(op: Any, check: str) -> bool:
    if db.DTYPES[DTYPE_OF.get(check, "float64")] not in op.supported_dtypes("cpu"):
        return False
    return {
        "gradient": op.supports_autograd,
        "complex gradient": op.supports_autograd,
        "second": op.supports_autograd and op.supports_gradgrad,
        "arrays": not (op.name.startswith("__") or db.is_method(op)),
        "tangent": op.supports_autograd and op.supports_forward_ad,
        "method": db.torch_method(op) is not None,
        "in place": op.inplace_variant is not None and hasattr(cr.Tensor, op.inplace_variant.__name__),
    }.get(check, True)


def samples_for(key: str, check: str) -> list[db.Sample]:
    grad = check in ("gradient", "second", "tangent", "complex gradient")
    return db.samples(key, DTYPE_OF.get(check, "float64"), grad=grad)


def run(check: str, op: Any, s: db.Sample, function: Callable[..., Any] | None = None) -> None:
    """One comparison of one sample. Raises Unlike, or what chainrule raises."""
    f = function or db.ours(op)
    if check in ("gradient", "second", "complex gradient"):
        db.check_derivatives(f, op.op, s, second=check == "second")
    elif check == "tangent":
        db.check_tangent(f, op.op, s)
    elif check == "method":
        db.check_value(db.method(op), db.torch_method(op), s)
    elif check == "in place":
        db.check_in_place(op, s)
    elif check == "arrays":
        db.check_value(f, op.op, s, db.bare)
    else:
        db.check_value(f, op.op, s)


def row_for(key: str, check: str, s: db.Sample) -> Row | None:
    return next((r for r in ROWS if r.speaks_of(key, check) and r.at(s)), None)


def complaint(key: str, check: str, op: Any, s: db.Sample, function: Callable[..., Any] | None = None) -> str:
    """What is wrong with one sample, or nothing."""
    row = row_for(key, check, s)
    kind = row.kind if row and function is None else ""
    try:
        run(check, op, s, function)
    except db.Unlike as err:
        return "" if kind == "differs" else f"{s}: {err}"
    except cr.ChainruleError as err:
        return "" if kind == "refused" and err.fix else f"{s}: {type(err).__name__}: {err}"
    except Exception as err:
        return f"{s}: {type(err).__name__}: {err}"
    return ""


def check_entry(key: str, check: str, function: Callable[..., Any] | None = None) -> None:
    op = COMPARED[key]
    found = samples_for(key, check)
    bad = [c for s in found if (c := complaint(key, check, op, s, function))]
    assert not bad, f"{len(bad)} of {len(found)} samples of {key}, {check}:\n  " + "\n  ".join(bad[:4])


CASES = [(key, check) for key, op in COMPARED.items() for check in CHECKS if applies(op, check)]


@pytest.mark.parametrize("key, check", CASES, ids=[f"{k}-{c.replace(' ', '-')}" for k, c in CASES])
def test_operation_agrees_on_the_sample_inputs(key, check):
    check_entry(key, check)


@pytest.mark.parametrize("row", ROWS, ids=[f"{r.entries.split()[0]}-{r.checks.split()[0]}" for r in ROWS])
def test_a_row_of_differences_is_needed(row):
    """Some sample differs, or is refused: otherwise the row goes."""
    for key, check in CASES:
        if row.speaks_of(key, check):
            for s in filter(row.at, samples_for(key, check)):
                try:
                    run(check, COMPARED[key], s)
                except Exception:
                    return
    pytest.fail("nothing differs any more")


# --- the comparison can fail ---------------------------------------------------------------------


def exp_with(**fields: Any) -> Callable[..., Any]:
    p = dataclasses.replace(TABLE["exp"], **fields)
    return lambda x: bind(p, x)


@pytest.mark.parametrize("check", ["gradient", "tangent", "second", "complex gradient"])
def test_a_rule_that_is_off_by_a_millionth_is_caught(check):
    wrong = exp_with(rule=Partials({"x": lambda out: out * (1 + 1e-6)}))
    check_entry("exp", "value", wrong)
    with pytest.raises(AssertionError, match="of 3 samples"):
        check_entry("exp", check, wrong)


def test_a_value_that_is_off_is_caught():
    with pytest.raises(AssertionError):
        check_entry("exp", "value", exp_with(value=lambda x: np.exp(x) * (1 + 1e-10)))


def test_a_slope_that_is_right_once_and_wrong_twice_is_caught(monkeypatch):
    """sin's slope is cos; with a wrong slope of cos the first derivative of sin is right, the second is not."""
    wrong = dataclasses.replace(TABLE["cos"], rule=Partials({"x": lambda x: 1.000001 * -TABLE["sin"](x)}))
    sine = dataclasses.replace(TABLE["sin"])
    monkeypatch.setitem(TABLE, "cos", wrong)
    check_entry("sin", "gradient", lambda x: bind(sine, x))
    with pytest.raises(AssertionError, match="second derivative"):
        check_entry("sin", "second", lambda x: bind(sine, x))


def test_a_pushforward_that_is_wrong_by_itself_is_caught():
    wrong = exp_with(rule=Jvp(lambda emit, args, ts, out: emit("mul", emit("mul", out, ts[0]), 1.5)))
    with pytest.raises(AssertionError, match="tangent"):
        check_entry("exp", "tangent", wrong)


@pytest.mark.parametrize(
    "wrong", [lambda x: cr.exp(x).float(), lambda x: cr.exp(x)[None], lambda x: (cr.exp(x),) * 2]
)
def test_another_dtype_shape_or_number_of_results_is_caught(wrong):
    with pytest.raises(AssertionError):
        check_entry("exp", "value", wrong)


def test_a_gradient_that_is_cut_is_caught():
    with pytest.raises(AssertionError, match="connected"):
        check_entry("exp", "gradient", lambda x: cr.exp(x.detach()))
