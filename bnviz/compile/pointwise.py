"""Operations on one element at a time, in C: what {0} + {1} is called in PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Node

from bnviz.compile.choices import CHOICE
from bnviz.compile.operations import Context, operation
from bnviz.compile.values import Value, converted, mapped

__all__ = ["POINTWISE", "Form", "choice", "clamped", "floored", "pointwise", "power", "quotient"]


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
    "floor": Form("down({0})"),
    "ceil": Form("up({0})"),
    "round": Form("nearest({0})"),  # halves to the even number
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
    "logical_not": Form("(!{0})", "arguments"),
    "logical_and": Form("({0} && {1})", "arguments"),
    "logical_or": Form("({0} || {1})", "arguments"),
    "bitwise_and": Form("({0} & {1})"),
    "bitwise_or": Form("({0} | {1})"),
    "bitwise_xor": Form("({0} ^ {1})"),
    "bitwise_not": Form("(~{0})"),
    "__rshift__": Form("({0} >> {1})"),
    "__lshift__": Form("({0} << {1})"),
}

_TRUTHS = {"add": Form("({0} | {1})"), "bitwise_not": Form("(!{0})")}  # 1 + 1 is no truth


@operation(*POINTWISE)
def pointwise(ctx: Context, *given, alpha=1) -> Value:
    """An operation of the table on arrays that are spread to one shape."""
    form = POINTWISE[ctx.name]
    if ctx.dtype == torch.bool and ctx.name in _TRUTHS:
        form = _TRUTHS[ctx.name]
    return _formed(ctx, form, given, alpha)


def _formed(ctx: Context, form: Form, given: Sequence[Any], alpha=1) -> Value:
    dtype = _computed_in(form, ctx.dtype, given)
    values = [ctx.spread(ctx.value(a, dtype), ctx.shape) for a in given]
    if alpha != 1:  # a + alpha * b
        values[1] = mapped(
            "({0} * {1})", dtype, ctx.shape, [values[1], _like(ctx, alpha, dtype)], 1, dtype
        )
    return mapped(form.code, ctx.dtype, ctx.shape, values, form.cost, dtype)


def _like(ctx: Context, x, dtype: torch.dtype) -> Value:
    return ctx.spread(ctx.value(x, dtype), ctx.shape)


def _computed_in(form: Form, result: torch.dtype, given: Sequence[Any]) -> torch.dtype:
    """The format in which an operation computes: numbers give way to arrays, as in PyTorch."""
    if form.computes == "result":
        return result
    values = [a.meta["val"] if isinstance(a, Node) else a for a in given]
    found = torch.result_type(values[0], values[-1])
    return found if form.computes == "arguments" or found.is_floating_point else torch.float32


_QUOTIENTS = {
    None: _float("({0} / {1})", 4),
    "floor": Form("floored({0}, {1})", cost=8),
    "trunc": Form("towards_zero({0} / {1})", cost=4),
}


@operation("div")
def quotient(ctx: Context, a, b, *, rounding_mode=None) -> Value:
    """a / b, as it is or rounded to a whole number."""
    return _formed(ctx, _QUOTIENTS[rounding_mode], (a, b))


@operation("floor_divide")
def floored(ctx: Context, a, b) -> Value:
    """a // b."""
    return quotient(ctx, a, b, rounding_mode="floor")


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
            v, b = (ctx.spread(x, ctx.shape) for x in (v, ctx.value(bound, dtype)))
            v = mapped(code, dtype, ctx.shape, [v, b], 1, dtype)
    return v
