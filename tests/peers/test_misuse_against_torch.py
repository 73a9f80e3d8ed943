"""Misuse raises what torch raises (or a class that derives from it), at the same place."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

import chainrule as cr

pytestmark = [pytest.mark.usefixtures("doubles"), pytest.mark.filterwarnings("ignore")]

MISUSE = {
    "backward of a vector": "x = torch.ones(3, requires_grad=True); (x * 2).backward()",
    "backward of a constant": "(torch.tensor(3.0) ** 2).backward()",
    "second backward": "x = torch.tensor(2.0, requires_grad=True); y = x ** 2; y.backward(); y.backward()",
    "weights of another shape": "x = torch.ones(3, requires_grad=True); (x * 2).backward(torch.ones(2))",
    "integers that require gradients": "torch.tensor([1, 2], requires_grad=True)",
    "requires_grad_ of integers": "torch.tensor([1, 2]).requires_grad_()",
    "leaf in place": "x = torch.ones(3, requires_grad=True); x += 1",
    "entry of a leaf": "x = torch.ones(3, requires_grad=True); x[0] = 5.0",
    "view of a leaf": "x = torch.ones(3, requires_grad=True); x[:2].mul_(2)",
    "saved result overwritten": "x = torch.ones(3, requires_grad=True); y = x.exp(); y += 1; y.sum().backward()",
    "saved input overwritten": "x = torch.ones(3, requires_grad=True); a = x * 2; "
    "b = a * a; a[0] = 0; b.sum().backward()",
    "unused input": "x, u = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True); "
    "torch.autograd.grad(x.sum(), [x, u])",
    "input without gradient": "x, c = torch.ones(1, requires_grad=True), torch.ones(1); "
    "torch.autograd.grad((c * x).sum(), [c])",
    "numpy of a tracked tensor": "torch.ones(1, requires_grad=True).numpy()",
    "requires_grad off a computed tensor": "x = torch.ones(1, requires_grad=True); y = x * 2; y.requires_grad = False",
    "grad of another shape": "w = torch.tensor(1.0, requires_grad=True); w.grad = torch.tensor([1.0, 2.0])",
    "grad that is a number": "w = torch.tensor(1.0, requires_grad=True); w.grad = 3.0",
    "zero_ of no gradient": "w = torch.tensor(1.0, requires_grad=True); w.grad.zero_()",
    "hook on a constant": "torch.ones(1).register_hook(print)",
    "retain_grad of a constant": "torch.ones(1).retain_grad()",
    "shapes that do not broadcast": "torch.ones(3) + torch.ones(2)",
    "matmul of other lengths": "torch.ones(2, 3) @ torch.ones(2, 3)",
    "reshape to another size": "torch.ones(6).reshape(4)",
    "index out of range": "torch.ones(3)[5]",
    "too many indices": "torch.ones(3)[0, 0]",
    "list index out of range": "torch.ones(3)[[0, 7]]",
    "dim out of range": "torch.ones(3).sum(2)",
    "truth of several": "bool(torch.ones(2))",
    "item of several": "torch.ones(2).item()",
    "float of several": "float(torch.ones(2))",
    "length of a number": "len(torch.tensor(1.0))",
    "a number is not iterable": "list(torch.tensor(1.0))",
    "cat of other shapes": "torch.cat([torch.ones(2, 3), torch.ones(2, 2)])",
    "stack of other shapes": "torch.stack([torch.ones(2), torch.ones(3)])",
    "ragged list": "torch.tensor([[1.0, 2.0], [3.0]])",
    "a string": "torch.tensor('one')",
    "unknown method": "torch.ones(1).integrate()",
    "inference tensor in a recorded product": "with torch.inference_mode(): c = torch.ones(1)\n"
    "(c * torch.ones(1, requires_grad=True))",
    "assignment of another shape": "x = torch.zeros(3); x[:2] = torch.ones(3)",
    "in place to another shape": "x = torch.ones(3); x += torch.ones(2, 3)",
    "in place to another kind": "x = torch.tensor([1, 2]); x += 0.5",
    "max of nothing": "torch.zeros(0).max()",
    "amax of nothing": "torch.zeros(0).amax(0)",
    "expand of a length": "torch.ones(3).expand(4)",
    "squeeze out of range": "torch.ones(3).squeeze(4)",
    "einsum of other lengths": "torch.einsum('i,i->', torch.ones(2), torch.ones(3))",
    "einsum with an unknown letter": "torch.einsum('i->j', torch.ones(2))",
    "negative step": "torch.ones(3)[::-1]",
    "float as an index": "torch.ones(3)[1.0]",
    "condition that is no truth value": "torch.where(torch.ones(2), 1.0, 2.0)",
    "integer to a negative power": "torch.tensor([2]) ** -1",
    "split into lengths that do not fit": "torch.ones(5).split([2, 2])",
    "permute with a dim twice": "torch.ones(2, 3).permute(0, 0)",
    "set_grad on a result": "y = torch.ones(1, requires_grad=True) * 1; y.grad = 5",
}  # fmt: skip
# Accepted here though refused by torch: NumPy's meaning is clear.
ACCEPTED = {
    "negative step": "a view, read backwards",
}


def raised(lib, text):
    try:
        exec(text, {"torch": lib})
    except Exception as err:
        return err
    return None


def builtin_bases(err):
    return {t for t in type(err).__mro__ if t.__module__ == builtins.__name__} - {object, BaseException}


@pytest.mark.parametrize("name", [n for n in MISUSE if n not in ACCEPTED])
def test_misuse_raises_what_torch_raises(name):
    theirs, ours = raised(torch, MISUSE[name]), raised(cr, MISUSE[name])
    assert theirs is not None, "torch accepts this now"
    assert ours is not None, f"torch raises {theirs!r}"
    assert builtin_bases(theirs) <= builtin_bases(ours), f"{theirs!r} against {ours!r}"


@pytest.mark.parametrize("name", [n for n in MISUSE if n not in ACCEPTED and "zero_ of no gradient" not in n])
def test_our_errors_say_what_to_do(name):
    ours = raised(cr, MISUSE[name])
    assert isinstance(ours, cr.ChainruleError)
    assert ours.fix
    assert str(ours).rstrip().endswith(ours.fix.splitlines()[-1].strip())


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_numpy_means_is_accepted(name):
    assert raised(torch, MISUSE[name]) is not None
    assert raised(cr, MISUSE[name]) is None


def test_a_refused_in_place_change_changes_nothing():
    x = cr.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for change in ("x += 1", "x[0] = 5.0", "x[:2].mul_(2)", "x.zero_()", "x.copy_(x * 2)"):
        with pytest.raises(RuntimeError):
            exec(change, {"x": x})
        assert np.array_equal(x.detach().numpy(), [1.0, 2.0, 3.0])


def test_a_refused_backward_leaves_no_gradient_behind():
    x = cr.tensor([1.0, 2.0], requires_grad=True)
    y = x.exp()
    z = (x * 3).sum() + y.sum()
    y += 1
    with pytest.raises(RuntimeError):
        z.backward()
    assert x.grad is None
