"""Operations on one element at a time, in C: what {0} + {1} is called in PyTorch."""

from dataclasses import dataclass

import torch

__all__ = ["POINTWISE", "Form"]


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
    "pow": _float("power({0}, {1})", 20),
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


def computed_in(form: Form, result: torch.dtype, arguments: list[torch.dtype]) -> torch.dtype:
    """The format in which an operation computes."""
    if form.computes == "result":
        return result
    found = arguments[0]
    for dtype in arguments[1:]:
        found = torch.promote_types(found, dtype)
    if form.computes == "float" and not found.is_floating_point:
        return torch.float32
    return found
