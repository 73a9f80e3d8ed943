"""Each error can be caught as what torch raises in the same place, and every `raise` says what to do."""

import ast
from pathlib import Path

import pytest

import chainrule as cr
from chainrule import errors

ROOT = Path(cr.__file__).parent

# What PyTorch 2.13 raises → programs of ours that must be caught by it.
AS_IN_TORCH = [
    (RuntimeError, lambda: cr.tensor(3.0).backward()),
    (RuntimeError, lambda: cr.ones(2, requires_grad=True).backward()),
    (RuntimeError, lambda: (cr.ones(3, requires_grad=True) * 2).backward(cr.ones(2))),
    (RuntimeError, lambda: cr.tensor([1], requires_grad=True)),
    (RuntimeError, lambda: cr.tensor([1]).requires_grad_()),
    (RuntimeError, lambda: cr.ones(1, requires_grad=True).zero_()),
    (RuntimeError, lambda: cr.ones(1, requires_grad=True).numpy()),
    (RuntimeError, lambda: (cr.ones(1, requires_grad=True) * 2).requires_grad_(False)),
    (
        RuntimeError,
        lambda: cr.autograd.grad(cr.ones(1, requires_grad=True).sum(), cr.ones(1, requires_grad=True)),
    ),
    (RuntimeError, lambda: cr.ones(1).register_hook(print)),
    (RuntimeError, lambda: cr.ones(2) + cr.ones(3)),
    (RuntimeError, lambda: cr.ones(2, 3) @ cr.ones(2, 3)),
    (RuntimeError, lambda: cr.ones(6).reshape(4)),
    (RuntimeError, lambda: cr.stack([cr.ones(2), cr.ones(3)])),
    (RuntimeError, lambda: cr.cat([cr.ones(2), cr.ones(2, 2)])),
    (RuntimeError, lambda: cr.tensor([1, 2]) ** -1),
    (RuntimeError, lambda: cr.tensor([5]) // 0),
    (RuntimeError, lambda: cr.ones(2).item()),
    (RuntimeError, lambda: bool(cr.ones(2))),
    (RuntimeError, lambda: cr.ones(2).expand(3)),
    (RuntimeError, lambda: cr.zeros(-1)),
    (ValueError, lambda: cr.tensor([[1], [1, 2]])),
    (TypeError, lambda: cr.tensor("abc")),
    (TypeError, lambda: cr.ones(2) + "a"),
    (TypeError, lambda: cr.ones(2) + None),
    (TypeError, lambda: cr.sin([1.0])),
    (TypeError, lambda: len(cr.tensor(1.0))),
    (TypeError, lambda: list(cr.tensor(1.0))),
    (TypeError, lambda: cr.ones(2).sum("x")),
    (TypeError, lambda: setattr(cr.ones(1, requires_grad=True), "grad", 3.0)),
    (TypeError, lambda: f"{cr.ones(2):.2f}"),
    (TypeError, lambda: cr.tensor([1.0], dtype="float63")),
    (IndexError, lambda: cr.ones(2)[5]),
    (IndexError, lambda: cr.ones(2).sum(3)),
    (IndexError, lambda: cr.tensor(1.0)[0]),
    (IndexError, lambda: cr.zeros(0).argmax()),
    (AttributeError, lambda: cr.ones(2).foo),
    (AttributeError, lambda: cr.foo),
]


@pytest.mark.parametrize("error, program", AS_IN_TORCH, ids=range(len(AS_IN_TORCH)))
def test_the_error_is_caught_as_torchs(error, program):
    with pytest.raises(error) as info:
        program()
    assert isinstance(info.value, errors.ChainruleError)


def test_codes_are_unique():
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.ChainruleError)
    ]
    codes = [c.code for c in classes]
    assert len(set(codes)) == len(codes)


def raises_without_a_fix(root: Path) -> list[str]:
    """Each construction of one of our errors without `fix=`, as `file:line`."""
    names = {name for name in errors.__all__ if name.endswith("Error") and name != "ChainruleError"}
    found = []
    for folder in ("api", "eager", "ops", "tape"):
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                made = (
                    isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
                )
                if made and not any(k.arg == "fix" for k in node.keywords):
                    found.append(f"{path.relative_to(root)}:{node.lineno}")
    return found


def test_every_raise_says_what_to_do():
    assert raises_without_a_fix(ROOT) == []


def test_a_raise_without_a_fix_is_found(tmp_path):
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "a.py").write_text("raise ShapeError('no way out', given='x')")
    assert raises_without_a_fix(tmp_path) == ["ops/a.py:1"]


def test_an_error_shows_its_fields_in_order():
    err = errors.ShapeError("what happened", given="these", fix="do that")
    assert str(err) == "[E101] what happened\n  given: these\n  to fix it: do that"
