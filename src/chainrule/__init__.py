"""chainrule: exact gradients of Python functions, fast, that can say where they come from.

>>> import chainrule as cr
>>> w = cr.tensor(1.0, requires_grad=True)
>>> L = 4 * w + w**3
>>> L.backward()
>>> w.grad
tensor(7.)
"""

import math as _math

import numpy as _np

from chainrule import autograd as autograd
from chainrule import cuda as cuda
from chainrule import func as func
from chainrule import linalg as linalg
from chainrule import nn as nn
from chainrule import special as special
from chainrule import utils as utils
from chainrule.api.checkpoint import checkpoint as checkpoint
from chainrule.api.compiled import compile as compile
from chainrule.api.custom_rule import custom_rule as custom_rule
from chainrule.api.gradient import grad as grad
from chainrule.api.gradient import value_and_grad as value_and_grad
from chainrule.api.hessian import hessian as hessian
from chainrule.api.jacobian import jacfwd as jacfwd
from chainrule.api.jacobian import jacobian as jacobian
from chainrule.api.jacobian import jacrev as jacrev
from chainrule.api.products import hvp as hvp
from chainrule.api.products import jvp as jvp
from chainrule.api.products import vjp as vjp
from chainrule.codegen.threads import get_num_threads as get_num_threads
from chainrule.codegen.threads import set_num_threads as set_num_threads
from chainrule.eager.formatting import set_printoptions as set_printoptions
from chainrule.eager.tensor import NOTE as _NOTE
from chainrule.eager.tensor import Tensor as Tensor
from chainrule.errors import ChainruleError as ChainruleError
from chainrule.errors import GradientNote as GradientNote
from chainrule.ops import return_types as return_types
from chainrule.ops.array import *  # noqa: F403
from chainrule.ops.contract import *  # noqa: F403
from chainrule.ops.creation import *  # noqa: F403
from chainrule.ops.device import device as device
from chainrule.ops.diagonals import *  # noqa: F403
from chainrule.ops.elementwise import *  # noqa: F403
from chainrule.ops.index import *  # noqa: F403
from chainrule.ops.join import *  # noqa: F403
from chainrule.ops.norm import *  # noqa: F403
from chainrule.ops.queries import *  # noqa: F403
from chainrule.ops.random_numbers import *  # noqa: F403
from chainrule.ops.reduce import *  # noqa: F403
from chainrule.ops.repeat import *  # noqa: F403
from chainrule.ops.scan import *  # noqa: F403
from chainrule.ops.scatter import *  # noqa: F403
from chainrule.ops.select import *  # noqa: F403
from chainrule.ops.softmax import *  # noqa: F403
from chainrule.ops.sort import *  # noqa: F403
from chainrule.ops.special import *  # noqa: F403
from chainrule.ops.split import *  # noqa: F403
from chainrule.ops.statistics import *  # noqa: F403
from chainrule.source import boundary as _boundary
from chainrule.tape.modes import enable_grad as enable_grad
from chainrule.tape.modes import inference_mode as inference_mode
from chainrule.tape.modes import is_grad_enabled as is_grad_enabled
from chainrule.tape.modes import is_inference_mode_enabled as is_inference_mode_enabled
from chainrule.tape.modes import no_grad as no_grad
from chainrule.tape.modes import set_grad_enabled as set_grad_enabled
from chainrule.tape.promote import get_default_dtype as get_default_dtype
from chainrule.tape.promote import set_default_dtype as set_default_dtype
from chainrule.tape.provenance import provenance as provenance
from chainrule.testing.gradcheck import check_grad as check_grad
from chainrule.testing.gradcheck import gradcheck as gradcheck
from chainrule.testing.gradcheck import gradgradcheck as gradgradcheck

__version__ = "0.1.0"

float64 = double = _np.dtype(_np.float64)
float32 = float = _np.dtype(_np.float32)
complex128 = cdouble = _np.dtype(_np.complex128)
complex64 = cfloat = _np.dtype(_np.complex64)
int64 = long = _np.dtype(_np.int64)
int32 = int = _np.dtype(_np.int32)
uint8 = _np.dtype(_np.uint8)
bool = _np.dtype(_np.bool_)
pi, e, inf, nan = _math.pi, _math.e, _math.inf, _math.nan

# What explains is imported when it is first asked for: it costs more than computing.
_LAZY = {
    "explain": "chainrule.insight.explain",
    "why": "chainrule.insight.why",
    "graph": "chainrule.insight.picture",
    "graph_of": "chainrule.record.graph_of",
    "minimize": "chainrule.optim",
    "linearize": "chainrule.api.linear",
    "vmap": "chainrule.api.batched",
    "load": "chainrule.eager.saving",
    "save": "chainrule.eager.saving",
    "plot": "chainrule.insight.plots",
    "plot_descent": "chainrule.optim.picture",
}


def _note(t: Tensor) -> str | None:
    """What `insight` has to say on reading `.grad` of a computed tensor."""
    from chainrule.insight.note import note

    return note(t)


_NOTE.append(_note)


@_boundary
def __getattr__(name: str) -> object:
    import importlib
    from difflib import get_close_matches

    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in ("insight", "draw", "testing", "ir", "transforms", "optim", "learn"):
        return importlib.import_module(f"chainrule.{name}")
    from chainrule.errors import UnsupportedError

    near = get_close_matches(name, [n for n in [*globals(), *_LAZY] if not n.startswith("_")], 1, cutoff=0.8)
    fix = f"did you mean {near[0]!r}?" if near else "see dir(chainrule) for what is there"
    raise UnsupportedError(f"chainrule has no {name!r}", fix=fix)
