"""`weight-scale`: what comes out of a layer, and what goes back, when its weights grow by a factor.

In float64: a residue of 1e-9 is part of the picture, and float32 rounds at 1e-7.
"""

from functools import cache

import torch
from torch import Tensor

from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.maths.data import digits
from bnviz.maths.moments import moments, normalise
from bnviz.templates.weight_scale import FACTORS, weight_scale

__all__ = ["WEIGHT_SCALE", "layer"]

EXAMPLES, INPUTS, UNITS = 64, 64, 12
UNIT = 0  # whose outputs are drawn
FLOOR = 1e-12  # smaller residues are drawn here


@cache
def layer() -> tuple[Tensor, Tensor, Tensor]:
    """u (m, inputs): ReLU units of an untrained layer; W (units, inputs); dL/dy (m, units)."""
    x = digits().x_train[:EXAMPLES].double()
    seed = torch.tensor(0)
    first = prng.normal((INPUTS, x.shape[1]), seed, stream=0).double() / x.shape[1] ** 0.5
    w = prng.normal((UNITS, INPUTS), seed, stream=1).double() / INPUTS**0.5
    upstream = prng.normal((EXAMPLES, UNITS), seed, stream=2).double()
    return torch.relu(x @ first.T), w, upstream


def _scaled(a: Tensor, eps: Tensor) -> dict[str, Tensor]:
    """For every factor in `a` (k,): outputs and gradients of y = (aW)u and of y = BN((aW)u)."""
    inputs, weight, upstream = layer()
    found = {}
    with torch.enable_grad():
        w = (a.reshape(-1, 1, 1) * weight).requires_grad_()  # (k, units, inputs)
        u = (torch.ones_like(a).reshape(-1, 1, 1) * inputs).requires_grad_()  # (k, m, inputs)
        z = u @ w.transpose(1, 2)  # (k, m, units)
        for name, y in (("plain", z), ("bn", normalise(z, 1, eps))):
            du, dw = torch.autograd.grad((y * upstream).sum(), (u, w), retain_graph=True)
            norms = {"y": y.detach(), "du": _norm(du), "dw": _norm(dw)}
            found |= {f"{name}_{k}": v for k, v in norms.items()}
    return found


def _norm(v: Tensor) -> Tensor:
    return (v**2).sum((1, 2)).sqrt()  # (k,)


def compute(a: Tensor, eps: Tensor) -> dict[str, Tensor]:
    """Everything relative to the same layer with a = 1: at a, and over the whole range of a."""
    eps = eps.double()
    factors = torch.cat([torch.tensor(FACTORS), a.double().reshape(1)])  # (k,), a is the last
    now, one = _scaled(factors, eps), _scaled(torch.ones(1, dtype=torch.float64), eps)
    outputs = {}
    for name in ("plain", "bn"):
        outputs[f"{name}_x"] = one[f"{name}_y"][0, :, UNIT]
        outputs[f"{name}_y"] = now[f"{name}_y"][-1, :, UNIT]
        for side in ("du", "dw"):
            ratio = now[f"{name}_{side}"] / one[f"{name}_{side}"]  # (k,)
            outputs |= _curve(f"{name}_{side}", torch.log10(ratio))
            outputs[f"{name}_{side}_ratio"] = ratio[-1]
    moved = (now["bn_y"] - one["bn_y"]).abs().amax((1, 2))
    inverse = (now["bn_dw"] / one["bn_dw"] * factors - 1).abs()
    for name, residue in (("output", moved), ("inverse", inverse)):
        outputs |= _curve(f"{name}_residue", torch.log10(residue.clamp(min=FLOOR)))
        outputs[f"{name}_off"] = residue[-1]
    outputs["predicted"] = torch.log10(_predicted(factors, eps).clamp(min=FLOOR))[:-1]
    outputs["at"] = torch.log10(factors[-1:])
    return {k: v.float() for k, v in outputs.items()}


def _curve(name: str, values: Tensor) -> dict[str, Tensor]:
    return {name: values[:-1], f"{name}_now": values[-1:]}


def _predicted(factors: Tensor, eps: Tensor) -> Tensor:
    """Largest |BN((aW)u) - BN(Wu)| in closed form: scaling by a turns eps into eps / a^2."""
    u, w, _ = layer()
    z = u @ w.T
    mean, var = moments(z, 0)
    scaled = torch.rsqrt(var + (eps / factors**2).unsqueeze(1))  # (k, units)
    return ((scaled - torch.rsqrt(var + eps)).abs() * (z - mean).abs().amax(0)).amax(1)


def _bindings() -> tuple[Binding, ...]:
    bindings = [Binding("predicted", "predicted", "y")]
    for name in ("plain", "bn"):
        bindings += [Binding(f"{name}_{k}", f"{name}-output", k) for k in "xy"]
        for side in ("du", "dw"):
            bindings += _curve_bindings(f"{name}_{side}")
    for name in ("output", "inverse"):
        bindings += _curve_bindings(f"{name}_residue")
    return tuple(bindings)


def _curve_bindings(output: str) -> list[Binding]:
    uid = output.replace("_", "-")
    return [
        Binding(output, uid, "y"),
        Binding("at", f"{uid}-now", "x"),
        Binding(f"{output}_now", f"{uid}-now", "y"),
    ]


WEIGHT_SCALE = Explorer(
    name="weight-scale",
    title="Multiply the weights by a",
    caption=(
        "One linear layer with weights aW, without BN and with BN behind it, on 64 digits. Every "
        "panel compares it with the same layer at a = 1. Top left: one unit's 64 outputs; on the "
        "diagonal nothing has changed. The curves show the whole range of a, the dots stand at "
        "your a. Bottom right: what ε leaves of “exactly”."
    ),
    controls=(
        Slider("a", "weight scale a", 0.001, 1000, 3.1622777, 0.1, scale="log10", format=".3g"),
        Slider("eps", "ε", 1e-8, 1, 1e-5, 0.25, scale="log10", format=".1e"),
    ),
    compute=compute,
    figure=weight_scale(EXAMPLES, FLOOR),
    bindings=_bindings(),
    readout=(
        "a = {a:.3g}. With BN the output moves by at most {output_off:.1e}; gradient towards u "
        "× {bn_du_ratio:.3g}, gradient of W × {bn_dw_ratio:.3g}, which is 1/a up to a share of "
        "{inverse_off:.1e}. Without BN: gradient towards u × {plain_du_ratio:.3g}, gradient of W "
        "× {plain_dw_ratio:.3g}."
    ),
)
