"""How far signals and gradients get in a random network: predicted, for wide layers.

In a wide layer with random weights a pre-activation is a sum of many small terms, so over the
draws it is Gaussian, and all that happens to it is what happens to its mean square q:

    plain     q' = s^2 E[phi(h)^2],         g = s^2 E[phi'(h)^2] g',         h ~ N(0, q)
    BN        q' = 1,                       g = E[phi'(z)^2] / Var[phi(z)] g',   z ~ N(0, 1)

Here s / sqrt(width) is the standard deviation of a weight and g the mean square of the gradient in
a pre-activation of this layer, g' of the next. With BN the spread of the weights falls out. What
remains is at least 1 for every phi (Var[phi(z)] <= E[phi'(z)^2], Gaussian Poincaré inequality), and
1 only for a straight line: with BN and no shortcut, gradients grow from layer to layer towards the
input.

Sources: Poole et al. (2016) and Schoenholz et al. (2017) for plain networks, Yang et al. (2019) for
BN.
"""

import math

import torch
from torch import Tensor

from bnviz.maths.nets import activate

__all__ = ["expectation", "growth", "moments_of", "slope"]

REACH, POINTS = 8.0, 320  # an even number: no point lies at 0, where ReLU has no slope


def expectation(values: Tensor) -> Tensor:
    """E[f(z)], z ~ N(0, 1), from f at `nodes()`, (POINTS,): the sum of midpoints.

    For smooth f the error is that of rounding; where the slope jumps by a it is below a / 2000.

    >>> round(expectation(nodes() ** 2).item(), 6)
    1.0
    """
    z = nodes(values.dtype)
    weight = torch.exp(-z * z / 2) * (2 * REACH / POINTS / math.sqrt(2 * math.pi))
    return (weight * values).sum()


def nodes(dtype: torch.dtype = torch.float64) -> Tensor:
    """Where `expectation` wants f, (POINTS,)."""
    return (torch.arange(POINTS, dtype=dtype) + 0.5) * (2 * REACH / POINTS) - REACH


def slope(v: Tensor, activation: Tensor) -> Tensor:
    """The derivative of `nets.activate`, of the shape of v; 0 for ReLU at 0."""
    y = activate(v, activation)
    smooth = torch.where(activation < 0.5, y * (1 - y), 1 - y * y)
    return torch.where(activation < 1.5, smooth, (v > 0).to(v.dtype))


def moments_of(activation: Tensor, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """E[phi(h)^2], Var[phi(h)] and E[phi'(h)^2] for h ~ N(0, q); scalars.

    Args:
        activation: index into `nets.ACTIVATIONS`.
        q: mean square of h, > 0; its kind of floating-point number is that of the results.

    >>> [round(m.item(), 3) for m in moments_of(torch.tensor(2), torch.tensor(1.0))]  # ReLU
    [0.5, 0.341, 0.5]
    """
    h = q.sqrt() * nodes(q.dtype)
    phi = activate(h, activation)
    square, mean = expectation(phi * phi), expectation(phi)
    return square, square - mean * mean, expectation(slope(h, activation).square())


def growth(activation: Tensor, q: Tensor) -> Tensor:
    """E[phi'(h)^2] q / Var[phi(h)]: by how much BN behind a layer multiplies the mean square of a
    gradient on its way back through phi, the weights and BN, where h ~ N(0, q).

    At least 1, and 1 for a straight line only.

    >>> round(growth(torch.tensor(2), torch.tensor(1.0)).item(), 3)  # ReLU: pi / (pi - 1)
    1.467
    """
    _, variance, steep = moments_of(activation, q)
    return steep * q / variance
