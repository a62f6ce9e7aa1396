"""Operations on one element at a time, in C: what {0} + {1} is called in PyTorch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Node

from bnviz.compile.choices import CHOICE
from bnviz.compile.operations import Context, operation
from bnviz.compile.values import Value, converted, mapped, spread

__all__ = ["POINTWISE", "Form", "choice", "clamped", "pointwise", "power"]


@dataclass(frozen=True)
class Form:
    """How an operation is written.

    Attributes:
        code: C, with {0}, {1}, ... for the arguments.
        computes: the format that arguments are converted to: "result", that of the result;
            "arguments", the one that holds all of them; "float", at least a floating-point one.
        cost: roughly, in additions.
    """

    code: str
    computes: str = "result"
    cost: int = 1


def _float(code: str, cost: int = 8) -> Form:
    return Form(code, "float", cost)


def _compare(sign: str) -> Form:
    return Form(f"({{0}} {sign} {{1}})", "arguments")


POINTWISE = {
    "add": Form("({0} + {1})"),
    "sub": Form("({0} - {1})"),
    "mul": Form("({0} * {1})"),
    "div": _float("({0} / {1})", 4),
    "neg": Form("(-{0})"),
    "abs": Form("absolute({0})"),
    "reciprocal": _float("(1 / {0})", 4),
    "sqrt": _float("root({0})", 4),
    "rsqrt": _float("(1 / root({0}))", 8),
    "exp": _float("exponential({0})"),
    "log": _float("logarithm({0})"),
    "log10": _float("logarithm10({0})"),
    "sin": _float("sine({0})"),
    "cos": _float("cosine({0})"),
    "atan": _float("arctangent({0})"),
    "tanh": _float("hyperbolic({0})"),
    "sigmoid": _float("logistic({0})"),
    "relu": Form("({0} < 0 ? 0 : {0})"),  # NaN stays
    "floor": _float("down({0})", 1),
    "ceil": _float("up({0})", 1),
    "round": _float("nearest({0})", 1),  # halves to the even number
    "remainder": Form("remains({0}, {1})", cost=8),
    "minimum": Form("lesser({0}, {1})"),
    "maximum": Form("greater({0}, {1})"),
    "lt": _compare("<"),
    "le": _compare("<="),
    "gt": _compare(">"),
    "ge": _compare(">="),
    "eq": _compare("=="),
    "ne": _compare("!="),
    "isnan": Form("({0} != {0})", "arguments"),
    "bitwise_and": Form("({0} & {1})"),
    "bitwise_or": Form("({0} | {1})"),
    "bitwise_xor": Form("({0} ^ {1})"),
    "bitwise_not": Form("(~{0})"),
    "__rshift__": Form("({0} >> {1})"),
    "__lshift__": Form("({0} << {1})"),
}


@operation(*POINTWISE)
def pointwise(ctx: Context, *given, alpha=1, **_) -> Value:
    """An operation of the table on arrays that are spread to one shape."""
    form, shape = POINTWISE[ctx.name], ctx.shape
    arguments = [a for a in given if not isinstance(a, str)]
    dtype = _computed_in(form, ctx.dtype, arguments)
    values = [ctx.spread(ctx.value(a, dtype), shape) for a in arguments]
    code = form.code
    if ctx.name == "bitwise_not" and ctx.dtype == torch.bool:
        code = "(!{0})"
    if alpha != 1:  # a + alpha * b
        values[1] = mapped(f"({{0}} * {alpha})", dtype, shape, values[1:], 1, dtype)
    return mapped(code, ctx.dtype, shape, values, form.cost, dtype)


def _computed_in(form: Form, result: torch.dtype, arguments: list[Any]) -> torch.dtype:
    """The format in which an operation computes: numbers give way to arrays, as in PyTorch."""
    if form.computes == "result":
        return result
    values = [a.meta.get("val") for a in arguments if isinstance(a, Node)]
    found, *rest = [v.dtype for v in values if isinstance(v, torch.Tensor)]
    for dtype in rest:
        found = torch.promote_types(found, dtype)
    fractions = any(isinstance(a, float) for a in arguments)
    if (form.computes == "float" or fractions) and not found.is_floating_point:
        return torch.float32
    return found


_POWERS = {
    **{1: "{0}", 2: "({0} * {0})", 3: "({0} * {0} * {0})", 0.5: "root({0})"},
    **{-0.5: "(1 / root({0}))", -1: "(1 / {0})", -2: "(1 / ({0} * {0}))"},
}


@operation("pow")
def power(ctx: Context, base, exponent) -> Value:
    """base ** exponent; the usual exponents need no logarithm."""
    shape, dtype = ctx.shape, ctx.dtype
    if not isinstance(exponent, Node) and exponent in _POWERS:
        x = ctx.spread(ctx.value(base), shape)
        return mapped(_POWERS[exponent], dtype, shape, [x], 2, dtype)
    values = [ctx.spread(ctx.value(a, dtype), shape) for a in (base, exponent)]
    return mapped("power({0}, {1})", dtype, shape, values, 20, dtype)


@operation("where")
def choice(ctx: Context, condition, a, b) -> Value:
    """a where the condition holds, else b."""
    shape, dtype = ctx.shape, ctx.dtype
    c, x, y = (ctx.spread(ctx.value(v, dtype), shape) for v in (condition, a, b))
    x, y = converted(x, dtype), converted(y, dtype)
    return mapped(CHOICE, dtype, shape, [c, x, y], 1)


@operation("clamp")
def clamped(ctx: Context, x, low=None, high=None) -> Value:
    """x, but not below low nor above high; NaN stays."""
    v, dtype = ctx.value(x), ctx.dtype
    for bound, code in ((low, "greater({0}, {1})"), (high, "lesser({0}, {1})")):
        if bound is not None:
            b = spread(ctx.value(bound, dtype), v.shape)
            v = mapped(code, dtype, v.shape, [v, b], 1, dtype)
    return v
