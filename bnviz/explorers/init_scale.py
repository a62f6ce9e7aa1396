"""`init-scale`: an untrained network of up to 50 layers, signals forward and gradients backward.

In float64, with weights made by exact arithmetic (`_uniform` says why).
"""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from bnviz.explorers import _uniform
from bnviz.explorers._uniform import exactly
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.moments import normalise
from bnviz.maths.nets import ACTIVATIONS, activate
from bnviz.templates.init_scale import PANELS, init_scale

__all__ = ["INIT_SCALE", "network", "weights"]

DEEPEST, WIDTH, CLASSES, EXAMPLES = 50, 32, 10, 64
EPS, RATE = 1e-5, 0.1
LEAST = 1e-12  # a smaller signal, beside values of 0.5, would be lost in rounding
NETS = ("plain", "bn")


def weights(seed: Tensor) -> list[Tensor]:
    """W_1 (32, 64), 49 of (32, 32), head (10, 32), each with mean 0 and variance 1 / fan_in."""
    return _uniform.weights(
        seed, [(WIDTH, 64), *[(WIDTH, WIDTH)] * (DEEPEST - 1), (CLASSES, WIDTH)]
    )


@cache
def _data() -> tuple[Tensor, Tensor]:
    data = digits()
    return data.x_train[:EXAMPLES].double(), data.y_train[:EXAMPLES]


def network(
    scale: Tensor, activation: Tensor, depth: Tensor, seed: Tensor
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[tuple[Tensor, Tensor]]]:
    """Pre-activations v, outputs h, dL/dh and (W, dL/dW) of every layer, of both nets at once.

    The first axis is the net: 0 plain, 1 BN. A layer beyond `depth` passes on what it gets, so its
    own gradients are 0. v, h: (2, m, width); W: (2, width, fan_in).
    """
    x, y = _data()
    *hidden, head = weights(seed)
    with_bn = torch.tensor([False, True]).reshape(2, 1, 1)
    with torch.enable_grad():
        ws = [(scale * w).expand(2, *w.shape).clone().requires_grad_() for w in hidden]
        h, vs, hs = x.expand(2, *x.shape), [], []
        for number, w in enumerate(ws, start=1):
            v = h @ w.transpose(1, 2)  # (2, m, width)
            v = torch.where(with_bn, normalise(v, 1, exactly(EPS)), v)
            out = activate(v, activation, fast=True)
            h = out if number == 1 else torch.where(number <= depth, out, h)
            vs.append(v.detach())
            hs.append(out)
        logits = (h @ head.T).reshape(2 * EXAMPLES, CLASSES)
        loss = F.cross_entropy(logits, y.repeat(2), reduction="sum")
        gradients = torch.autograd.grad(loss, [*hs, *ws])
    dhs, dws = gradients[:DEEPEST], gradients[DEEPEST:]
    return vs, [h.detach() for h in hs], list(dhs), list(zip(ws, dws, strict=True))


def _rms(v: Tensor) -> Tensor:
    return (v * v).mean((1, 2)).sqrt()  # (2,)


def compute(scale: Tensor, activation: Tensor, depth: Tensor, seed: Tensor) -> dict[str, Tensor]:
    """What each layer does, (DEEPEST,) for each net; NaN beyond the depth."""
    vs, hs, dhs, ws = network(scale.double(), activation, depth, seed)
    update = [exactly(RATE / EXAMPLES) * _rms(g) / _rms(w.detach()) for w, g in ws]
    rows = {
        "signal": [_rms(h - h.mean(1, keepdim=True)).clamp(min=LEAST) for h in hs],
        "gradient": [_rms(g) for g in dhs],
        "weight": [_rms(g) / EXAMPLES for _, g in ws],
        "update": update,
    }
    flat = torch.stack([v.reshape(2, -1) for v in vs]).reshape(2 * DEEPEST, -1)
    saturated = measures.saturated(flat.float(), activation).reshape(DEEPEST, 2)
    inside = torch.arange(1, DEEPEST + 1) <= depth
    outputs = {}
    for k, name in enumerate(NETS):
        outputs[f"{name}_saturated"] = torch.where(inside, saturated[:, k], torch.nan)
        for what, values in rows.items():
            low, high = PANELS[what].span
            log = torch.log10(torch.stack(values)[:, k].clamp(min=1e-300)).float()
            shown = log.clamp(low - 1, high + 1)  # a line that leaves the panel, not one that ends
            outputs[f"{name}_{what}"] = torch.where(inside, shown, torch.nan)
            if what in ("signal", "gradient"):
                at_top = torch.where(torch.arange(1, DEEPEST + 1) == depth, log, 0.0).sum()
                drop = log[0] - at_top if what == "gradient" else at_top - log[0]
                outputs[f"{name}_{what}_change"] = drop
    return outputs


INIT_SCALE = Explorer(
    name="init-scale",
    title="Choose the initial weights",
    caption=(
        "Untrained networks of 2 to 50 layers, the same random weights without and with BN. Each "
        "point is a layer; the input is at the left. Signal: how much a unit's output differs from "
        "digit to digit. Gradient: what reaches that output from the loss. Look for lines that "
        "stay level. Signals below 1e-12 count as 1e-12."
    ),
    controls=(
        Slider("scale", "initial weight scale", 0.125, 4, 1, 0.125, scale="log2"),
        Choice("activation", "activation", ACTIVATIONS, "tanh"),
        Slider("depth", "hidden layers", 2, DEEPEST, 30, 1, format="d"),
        Slider("seed", "weights drawn with seed", 0, 9, 0, 1, format="d"),
    ),
    compute=compute,
    figure=init_scale(DEEPEST),
    bindings=tuple(
        Binding(f"{name}_{what}", f"{name}-{what}", "y") for name in NETS for what in PANELS
    ),
    readout=(
        "From layer 1 to layer {depth:d} the signal changes by a factor of "
        "10^{plain_signal_change:.1f} without BN and 10^{bn_signal_change:.1f} with BN; back from "
        "layer {depth:d} to layer 1 the gradient changes by 10^{plain_gradient_change:.1f} without "
        "BN and 10^{bn_gradient_change:.1f} with BN."
    ),
    counts={f"{name}_saturated": "share" for name in NETS},
)
