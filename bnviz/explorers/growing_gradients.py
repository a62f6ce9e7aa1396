"""`growing-gradients`: deep untrained networks, what mean-field theory says, and what they do."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers._uniform import exactly, weights
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import meanfield, prng
from bnviz.maths.data import digits
from bnviz.maths.nets import ACTIVATIONS, activate
from bnviz.templates.growing_gradients import NETS, growing_gradients

__all__ = ["GROWING_GRADIENTS", "measured", "predicted"]

DEPTH, WIDTH, EXAMPLES, EPS = 30, 48, 64, 1e-5
SPAN = (-8.0, 6.0)  # of both axes; a line that leaves the panel stands one beyond


@cache
def _images() -> Tensor:
    return digits().x_train[:EXAMPLES].double()  # (EXAMPLES, 64)


def measured(
    scale: Tensor, activation: Tensor, batch: Tensor, seed: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean squares of pre-activations and of gradients in them, each (4, DEPTH), nets as `NETS`.

    All four have the same random weights W_l, of variance 1 / width:

        plain       h' = s W phi(h)
        bn          h' = BN(W phi(h))
        bn-skip     h' = h + BN(W phi(h))
        skip        h' = h + s / sqrt(DEPTH) W phi(h)

    The gradient begins as random numbers at the last layer's pre-activations. The first `batch`
    images take part.
    """
    first, *others = weights(seed, [(WIDTH, 64), *[(WIDTH, WIDTH)] * (DEPTH - 1)])
    inside = (torch.arange(EXAMPLES) < batch).double()[:, None]  # (EXAMPLES, 1)
    count = batch.double()
    top = prng.normal((EXAMPLES, WIDTH), seed, stream=1).double() * inside
    with_bn = torch.tensor([0.0, 1.0, 1.0, 0.0]).double().reshape(4, 1, 1)
    trunk = torch.tensor([0.0, 0.0, 1.0, 1.0]).double().reshape(4, 1, 1)
    factors = torch.stack([scale, scale / scale, scale / scale, scale * exactly(DEPTH**-0.5)])

    def normalised(v: Tensor) -> Tensor:
        mean = (v * inside).sum(1, keepdim=True) / count
        centred = (v - mean) * inside
        var = (centred * centred).sum(1, keepdim=True) / count
        scaled = centred * torch.rsqrt(var + exactly(EPS))
        return with_bn * scaled + (1 - with_bn) * v

    with torch.enable_grad():
        h = (_images() @ first.T).expand(4, EXAMPLES, WIDTH)
        start = torch.stack([scale, scale / scale, scale / scale, scale / scale])
        h = normalised(start.reshape(4, 1, 1) * h).requires_grad_()
        hs = [h]
        for w in others:
            branch = factors.reshape(4, 1, 1) * (activate(h, activation) @ w.T)
            h = trunk * h + normalised(branch)
            hs.append(h)
        gradients = torch.autograd.grad((h * top).sum(), hs)
    squares = [
        torch.stack([((v.detach() * inside) ** 2).sum((1, 2)) / (count * WIDTH) for v in values], 1)
        for values in (hs, gradients)
    ]
    return squares[0], squares[1]


def predicted(scale: Tensor, activation: Tensor, start: Tensor, end: Tensor):
    """The same by `meanfield`, for wide layers and large batches, from what is measured at one end.

    Args:
        start: mean squares of the first pre-activations, (4,).
        end: of the gradients in the last ones, (4,).
    """
    s2 = scale * scale
    plain, skip = [start[0]], [start[3]]
    plain_g, skip_g = [], []
    for _ in range(DEPTH - 1):
        square, _, steep = meanfield.moments_of(activation, plain[-1])
        plain.append(s2 * square)
        plain_g.append(s2 * steep)
        square, _, steep = meanfield.moments_of(activation, skip[-1])
        skip.append(skip[-1] + s2 / DEPTH * square)
        skip_g.append(1 + s2 / DEPTH * steep)
    one = torch.ones((), dtype=torch.float64)
    numbers = torch.arange(1, DEPTH + 1, dtype=torch.float64)  # BN's outputs add up: q = layer
    bn = [meanfield.growth(activation, one)] * (DEPTH - 1)
    bn_skip = [1 + meanfield.growth(activation, q) / q for q in numbers[:-1]]
    signal = torch.stack([torch.stack(plain), torch.ones_like(numbers), numbers, torch.stack(skip)])
    factors = [torch.stack(f).log() for f in (plain_g, bn, bn_skip, skip_g)]  # (DEPTH - 1,)
    sums = torch.stack([torch.flip(torch.cumsum(torch.flip(f, (0,)), 0), (0,)) for f in factors])
    behind = torch.cat([sums, torch.zeros(4, 1, dtype=torch.float64)], 1)  # (4, DEPTH)
    return signal, end[:, None].log() + behind


def compute(scale: Tensor, activation: Tensor, batch: Tensor, seed: Tensor) -> dict[str, Tensor]:
    """log10 of root mean squares, (DEPTH,) for each network; gradients over that at the top."""
    wide = scale.double()
    signal, gradient = measured(wide, activation, batch, seed)
    signal_said, gradient_said = predicted(wide, activation, signal[:, 0], gradient[:, -1])
    least = exactly(1e-300)
    top = gradient[:, -1:].log10()
    found = {
        "signal": signal.clamp_min(least).log10() / 2,
        "signal_said": signal_said.clamp_min(least).log10() / 2,
        "gradient": (gradient.clamp_min(least).log10() - top) / 2,
        "gradient_said": (gradient_said / exactly(2.302585092994046) - top) / 2,
    }
    outputs = {}
    for k, name in enumerate(NETS):
        for what, values in found.items():
            shown = values[k].clamp(SPAN[0] - 1, SPAN[1] + 1).float()
            outputs[f"{name}_{what}"] = shown
        outputs[f"{name}_factor"] = 10 ** ((found["gradient"][k, 0]) / (DEPTH - 1)).float()
        outputs[f"{name}_factor_said"] = (
            10 ** ((found["gradient_said"][k, 0]) / (DEPTH - 1)).float()
        )
    return outputs


GROWING_GRADIENTS = Explorer(
    name="growing-gradients",
    title="How a gradient grows on its way back",
    caption=(
        "Untrained networks of 30 layers with the same random weights: without BN, with BN, and "
        "each of them with a shortcut around every layer. Dots are measured on real digits, lines "
        "are what mean-field theory says of wide layers and large batches. Above: the size of the "
        "pre-activations. Below: the size of the gradient in them, as a multiple of that at the "
        "last layer. BN holds the upper panel; look at what it does to the lower one."
    ),
    controls=(
        Slider("scale", "initial weight scale", 0.25, 4, 1, 0.125, scale="log2"),
        Choice("activation", "activation", ACTIVATIONS, "relu"),
        Slider("batch", "batch size", 4, EXAMPLES, EXAMPLES, 1, scale="log2", format="d"),
        Slider("seed", "weights drawn with seed", 0, 9, 0, 1, format="d"),
    ),
    compute=compute,
    figure=growing_gradients(DEPTH, SPAN),
    bindings=tuple(
        Binding(f"{name}_{what}", f"{name}-{what.replace('_', '-')}", "y")
        for name in NETS
        for what in ("signal", "signal_said", "gradient", "gradient_said")
    ),
    readout=(
        "From one layer back to the one before, a gradient is multiplied by {plain_factor:.2f} "
        "without BN (theory: {plain_factor_said:.2f}), by {bn_factor:.2f} with BN "
        "({bn_factor_said:.2f}), by {bn_skip_factor:.2f} with BN and shortcuts "
        "({bn_skip_factor_said:.2f}), by {skip_factor:.2f} with shortcuts alone "
        "({skip_factor_said:.2f}), on average."
    ),
)
