"""Products, truth values and short tiles: what is read lies in memory as the code that reads it believes."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.codegen.on_numpy import NumpyProgram
from chainrule.codegen.steps import Gemm, Phase
from chainrule.codegen.views import leading
from chainrule.transforms.reverse import vjp
from tests.codegen.test_program import check

RNG = np.random.default_rng(0)

# Factors that BLAS can read as they are, as a copy, or not at all, and products that are results themselves.
PRODUCTS = {
    "a product that is a result": (lambda x, w: x @ w, [(130, 20), (20, 24)]),
    "two results": (lambda x, w: (cr.sin(x) @ w, cr.sin(x)), [(130, 20), (20, 24)]),
    "left factor along the samples": (lambda w, x: w @ x, [(24, 20), (20, 130)]),
    "transposed": (lambda x, w: cr.sin(x @ w.T).sum(), [(130, 20), (24, 20)]),
    "columns backwards": (lambda x, w: cr.sin(x @ cr.flip(w, [1])).sum(), [(130, 20), (20, 24)]),
    "rows backwards": (lambda x, w: cr.sin(x @ cr.flip(w, [0])).sum(), [(130, 20), (20, 24)]),
    "every second column": (lambda x, w: cr.sin(x @ w[:, ::2]).sum(), [(130, 20), (20, 48)]),
    "every second row": (lambda x, w: cr.sin(x @ w[::2]).sum(), [(130, 20), (40, 24)]),
    "samples with every second entry": (lambda x, w: cr.sin(x[:, ::2] @ w).sum(), [(130, 40), (20, 24)]),
    "tiles backwards": (lambda x, w: cr.sin(cr.flip(cr.sin(x), [1]) @ w).sum(), [(130, 20), (20, 24)]),
    "a repeated column": (lambda x, w: cr.sin(x @ w[:, None].expand(20, 24)).sum(), [(130, 20), (20,)]),
    "repeated samples": (lambda x, w: cr.sin(x[:, None].expand(130, 20) @ w).sum(), [(130,), (20, 24)]),
    "one column": (lambda x, w: cr.sin(x @ w[:, None]).sum(), [(130, 300), (300,)]),
    "one row": (lambda x, w: cr.sin(x @ w.T).sum(), [(130, 1), (300, 1)]),
    "of two vectors": (lambda x, w: cr.sin(x[:, None] @ w[None, :]).sum(), [(130,), (300,)]),
    "over the samples": (lambda x, w: x.T @ w, [(130, 20), (130, 24)]),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("tile", [32, 96, 4096])
def test_products_of_any_layout(name, tile):
    f, shapes = PRODUCTS[name]
    args = [RNG.normal(size=s) for s in shapes]
    g = cr.graph_of(f, *args)
    check(g, args, tile=tile)
    check(vjp(g), args, rtol=1e-11, tile=tile)


@pytest.mark.parametrize("name", ["a product that is a result", "transposed", "every second column"])
def test_products_of_these_layouts_still_go_to_blas(name):
    f, shapes = PRODUCTS[name]
    plan = NumpyProgram(cr.graph_of(f, *[np.zeros(s) for s in shapes])).plan
    assert any(isinstance(k, Gemm) for s in plan.steps if isinstance(s, Phase) for k in s.kernels)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (1, 5), (5, 1), (1, 1)])
def test_the_leading_dimension_finds_every_entry(shape):
    rows, columns = shape
    memory = np.arange(400.0)
    for down in range(-8, 20):
        for across in range(-8, 20):
            how = leading(rows, columns, down, across)
            if how is None:
                continue
            letter, step = how
            assert step >= max(1, columns if letter == "N" else rows)  # else BLAS refuses
            for i in range(rows):
                for j in range(columns):
                    at = i * step + j if letter == "N" else j * step + i
                    assert memory[200 + at] == memory[200 + i * down + j * across]


@pytest.mark.parametrize("rows, most", [(192, 96), (192, 160), (256, 4096), (130, 32)])
def test_wide_kernels_of_single_precision_end_with_the_tile(rows, most):
    args = [RNG.normal(size=s).astype(np.float32) for s in [(rows, 3), (3, 4)]]
    g = cr.graph_of(lambda x, w: cr.sin(cr.sin(x) @ w).sum(), *args)
    check(g, args, rtol=1e-4, tile=most)
    check(vjp(g), args, rtol=1e-4, tile=most)


TRUTHS = {
    "all, where no entry is missing": lambda x: (x > 0.0).all(),
    "all over the samples": lambda x: (x[:, None] > cr.zeros(3)).all(0),
    "any of none": lambda x: (~(x > 0.0)).any(),
    "any over the samples": lambda x: (~(x[:, None] > cr.zeros(3))).any(0),
    "compared": lambda x: (x > 0.5) < (x > 0.9),
    "the larger": lambda x: cr.maximum(x > 0.5, x > 0.9),
    "product": lambda x: (x > 0.5) * (x > 0.9),
    "sum": lambda x: (x > 0.5) + (x > 0.9),
    "magnitude": lambda x: (x > 0.5).abs(),
    "largest": lambda x: (x > 0.5).amax(0),
    "number of": lambda x: (x > 0.5).sum(),
    "chosen": lambda x: cr.where(x > 0.5, x > 0.9, False),
    "equal": lambda x: (x > 0.5) == (x > 0.9),
    "with false ones": lambda x: cr.zeros_like(x > 0.0) | (x > 0.5),
    "as numbers": lambda x: (x > 0.5).to(cr.float64) * x,
}


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("n", [1, 7, 64, 101])
def test_truth_values(name, n):
    x = RNG.uniform(0.1, 1.5, size=n)
    check(cr.graph_of(TRUTHS[name], x), [x], tile=32)
