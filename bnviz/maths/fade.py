"""How the spread over the images fades, or grows, from one layer to the next.

A unit's inputs h_j = g(z_j) vary over the images about as much as g'(z_j) lets them:

    var(h_j) ~ g'(z_j)^2 var(z_j)
    next z_i = sum_j W_ij h_j,  W_ij ~ s / sqrt(n) * N(0, 1):   E var(z_i) = s^2 mean_j var(h_j)
    sigma_(k+1) / sigma_k ~ s sqrt(E[g'^2])

The first line is exact for small spreads, the second in expectation over the weights. A sigmoid has
g' <= 1/4: with s below 4 every layer takes something away.
"""

import torch
from torch import Tensor

from bnviz.maths.nets import MLP
from bnviz.maths.record import inputs_of

__all__ = ["ratios"]


def ratios(net: MLP, x: Tensor) -> tuple[Tensor, Tensor]:
    """Spread of a layer over that of the layer before: measured, and by the formula above.

    Args:
        net: as it is now; layers without norm.
        x: images, (m, features).

    Returns:
        Both (layers - 1,). sigma_k is the root of the variance over the images, averaged over the
        units; s is the root mean square of a weight times sqrt(n).

    Source: Glorot and Bengio (2010), section 4.2.1, there with g' = 1.

    >>> from bnviz.maths.data import digits
    >>> from bnviz.maths.nets import initialise
    >>> net = MLP()
    >>> _ = net.load_state_dict(initialise(net, seed=0, scale=1.0))
    >>> measured, formula = ratios(net, digits().x_train[:256])
    >>> [round(v, 1) for v in formula.tolist()]
    [0.2, 0.2, 0.2, 0.2]
    """
    with torch.no_grad(), inputs_of(net.activations) as seen:
        net(x)
    spreads = torch.stack([z.var(0, correction=0).mean().sqrt() for z in seen])
    formula = [
        layer.linear.weight.square().sum(1).mean().sqrt() * _slope(below.activation, z)
        for below, layer, z in zip(net.layers[:-1], net.layers[1:], seen[:-1], strict=True)
    ]
    return spreads[1:] / spreads[:-1], torch.stack(formula).detach()


def _slope(activation: torch.nn.Module, z: Tensor) -> Tensor:
    """Root mean square of g' over units and images."""
    z = z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(activation(z).sum(), z)
    return slope.square().mean().sqrt()
