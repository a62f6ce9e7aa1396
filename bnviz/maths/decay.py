"""Weight decay, and weights whose length the function forgets: how far a step turns them.

A layer in front of BN forgets the length of W. Its gradient g is at right angles to W, and g~ is
the gradient at length 1: g = g~ / |W|. One step with weight decay:

    W' = (1 - lr decay) W - lr g
    |W'|^2 = (1 - lr decay)^2 |W|^2 + lr^2 |g|^2                            Pythagoras
    |W'| cos(angle) = (1 - lr decay) |W|, angle between W' and W            the same triangle

Growth and decay meet where |W'| = |W|, that is where

    |W|^4 = lr |g~|^2 / (2 decay - lr decay^2),     cos(angle) = 1 - lr decay

Sources: van Laarhoven (2017); Wan and others (2021), Kosson and others (2024), whose formulas with
momentum are below; for these the gradients of different steps must be independent.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.maths.functional import State
from bnviz.maths.nets import MLP

__all__ = [
    "angle",
    "decayed_step",
    "forgetful",
    "settled_angle",
    "settled_norm",
    "slopes",
    "squared_norms",
]


def forgetful(net: MLP) -> list[str]:
    """The names of the hidden layers' weights; with BN behind each, they may have any length.

    >>> forgetful(MLP((4, 3, 3, 2), norm=True))
    ['layers.0.linear.weight', 'layers.1.linear.weight']
    """
    return [f"layers.{k}.linear.weight" for k in range(len(net.layers))]


def angle(a: Tensor, b: Tensor) -> Tensor:
    """The angle between two tensors seen as one long vector each, in radians: 2 asin(chord / 2).

    The chord is |a / |a| - b / |b||. For small angles this keeps digits that acos of a product
    loses. NaN where a tensor is all zeros.

    >>> round(angle(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])).item(), 4)
    1.5708
    """
    half = (a / _norm(a) - b / _norm(b)).square().sum().sqrt() / 2
    return 2 * torch.atan(half / torch.sqrt((1 - half**2).clamp(min=1e-12)))


def _norm(v: Tensor) -> Tensor:
    return v.square().sum().sqrt()


def settled_angle(lr: Tensor, decay: Tensor, momentum: Tensor) -> Tensor:
    """The angle of a step in equilibrium, in radians: sqrt(2 lr decay / (1 + momentum)).

    Without momentum it is arccos(1 - lr decay), for which the root is the first term.

    >>> third = torch.tensor(0.01)
    >>> round(settled_angle(third, third, torch.tensor(0.0)).item(), 5)
    0.01414
    """
    return torch.sqrt(2 * lr * decay / (1 + momentum))


def settled_norm(lr: Tensor, decay: Tensor, momentum: Tensor, square: Tensor) -> Tensor:
    """|W| in equilibrium: (lr |g~|^2 / (2 decay (1 - momentum)))^(1/4).

    Args:
        lr, decay, momentum: of SGD as PyTorch has it; decay > 0, momentum in [0, 1).
        square: |g~|^2, the mean square of gradients at length 1.

    >>> one = torch.tensor(1.0)
    >>> round(settled_norm(torch.tensor(0.2), torch.tensor(0.1), 0 * one, one).item(), 4)
    1.0
    """
    return torch.sqrt(torch.sqrt(lr * square / (2 * decay * (1 - momentum))))


def slopes(
    net: nn.Module, values: State, learned: Sequence[str], batch: tuple[Tensor, Tensor]
) -> tuple[State, State, Tensor]:
    """The gradient of the cross-entropy towards each of the `learned`, by name.

    Args:
        net: the module whose forward pass runs, in training mode; its own parameters are not used.
        values: everything it learns and tracks, by name; not changed.
        learned: names in `values`.
        batch: rows and their classes, (m, ...) and (m,).

    Returns:
        The gradients; all values after the forward pass, in which running statistics have moved;
        the loss.
    """
    x, y = batch
    with torch.enable_grad():
        own = {k: values[k].detach().requires_grad_() for k in learned}
        after = {**values, **own}  # `functional_call` puts the running statistics back into it
        loss = F.cross_entropy(functional_call(net.train(), after, (x,)), y)
        gradients = torch.autograd.grad(loss, list(own.values()))
    after = {k: v.detach() for k, v in after.items()}
    return dict(zip(learned, gradients, strict=True)), after, loss.detach()


def decayed_step(
    w: Tensor, g: Tensor, v: Tensor, lr: Tensor, decay: Tensor, momentum: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of `torch.optim.SGD`: v' = momentum v + g + decay w, w' = w - lr v'.

    Returns w' and v'. The decay is L2: it goes through the momentum, as in PyTorch's SGD.

    >>> w, g, zero = torch.tensor(2.0), torch.tensor(1.0), torch.tensor(0.0)
    >>> decayed_step(w, g, zero, torch.tensor(0.5), torch.tensor(0.25), zero)[0].item()
    1.25
    """
    v = momentum * v + g + decay * w
    return w - lr * v, v


def squared_norms(steps: int, start: Tensor, lr: Tensor, decay: Tensor, size: Tensor) -> Tensor:
    """|W|^2 at the steps 0, 1, ..., `steps`, by Pythagoras, for gradients of constant |g~|.

    Args:
        steps: how many.
        start: |W| at step 0, of any shape (...).
        lr, decay: of SGD without momentum.
        size: |g~|, the length of the gradient where |W| = 1.

    Returns:
        (steps + 1, ...).

    >>> one = torch.tensor(1.0)
    >>> squared_norms(2, one, one, 0 * one, one).tolist()
    [1.0, 2.0, 2.5]
    """
    squares = [start**2]
    for _ in range(steps):
        s = squares[-1]
        squares.append((1 - lr * decay) ** 2 * s + lr**2 * size**2 / s)
    return torch.stack(squares)
