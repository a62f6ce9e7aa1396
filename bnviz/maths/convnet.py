"""A small convolutional network from plain tensor operations, with BN per channel.

`torch.nn.Conv2d` would do in a kernel. Written as two matrix products, the convolution and its
gradient can be compiled, too, so that the page can train it.
"""

from collections.abc import Sequence
from functools import cache
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths.nets import Activation, BatchNorm

__all__ = ["CNN", "Conv", "images"]

_SIDE = 8  # of a digit, in pixels


def images(x: Tensor) -> Tensor:
    """Rows of 64 pixels as pictures of one channel: (m, 64) -> (m, 1, 8, 8).

    Raises TypeError for what is no tensor, ValueError for another shape.

    >>> images(torch.zeros(5, 64)).shape
    torch.Size([5, 1, 8, 8])
    """
    arguments.tensor("x", x, "m", _SIDE**2)
    return x.reshape(-1, 1, _SIDE, _SIDE)


class Conv(nn.Module):
    """Slide `channels` filters of side `k` over every position, without padding.

    z[n, o, p, q] = sum over c, i, j of weight[o, c, i, j] x[n, c, p + i, q + j] (+ bias[o])

    Each (i, j) is one shifted view of the input; all views side by side make the convolution one
    matrix product. Weights are shared by all positions: that is what makes it a convolution.

    The views are products too, so a pixel that is not finite makes its whole image NaN.

    Args:
        inputs: channels of the input, c.
        channels: channels of the output, o.
        k: side of a filter.
        bias: one number per output channel.

    Raises:
        TypeError: unless inputs, channels and k are whole numbers, and x a tensor like the filters.
        ValueError: for one below 1, or x of another shape than (m, c, h, w) with h, w >= k.

    >>> Conv(1, 4, 3)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 4, 6, 6])
    """

    def __init__(self, inputs: int, channels: int, k: int = 3, bias: bool = False):
        super().__init__()
        for name, value in (("inputs", inputs), ("channels", channels), ("k", k)):
            arguments.whole(name, value, 1)
        self.k = k
        self.weight = nn.Parameter(torch.empty(channels, inputs, k, k))
        nn.init.normal_(self.weight, std=(inputs * k * k) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        arguments.like("x", x, self.weight)
        if x.ndim != 4 or x.shape[1] != self.weight.shape[1] or min(x.shape[2:]) < self.k:
            raise ValueError(
                f"expected (m, {self.weight.shape[1]}, h, w) with h and w at least {self.k}, "
                f"got {tuple(x.shape)}"
            )
        side, h, w = x.shape[2:], x.shape[2] - self.k + 1, x.shape[3] - self.k + 1
        views = _views(tuple(side), self.k).to(x.dtype)  # (side, k k h w)
        patches = torch.unflatten(x.flatten(2) @ views, 2, (self.k**2, h * w))  # (m, c, k k, h w)
        rows = patches.flatten(1, 2).transpose(1, 2).flatten(0, 1)  # (m h w, c k k)
        z = rows @ self.weight.flatten(1).T  # (m h w, o)
        if self.bias is not None:
            z = z + self.bias
        return torch.unflatten(z, 0, (-1, h, w)).permute(0, 3, 1, 2)  # (m, o, h, w)


@cache
def _views(side: tuple[int, int], k: int) -> Tensor:
    """Which pixel each shifted view shows where, as zeros and ones: (pixels, k k positions).

    A product with it is the cheapest form of k k slices in an exported graph, backward included.
    """
    place = torch.arange(side[0] * side[1]).reshape(side)
    h, w = side[0] - k + 1, side[1] - k + 1
    seen = [place[i : i + h, j : j + w].flatten() for i in range(k) for j in range(k)]
    return torch.eye(side[0] * side[1])[:, torch.cat(seen)]


class _Block(nn.Module):
    """Convolution, then norm and activation in the order of `placement`."""

    def __init__(self, inputs: int, channels: int, norm: bool, placement: str, activation: str):
        super().__init__()
        self.linear = Conv(inputs, channels, bias=not norm or placement == "after")
        self.norm = BatchNorm(channels) if norm else nn.Identity()
        self.activation = Activation(activation)
        self.placement = placement

    def forward(self, x: Tensor) -> Tensor:
        if self.placement == "before":
            return self.activation(self.norm(self.linear(x)))
        return self.norm(self.activation(self.linear(x)))


class CNN(nn.Module):
    """Convolutions of 3 x 3 on the 8 x 8 digits, then a linear head.

    Args:
        channels: of each convolution; every one takes two pixels off the height and the width.
        norm: BatchNorm in every convolution: one mean and one variance per channel.
        placement: "before" or "after" the activation.
        activation: one of `nets.ACTIVATIONS`.

    Raises:
        ValueError: for no convolution, more than three, or an unknown placement or activation.

    >>> CNN((8, 8), norm=True)(torch.zeros(4, 64)).shape
    torch.Size([4, 10])
    """

    unscaled: ClassVar[tuple[str, ...]] = ("head",)  # as in `nets.MLP`

    def __init__(
        self,
        channels: tuple[int, ...] = (8, 8),
        *,
        norm: bool = False,
        placement: str = "before",
        activation: str = "relu",
    ):
        super().__init__()
        if not 1 <= len(channels) <= 3:
            raise ValueError(f"one to three convolutions fit on 8 x 8 pixels, got {channels}")
        if placement not in ("before", "after"):
            raise ValueError(f"placement is 'before' or 'after', got {placement!r}")
        inputs = (1, *channels[:-1])
        layers = nn.ModuleList(
            _Block(a, b, norm, placement, activation) for a, b in zip(inputs, channels, strict=True)
        )
        self.layers = cast(Sequence[_Block], layers)
        side = _SIDE - 2 * len(channels)
        self.head = nn.Linear(channels[-1] * side * side, 10)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = images(x)
        for layer in self.layers:
            x = layer(x)  # (m, channels, side, side)
        return self.head(x.flatten(1))  # (m, 10), logits

    @property
    def activations(self) -> list[Activation]:
        """The activation modules in order; their inputs are the pre-activations."""
        return [layer.activation for layer in self.layers]
