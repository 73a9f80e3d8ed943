"""The operations that chainrule promises, under torch's names, and where they lie in PyTorch's `op_db`."""

from __future__ import annotations

UNARY = """abs acos acosh asin asinh atan atanh ceil clamp cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor
    frac lgamma log log10 log1p log2 logit nan_to_num neg positive rad2deg reciprocal round rsqrt sgn sigmoid sign sin
    sinc sinh sqrt square tan tanh trunc polygamma"""
SPECIAL = """entr erfcx ndtr log_ndtr i0 i0e i1 i1e xlog1py zeta bessel_j0 bessel_j1 gammainc betaln multigammaln
    logsumexp"""
BINARY = """add atan2 copysign div eq float_power fmax fmin fmod ge gt hypot ldexp le lerp logaddexp logaddexp2 lt max
    maximum min minimum mul ne pow remainder rsub sub true_divide where xlogy addcmul addcdiv heaviside isclose
    masked_fill"""
REDUCTIONS = """all amax amin any argmax argmin count_nonzero cummax cummin cumprod cumsum logcumsumexp logsumexp mean
    median nanmean nansum norm prod std std_mean sum trapezoid cumulative_trapezoid var var_mean softmax log_softmax
    softmin normalize dist aminmax quantile diff gradient"""
SHAPES = """atleast_1d atleast_2d atleast_3d block_diag broadcast_to broadcast_tensors cat chunk column_stack diag
    diag_embed diagonal expand expand_as flatten flip fliplr flipud hstack vstack kron meshgrid movedim narrow permute
    ravel repeat repeat_interleave reshape roll rot90 split hsplit vsplit squeeze stack swapaxes t T mT tile transpose
    tril triu unbind unflatten unfold unsqueeze view pad clone cartesian_prod"""
INDEXING = """__getitem__ __setitem__ gather scatter scatter_add scatter_reduce index_add index_copy index_fill
    index_put index_select masked_select select_scatter slice_scatter take take_along_dim argsort sort msort topk
    kthvalue searchsorted bucketize nonzero unique"""
SMALL = """allclose equal isnan isinf isfinite numel size dim float double long int type device dot save load
    set_printoptions LongTensor FloatTensor"""

NAMES = " ".join((UNARY, SPECIAL, BINARY, REDUCTIONS, SHAPES, INDEXING, SMALL)).split()

# Where torch has the name: these places, and `nn.functional` for what is nowhere else.
PLACES = ("", "Tensor", "special")
FUNCTIONAL = ("softmin", "normalize", "pad")
NOT_IN_TORCH = {"betaln": "SciPy's name: log Γ(a) + log Γ(b) - log Γ(a + b)"}

# Names that are not there, each with the reason that its error gives.
REFUSED: dict[str, str] = {}
