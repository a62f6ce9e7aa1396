"""Slices through the loss surface, three optimisers that walk on it, and the share of plateaus.

A slice is a plane through three points: where training began (w_0) and where two optimisers are
(w_A, w_B). Its coordinates count trips: L(a, b) = L(w_0 + a (w_A - w_0) + b (w_B - w_0)).

Source: Im, Tao and Branson (2016), "An empirical analysis of the optimization of deep network loss
surfaces", section 3.
"""

import math
from collections.abc import Callable, Iterator
from itertools import count, takewhile

import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments
from bnviz.maths.functional import part
from bnviz.maths.moments import normalise
from bnviz.maths.nets import activate

__all__ = ["HIGH", "OPTIMISERS", "SLOPE", "begin", "losses_of", "plateaus", "slice_of", "update"]

OPTIMISERS = ("SGD", "momentum", "Adam")
MU, BETA_1, BETA_2, EPS = 0.9, 0.9, 0.999, 1e-4
SHARES = (1.0, 0.2, 0.05)  # of the learning rate, for each of the three
HIGH, SLOPE = 0.9 * math.log(10), 0.5  # a plateau: a loss above, a slope per trip below
Values = dict[str, Tensor]


def begin(start: Values) -> tuple[Values, Values, Values]:
    """Weights, first moments and second moments of all three at the start: w (3, ...), m (2, ...).

    m holds the velocity of momentum and Adam's first moment, s Adam's second one. Raises TypeError
    unless all values are tensors of floating-point numbers.
    """
    for name, value in start.items():
        arguments.like(name, value)
    w = {k: v.expand(3, *v.shape).clone() for k, v in start.items()}
    m = {k: torch.zeros(2, *v.shape) for k, v in start.items()}
    s = {k: torch.zeros_like(v) for k, v in start.items()}
    return w, m, s


def update(
    w: Values, m: Values, s: Values, gradient: Values, lr: Tensor, t: Tensor
) -> tuple[Values, Values, Values]:
    """One step of each optimiser at learning rates lr, lr / 5 and lr / 20; t counts from 1.

    SGD       w <- w - lr g
    momentum  v <- 0.9 v + g,  w <- w - lr v
    Adam      m <- 0.9 m + 0.1 g,  s <- 0.999 s + 0.001 g^2,  both divided by 1 - decay^t,
              w <- w - lr m / (sqrt(s) + 1e-4)

    The gradients are those at each optimiser's own weights: (3, ...), as is w. Raises ValueError
    for a gradient of another shape than its w, and for lr < 0 or t < 1 unless they are tensors.

    Source: Kingma and Ba (2015), "Adam", Algorithm 1 (with epsilon 1e-8).
    """
    arguments.number("lr", lr, 0)
    arguments.number("t", t, 1)
    _check_alike(w, gradient)
    new_w: Values = {}
    new_m: Values = {}
    new_s: Values = {}
    correct_1, correct_2 = 1 - BETA_1**t, 1 - BETA_2**t
    for k, g in gradient.items():
        velocity = MU * m[k][0] + g[1]
        first = BETA_1 * m[k][1] + (1 - BETA_1) * g[2]
        second = BETA_2 * s[k] + (1 - BETA_2) * g[2].square()
        adam = (first / correct_1) / (torch.sqrt(second / correct_2) + EPS)
        moves = (SHARES[0] * g[0], SHARES[1] * velocity, SHARES[2] * adam)
        new_w[k] = w[k] - lr * torch.stack(moves)
        new_m[k], new_s[k] = torch.stack([velocity, first]), second
    return new_w, new_m, new_s


def _check_alike(*points: Values) -> None:
    """Raise ValueError unless all have the same names and shapes."""
    first, *others = ({k: tuple(v.shape) for k, v in p.items()} for p in points)
    for other in others:
        if other != first:
            raise ValueError(f"names and shapes differ: {first} and {other}")


def losses_of(values: Values, x: Tensor, y: Tensor, activation: Tensor) -> Tensor:
    """Cross-entropy of many networks at once, in training mode: one for each place in front.

    Args:
        values: parameters of an `MLP` by name, each with the same lead axes, (..., *shape).
        x, y: one batch for all of them, (m, 64) and (m,); classes are not checked.
        activation: between the layers, an index into `nets.ACTIVATIONS`.

    Returns:
        (...,). It is the loss of `MLP`, written without vmap, which fixes the batch size when a
        page exports it.

    Raises:
        TypeError: unless x is a tensor of floating-point numbers.
        ValueError: for x or y of another shape.
    """
    first = values.get("layers.0.linear.weight", values["head.weight"])
    arguments.floats("x", x, "m", first.shape[-1])
    arguments.tensor("y", y, x.shape[0])
    h = x
    for i, own in enumerate(_layers(values)):  # z: (..., m, width)
        weight = own["linear.weight"]
        # the first product in this order: the other one would copy x for every network
        z = h @ weight.transpose(-1, -2) if i else (weight @ x.T).transpose(-1, -2)
        if "norm.weight" in own:
            x_hat = normalise(z, -2, eps=1e-5)
            z = x_hat * own["norm.weight"].unsqueeze(-2) + own["norm.bias"].unsqueeze(-2)
        else:
            z = z + own["linear.bias"].unsqueeze(-2)
        h = activate(z, activation)
    logits = h @ values["head.weight"].transpose(-1, -2) + values["head.bias"].unsqueeze(-2)
    right = torch.eye(logits.shape[-1])[y]  # (m, classes)
    return -(torch.log_softmax(logits, -1) * right).sum(-1).mean(-1)


def _layers(values: Values) -> Iterator[Values]:
    """The hidden layers' parts of an `MLP`'s parameters, from the input up."""
    return takewhile(bool, (part(values, f"layers.{i}") for i in count()))


def slice_of(
    losses: Callable[[Values], Tensor], start: Values, end_a: Values, end_b: Values, places: Tensor
) -> Tensor:
    """The loss on a grid of the plane: row i has b = places[i], column j has a = places[j]; (n, n).

    `losses` takes values with one lead axis, all points of the grid, as `losses_of` does. Raises
    ValueError unless the three points have the same names and shapes, and places is (n,).

    >>> squares = lambda v: v["w"].square().sum(-1)
    >>> ends = {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 2.0])}
    >>> slice_of(squares, {"w": torch.zeros(2)}, *ends, torch.tensor([0.0, 1.0]))
    tensor([[0., 1.],
            [4., 5.]])
    """
    arguments.floats("places", places, "n")
    _check_alike(start, end_a, end_b)
    n = len(places)
    a, b = places.repeat(n), places.repeat_interleave(n)  # (n * n,)
    points: Values = {}
    for k, w in start.items():
        along = (-1, *[1] * w.ndim)
        points[k] = w + a.view(along) * (end_a[k] - w) + b.view(along) * (end_b[k] - w)
    return losses(points).reshape(n, n)


def plateaus(z: Tensor, spacing: Tensor | float) -> Tensor:
    """1 where a slice is flat and high, else 0; the outermost cells have no slope: (n - 2, n - 2).

    Flat: a slope below `SLOPE` for one trip (coordinates grow by 1), by central differences. High:
    above `HIGH`, nine tenths of the loss of guessing among ten classes. Beside a loss that is not
    finite nothing is flat.

    Raises TypeError unless z is a tensor of floating-point numbers, ValueError unless it is (n, n)
    with n >= 3, or for a spacing that is not above 0.
    """
    arguments.floats("z", z, "n", "n")
    arguments.number("spacing", spacing, 0, above=True)
    if min(z.shape) < 3 or z.shape[0] != z.shape[1]:
        raise ValueError(f"z must be (n, n) with n >= 3, got shape {tuple(z.shape)}")
    across = (z[1:-1, 2:] - z[1:-1, :-2]) / (2 * spacing)
    along = (z[2:, 1:-1] - z[:-2, 1:-1]) / (2 * spacing)
    flat = (across.square() + along.square() < SLOPE**2).float()
    return flat * (z[1:-1, 1:-1] > HIGH).float()
