"""Arguments and results that are dicts, lists, tuples, named tuples or dataclasses of tensors.

A single tensor, array or number is a tree with one leaf, whose structure is None: optree is imported for the others
only. Structures are optree's: dicts in the order of their keys, None without leaves.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dispatch import Handle
from chainrule.errors import ArgumentError

NAMESPACE = (
    "chainrule"  # where dataclasses are registered with optree; what users register globally is seen too
)
_NUMBERS = (Handle, np.ndarray, float, int, complex, np.generic)


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Leaves of a tree and its structure; the structure of a single leaf is None."""
    if isinstance(tree, _NUMBERS):
        return [tree], None
    import optree

    leaves, spec = optree.tree_flatten(tree, namespace=NAMESPACE)
    if any(_register(type(v)) for v in leaves):
        return flatten(tree)
    return leaves, None if spec.is_leaf() else spec


def unflatten(spec: Any, leaves: Sequence[Any]) -> Any:
    """The tree with these leaves."""
    if spec is None:
        return leaves[0]
    import optree

    return optree.tree_unflatten(spec, leaves)


def taken_apart(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Leaves of a tree, and what builds it of others; without optree where it is of tuples, lists and dicts by name."""
    leaves: list[Any] = []
    text = _as_python(tree, leaves)
    if text is not None:
        return leaves, eval(f"lambda leaves: {text}")
    leaves, spec = flatten(tree)
    return leaves, functools.partial(unflatten, spec)


def _as_python(tree: Any, leaves: list[Any]) -> str | None:
    """How Python writes a tree of `leaves[k]`, which are collected; None for a tree that only optree knows."""
    if isinstance(tree, _NUMBERS):
        leaves.append(tree)
        return f"leaves[{len(leaves) - 1}]"
    if tree.__class__ not in (tuple, list, dict):
        return None
    parts = [_as_python(v, leaves) for v in (tree.values() if tree.__class__ is dict else tree)]
    if None in parts or (tree.__class__ is dict and not all(k.__class__ is str for k in tree)):
        return None
    if tree.__class__ is dict:
        return "{" + ", ".join(f"{k!r}: {part}" for k, part in zip(tree, parts, strict=True)) + "}"
    inside = "".join(f"{part}, " for part in parts)
    return f"[{inside}]" if tree.__class__ is list else f"({inside})"


def flatten_like(spec: Any, tree: Any, what: str) -> list[Any]:
    """The parts of `tree` that stand where a tree of structure `spec` has its leaves; `what` names it in the error."""
    if spec is None:
        return [tree]
    flatten(tree)  # registers the dataclasses in it
    try:
        return spec.flatten_up_to(tree)
    except (ValueError, TypeError):
        raise ArgumentError(
            f"the {what} is not built like what it belongs to", given=f"{_shape(tree)} for {spec_text(spec)}",
            fix="build it of the same dicts, lists and tuples, with the same keys and lengths",
        ) from None  # fmt: skip


def paths(spec: Any, root: str = "") -> list[str]:
    """How each leaf is reached, as Python writes it: `x['w'][0]`."""
    if spec is None:
        return [root]
    import optree

    return [a.codify(root) for a in optree.treespec_accessors(spec)]


def spec_text(spec: Any) -> str:
    """A structure for people, its leaves as `*`."""
    text = str(spec).removeprefix("PyTreeSpec(").removesuffix(")")
    return text.replace(f", namespace='{NAMESPACE}'", "")


def _shape(tree: Any) -> str:
    leaves, spec = flatten(tree)
    return f"a {type(tree).__name__}" if spec is None or not leaves else spec_text(spec)


def _register(cls: Any) -> bool:
    """Make optree see into a dataclass; False if it does already, or if the class is none."""
    if not dataclasses.is_dataclass(cls):
        return False
    import optree

    make: Any = cls
    fields = [f for f in dataclasses.fields(cls) if f.init]
    inside = [f.name for f in fields if f.metadata.get("pytree_node", True)]
    fixed = [f.name for f in fields if f.name not in inside]

    def split(x: Any) -> tuple[list[Any], Any, list[str]]:
        return [getattr(x, n) for n in inside], tuple((n, getattr(x, n)) for n in fixed), inside

    def join(rest: Any, children: Any) -> Any:
        return make(**dict(zip(inside, children, strict=True)), **dict(rest))

    try:
        optree.register_pytree_node(
            make, split, join, path_entry_type=optree.GetAttrEntry, namespace=NAMESPACE
        )
    except ValueError:  # another thread was first
        pass
    return True


__all__ = ["flatten", "flatten_like", "paths", "spec_text", "taken_apart", "unflatten"]
