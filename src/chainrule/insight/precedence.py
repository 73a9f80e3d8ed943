"""How tightly an expression holds together, and how tightly its place needs it to: where parentheses go."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from string import Template

# An expression that is looser than its place gets parentheses.
LOGIC, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(7)
_OPERATORS: dict[type, int] = {ast.Add: SUM, ast.Sub: SUM, ast.Pow: POWER}


@cache
def text_levels(template: str) -> tuple[int, dict[str, int]]:
    """Level of a template, and the level that each placeholder needs: read from Python's own grammar."""
    names = Template(template).get_identifiers()
    tree = ast.parse(Template(template).substitute({n: n for n in names}), mode="eval").body
    needed: dict[str, int] = dict.fromkeys(names, LOGIC)
    for node in ast.walk(tree):
        for child, level in _children(node):
            if isinstance(child, ast.Name) and child.id in needed:
                needed[child.id] = max(needed[child.id], level)
    return _level(tree), needed


def _level(node: ast.AST) -> int:
    if isinstance(node, ast.BinOp):
        return _OPERATORS.get(type(node.op), PRODUCT)
    if isinstance(node, ast.UnaryOp):
        return LOGIC if isinstance(node.op, ast.Not) else SIGN
    if isinstance(node, ast.BoolOp | ast.IfExp | ast.Lambda):
        return LOGIC
    return COMPARISON if isinstance(node, ast.Compare) else ATOM


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Operands of a node with the level that each place needs."""
    if isinstance(node, ast.BinOp):
        level = _level(node)
        yield node.left, ATOM if level == POWER else level
        yield node.right, {SUM: PRODUCT, PRODUCT: POWER, POWER: SIGN}[level]
    elif isinstance(node, ast.UnaryOp):
        yield node.operand, COMPARISON if isinstance(node.op, ast.Not) else POWER
    elif isinstance(node, ast.BoolOp):
        yield from ((v, COMPARISON) for v in node.values)
    elif isinstance(node, ast.Compare):
        yield from ((c, SUM) for c in (node.left, *node.comparators))
    elif isinstance(node, ast.Subscript | ast.Attribute):
        yield node.value, ATOM


def level_of(name: str) -> int:
    """Level of a name that was given: it may be an expression."""
    if name.isidentifier():
        return ATOM
    try:
        return _level(ast.parse(name, mode="eval").body)
    except SyntaxError:
        return ATOM


_OPEN = re.compile(r"\\left\\[a-zA-Z]+|\\left.|\\begin\{cases\}|[{(\[]")
_CLOSE = re.compile(r"\\right\\[a-zA-Z]+|\\right.|\\end\{cases\}|[})\]]")


@cache
def latex_levels(template: str) -> tuple[int, dict[str, int]]:
    """Level of a LaTeX template, and the level that each placeholder needs where it stands."""
    needed: dict[str, int] = {}
    groups: list[list[str]] = [[]]
    finished: list[list[str]] = []
    at = 0
    normal = re.sub(r"\$\{(\w+)\}", r"$\1 ", template)
    while at < len(normal):
        if found := _OPEN.match(normal, at):
            groups.append([])
        elif found := _CLOSE.match(normal, at):
            finished.append(groups.pop())
            groups[-1].append("group")
        else:
            found = re.compile(r"\$[a-z]+|\\[a-zA-Z]+|.").match(normal, at)
            assert found is not None
            groups[-1].append(found[0])
        at = found.end()
    for tokens in [*finished, groups[0]]:
        _needs("".join(f" {t} " if t[0] in "\\$g" else t for t in tokens), needed)
    top = " ".join(groups[0])
    return _latex_level(top), needed


def _latex_level(top: str) -> int:
    """Level of what stands outside of all brackets."""
    words = [w for w in top.split(" ") if w]
    if any(w in (r"\land", r"\lor", r"\lnot") for w in words):
        return LOGIC
    if any(w in ("=", "<", ">", r"\le", r"\ge", r"\ne", r"\begin") for w in words):
        return COMPARISON
    if words[0] == "-" or "+" in words or "-" in words:
        return SIGN if words[0] == "-" and not {"+", "-"} & set(words[1:]) else SUM
    if "^" in words:
        return POWER
    if any(w in (r"\cdot", r"\bmod", r"\frac", r"\sum", r"\prod", r"\max", r"\min") for w in words):
        return PRODUCT
    places = [w for w in words if w.startswith("$")]
    return ATOM if words == places[:1] else PRODUCT if places else POWER


def _needs(group: str, needed: dict[str, int]) -> None:
    """Levels for the placeholders of one bracket, by what stands next to them."""
    words = group.split()
    alone = not any(w in "+-=<>^" or w.startswith("\\") for w in words if w != ",")
    alone = alone and all("," in (a, b) for a, b in pairwise(words))
    for k, word in enumerate(words):
        if not word.startswith("$"):
            continue
        after, before = words[k + 1 : k + 2], words[k - 1 : k]
        if after and after[0][0] in "^_":
            level = ATOM
        elif alone:
            level = LOGIC
        elif set(words) & {r"\land", r"\lor", r"\lnot"}:
            level = COMPARISON
        elif set(words) & {"=", "<", ">", r"\le", r"\ge", r"\ne", "&"}:
            level = SUM if "&" not in words else LOGIC
        elif "+" in words or "-" in words[1:]:
            level = PRODUCT if before == ["-"] else SUM
        else:
            level = POWER if k else PRODUCT
        needed[word[1:]] = max(needed.get(word[1:], LOGIC), level)
