"""Calls of the functions in `kernels.c`, each of which exists for some formats."""

from bnviz.compile.expressions import C_TYPE
from bnviz.compile.operations import Context
from bnviz.compile.sizes import Size
from bnviz.compile.values import Value

__all__ = ["called"]

_FLOATS = ("float", "double")
_FORMATS = {
    "softmax": _FLOATS,
    "log_softmax": _FLOATS,
    "product": _FLOATS,
    "product_turned": _FLOATS,
    "cumulate": (*_FLOATS, "int64_t"),
    "argmax": (*_FLOATS, "int64_t"),
    "scatter": (*_FLOATS, "int64_t", "uint8_t"),
    "scatter_add": (*_FLOATS, "int64_t"),
    "sort_columns": ("float",),
}


def called(ctx: Context, function: str, x: Value, *given: str | Size) -> str:
    """Such as float_softmax(B, 10, {0}, {1}) for arrays in the format of x.

    Raises:
        Unsupported: there is none for this format.
    """
    if C_TYPE[x.dtype] not in _FORMATS[function]:
        raise ctx.refused(f"{x.dtype} is not supported; convert to torch.float32")
    arguments = [g.code() if isinstance(g, Size) else g for g in given]
    return f"{C_TYPE[x.dtype]}_{function}({', '.join(arguments)})"
