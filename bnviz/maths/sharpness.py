"""The largest curvature of the loss at a point, and the curvature along the gradient.

Gradient descent with rate lr on a parabola of curvature c multiplies w by 1 - lr c: it converges
when lr c < 2. A loss of many parameters has a Hessian H of curvatures; its largest eigenvalue is
called the sharpness. Neither H nor any step of finite length is needed:

    H v        the derivative of (g . v), by a second backward pass
    v <- H v / ||H v||    turns v towards the eigenvector of the largest |eigenvalue|

Source: Pearlmutter (1994), "Fast exact multiplication by the Hessian"; Cohen et al. (2021) for
the rate times the sharpness in training.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments

__all__ = ["curvatures"]

Values = dict[str, Tensor]


def curvatures(
    loss: Callable[[Values], Tensor],
    values: Values,
    direction: Tensor | None = None,
    iterations: int = 20,
) -> Values:
    """Sharpness by power iteration, and the curvature along the gradient.

    Args:
        loss: values -> scalar, twice differentiable.
        values: the point w, by name.
        direction: where the iteration begins, as many numbers as there are parameters; the result
            of a point close by saves iterations. None takes the gradient.
        iterations: products with the Hessian, at least 1.

    Returns:
        "top", the eigenvalue of H whose absolute value is largest; "along", ||H g|| / ||g||, what
        the effective beta-smoothness becomes for ever shorter steps; "direction", the last v.

    Raises:
        TypeError: unless all values are tensors of floating-point numbers.
        ValueError: for iterations < 1.

    >>> w = {"w": torch.tensor([1.0, 1.0])}
    >>> found = curvatures(lambda v: (v["w"] ** 2 @ torch.tensor([0.5, 2.0])), w)
    >>> round(found["top"].item(), 3)  # the curvatures are 1 and 4
    4.0
    """
    arguments.whole("iterations", iterations, 1)
    for name, value in values.items():
        arguments.like(name, value)
    w = {k: v.detach().requires_grad_() for k, v in values.items()}
    parts = torch.autograd.grad(loss(w), list(w.values()), create_graph=True)
    slope = torch.cat([part.flatten() for part in parts])  # (parameters,), differentiable

    def hessian_times(v: Tensor) -> Tensor:
        parts = torch.autograd.grad(slope @ v, list(w.values()), retain_graph=True)
        return torch.cat([part.flatten() for part in parts])

    gradient = slope.detach()
    v = gradient if direction is None else direction
    top = gradient.new_zeros(())
    for _ in range(iterations):
        v = v / _length(v)
        turned = hessian_times(v)
        top, v = v @ turned, turned
    along = _length(hessian_times(gradient)) / _length(gradient)
    return {"top": top, "along": along, "direction": v}


def _length(v: Tensor) -> Tensor:
    return v.square().sum().sqrt()
