"""Complex numbers: real and imaginary part, conjugate. All are linear over the real numbers."""

# Note [Complex derivatives]
# The inner product is ⟨a, b⟩ = Re Σ āb, as in torch: the gradient of a real L with respect to z = x + iy is
# ∂L/∂x + i ∂L/∂y. A transpose below is the one of that product. Partials of holomorphic functions are
# conjugated by
# their reader (transforms/derive.py); what is not holomorphic (abs, norm) is computed from the parts:
# `on_complex`.

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.table.primitive import Linear, Primitive, register


def _real_type(x: Any) -> Any:
    return type(x)(x.shape, np.empty(0, x.dtype).real.dtype)


def _imag_transpose(emit: Any, ct: Any, x: Any) -> Any:
    """⟨ct, Im t⟩ = Re Σ ct·(-i)t = ⟨i·ct, t⟩; the imaginary part of a real number is 0."""
    if x.dtype.kind != "c":
        return emit("zeros", shape=x.shape, dtype=x.dtype)
    return emit("mul", emit("cast", ct, dtype=x.dtype), 1j)


_SAMPLES = (dict(shapes=[(3,)]), dict(shapes=[(2, 0)]))

real = register(
    Primitive(
        name="real",
        inputs=("x",),
        value=lambda x: np.real(x) + 0,
        type_rule=_real_type,
        rule=Linear(transpose={"x": lambda emit, ct, x: emit("cast", ct, dtype=x.dtype)}),
        text="real($x)",
        latex=r"\operatorname{Re} $x",
        doc="Real part.",
        samples=_SAMPLES,
        source="linear over ℝ; the transpose makes a real number complex",
    )
)
imag = register(
    Primitive(
        name="imag",
        inputs=("x",),
        value=lambda x: np.imag(x) + 0,
        type_rule=_real_type,
        rule=Linear(transpose={"x": _imag_transpose}),
        text="imag($x)",
        latex=r"\operatorname{Im} $x",
        doc="Imaginary part.",
        samples=_SAMPLES,
        source="linear over ℝ; the transpose multiplies by i",
    )
)
conj = register(
    Primitive(
        name="conj",
        inputs=("x",),
        value=np.conjugate,
        type_rule=lambda x: x,
        rule=Linear(transpose={"x": lambda emit, ct, x: emit("conj", ct)}),
        text="conj($x)",
        latex=r"\overline{$x}",
        doc="Complex conjugate.",
        samples=_SAMPLES,
        source="linear over ℝ, and its own transpose",
    )
)
