"""The loss along the direction of its own gradient: three measures of how smooth it is.

At weights w, with gradient g(w), a training step goes to w - lr g. Walk along this line instead and
stop at w_r = w - r lr g for several ratios r:

    loss       L(w_r)
    change     ||g(w_r) - g(w)||                     how far g mispredicts the gradient ahead
    beta       max over r of ||g(w_r) - g(w)|| / ||w_r - w||     effective beta-smoothness

A loss whose gradient has the Lipschitz constant beta is called beta-smooth; along one line the last
measure bounds that constant from below. All three belong to ONE point w of one training run.

Source: Santurkar et al. (2018), section 3.1.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from bnviz.maths import _arguments as arguments
from bnviz.maths import prng
from bnviz.maths.moments import normalise

__all__ = ["DeepLinear", "call", "in_double", "line_search"]

Values = dict[str, Tensor]
EPS = 1e-5


def line_search(
    loss: Callable[[Values], Tensor], values: Values, lr: Tensor | float, ratios: Tensor
) -> Values:
    """Loss, change of the gradient and smoothness along the gradient's direction.

    Args:
        loss: values -> scalar.
        values: the point w, by name.
        lr: learning rate, > 0: the step that the ratios multiply.
        ratios: r > 0, (n,); their values are not checked, nor is an lr that is a tensor.

    Returns:
        "loss" and "change", (n,); "beta", "norm" (the length of g) and "here" (the loss at w),
        scalars. All are worked out at once, with the ratios as one more axis. Where a loss or a
        gradient overflows, "loss" and "change" are infinite; where g is 0, "beta" is NaN.

    Raises:
        TypeError: unless ratios and all values are tensors of floating-point numbers.
        ValueError: for lr <= 0, or not finite, and ratios that are not (n,).

    >>> w = {"w": torch.tensor([3.0])}
    >>> found = line_search(lambda v: 2 * v["w"].square().sum(), w, 0.1, torch.tensor([0.5, 1.0]))
    >>> found["loss"].tolist(), round(found["beta"].item(), 3)  # L = 2 w^2, L'' = 4
    ([11.520000457763672, 6.479999542236328], 4.0)
    """
    arguments.number("lr", lr, 0, above=True)
    arguments.floats("ratios", ratios, "n")
    for name, value in values.items():
        arguments.like(name, value)
    gradient, here = grad_and_value(loss)(values)

    def ahead(ratio: Tensor) -> tuple[Values, Tensor]:
        return grad_and_value(loss)({k: w - ratio * lr * gradient[k] for k, w in values.items()})

    gradients, losses = vmap(ahead)(ratios)
    squares = [(gradients[k] - g).square().flatten(1).sum(1) for k, g in gradient.items()]
    change = _infinite(torch.stack(squares).sum(0).sqrt())  # (n,)
    norm = torch.stack([g.square().sum() for g in gradient.values()]).sum().sqrt()
    beta = (change / (ratios * lr * norm)).amax(0)
    return {"loss": _infinite(losses), "change": change, "beta": beta, "norm": norm, "here": here}


def _infinite(v: Tensor) -> Tensor:
    """Infinity for what is not a number: so far ahead, the difference of two that overflowed."""
    return torch.where(v == v, v, torch.inf)


def in_double(values: Values) -> Values:
    """The same values in float64.

    Along a short step the gradient changes in its last float32 digits; the difference of two such
    gradients would be mostly rounding.
    """
    return {k: v.double() if v.is_floating_point() else v for k, v in values.items()}


class DeepLinear(nn.Module):
    """A product of square weight matrices, y = W_L ... W_1 x, with BN between them or without.

    Every layer is linear; the loss as a function of the weights is not. BN is left out behind the
    last matrix, so that the output can have any scale. It always uses the statistics of the batch.

    Args:
        width: features of input, output and all layers.
        depth: number of weight matrices, at least 2.
        norm: BN behind every matrix but the last; the batch then has at least 2 examples.

    Raises:
        TypeError: unless width and depth are whole numbers, and x a tensor like the weights.
        ValueError: for one out of range, or x that is not (m, width).

    Source: Santurkar et al. (2018), appendix A, uses 25 layers of 10 x 10.

    >>> DeepLinear(10, 3, norm=True)(torch.ones(4, 10)).shape
    torch.Size([4, 10])
    """

    def __init__(self, width: int = 10, depth: int = 25, *, norm: bool = False):
        super().__init__()
        arguments.whole("width", width, 1)
        arguments.whole("depth", depth, 2)
        self.norm = norm
        self.matrices = nn.Parameter(torch.eye(width).repeat(depth, 1, 1))  # (depth, width, width)
        if norm:
            self.gammas = nn.Parameter(torch.ones(depth - 1, width))
            self.betas = nn.Parameter(torch.zeros(depth - 1, width))

    def forward(self, x: Tensor) -> Tensor:
        arguments.like("x", x, self.matrices)
        arguments.tensor("x", x, "m", self.matrices.shape[-1])
        if self.norm and x.shape[0] < 2:
            raise ValueError("BN needs at least 2 examples, got 1: use a larger batch")
        *inner, last = self.matrices.unbind()
        for k, matrix in enumerate(inner):
            x = x @ matrix.T  # (m, width)
            if self.norm:
                x = normalise(x, 0, EPS) * self.gammas[k] + self.betas[k]
        return x @ last.T

    def start(self, seed: Tensor | int, scale: Tensor | float = 1.0) -> Values:
        """Glorot's normal numbers, variance 2 / (width + width), times a scale; gamma 1, beta 0.

        Raises as `nets.initialise`.
        """
        arguments.number("scale", scale, 0)
        seed = seed if isinstance(seed, Tensor) else torch.tensor(arguments.seed_number(seed))
        shape = self.matrices.shape
        drawn = prng.normal(tuple(shape), seed, stream=0)
        values = {k: v.detach() for k, v in self.named_parameters()}
        return values | {"matrices": scale * shape[-1] ** -0.5 * drawn}


def call(net: nn.Module, values: Values, x: Tensor) -> Tensor:
    """The network in training mode with these parameters, in the precision of x.

    Its buffers keep their start values: batch statistics are used, running ones are not.
    """
    buffers = {k: b.to(x.dtype) if b.is_floating_point() else b for k, b in net.named_buffers()}
    return functional_call(net.train(), {**buffers, **values}, (x,))
