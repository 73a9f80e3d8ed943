"""torch.autograd.function's names."""

from chainrule.api.function import Function, FunctionCtx, once_differentiable

__all__ = ["Function", "FunctionCtx", "once_differentiable"]
