"""Batch Normalization and its relatives: one formula, and five choices of who shares a mean.

    y = weight * (x - mean) / sqrt(var + eps) + bias

    batch      mean over the examples and the positions, one for each channel   Ioffe, Szegedy 2015
    layer      over channels and positions, one for each example                Ba et al. 2016
    instance   over positions, one for each example and channel                 Ulyanov et al. 2016
    group      over positions and the channels of a group, for each example     Wu and He 2018
    none       no mean: y = x + bias

Only `batch` asks the other examples, so only it needs running values for evaluation.
"""

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths.nets import Activation

__all__ = ["KINDS", "BlockNet", "Relative", "moments_of"]

KINDS = ("none", "batch", "layer", "group", "instance")
EPS, MOMENTUM = 1e-5, 0.1


def moments_of(x: Tensor, kind: str, groups: int = 1) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of every value's company, in the shape of x, or broadcast to it.

    Args:
        x: (m, c) features or (m, c, p) channels by positions.
        kind: one of `KINDS` without "none".
        groups: of equally many channels, for "group".

    Raises:
        TypeError: unless x is a tensor of floating-point numbers.
        ValueError: for another shape, an unknown kind, or groups that do not divide the channels.

    >>> x = torch.tensor([[[1.0, 3.0], [5.0, 7.0]]])
    >>> [moments_of(x, kind)[0].flatten().tolist() for kind in ("layer", "instance")]
    [[4.0], [2.0, 6.0]]
    """
    arguments.like("x", x)
    if x.ndim not in (2, 3):
        raise ValueError(f"expected (m, c) or (m, c, p), got {tuple(x.shape)}")
    if kind not in KINDS[1:]:
        raise ValueError(f"unknown kind {kind!r}; choose from {KINDS[1:]}")
    axes = {"batch": (0, *range(2, x.ndim)), "layer": tuple(range(1, x.ndim)), "instance": (2,)}
    if kind == "group":
        if groups < 1 or x.shape[1] % groups:
            raise ValueError(f"{groups} groups do not divide {x.shape[1]} channels")
        parts = torch.unflatten(x, 1, (groups, x.shape[1] // groups))  # (m, g, c / g, ...)
        mean, var = _over(parts, tuple(range(2, parts.ndim)))
        return mean.expand_as(parts).flatten(1, 2), var.expand_as(parts).flatten(1, 2)
    if kind == "instance" and x.ndim == 2:
        return x, torch.zeros_like(x)  # a single value is its own mean
    return _over(x, axes[kind])


def _over(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    mean = x.mean(axes, keepdim=True)
    return mean, (x - mean).square().mean(axes, keepdim=True)


class Relative(nn.Module):
    """One of `KINDS` as a layer for (m, c) or (m, c, p).

    Unlike `nets.BatchNorm` it takes a batch of one. The value is then its own mean, so that y is
    the bias, whatever x is; the running variance moves towards 0.

    Args:
        kind: one of `KINDS`.
        channels: c.
        groups: as of `moments_of`.

    Raises ValueError for an unknown kind; in use, as `moments_of`.

    >>> Relative("batch", 2)(torch.tensor([[3.0, -1.0]])).tolist()
    [[0.0, 0.0]]
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, kind: str, channels: int, groups: int = 1):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; choose from {KINDS}")
        self.kind, self.groups = kind, groups
        self.weight = nn.Parameter(torch.ones(channels)) if kind != "none" else None
        self.bias = nn.Parameter(torch.zeros(channels))
        if kind == "batch":
            self.register_buffer("running_mean", torch.zeros(channels))
            self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        bias = _lined_up(self.bias, x)
        if self.weight is None:
            return x + bias
        if self.kind == "batch" and not self.training:
            mean, var = _lined_up(self.running_mean, x), _lined_up(self.running_var, x)
        else:
            mean, var = moments_of(x, self.kind, self.groups)
        if self.kind == "batch" and self.training:
            self._track(x, mean.detach().flatten(), var.detach().flatten())
        return _lined_up(self.weight, x) * (x - mean) * torch.rsqrt(var + EPS) + bias

    def _track(self, x: Tensor, mean: Tensor, var: Tensor) -> None:
        """Running values move by MOMENTUM; the variance is unbiased, and 0 for a single value."""
        count = torch.ones_like(x.detach()).transpose(0, 1).flatten(1)[0].sum()
        self.running_mean = torch.lerp(self.running_mean, mean, MOMENTUM)
        unbiased = var * count / (count - 1).clamp(min=1)
        self.running_var = torch.lerp(self.running_var, unbiased, MOMENTUM)


def _lined_up(v: Tensor, x: Tensor) -> Tensor:
    """v, (c,), along the second axis of x."""
    return v if x.ndim == 2 else v[:, None]


class BlockNet(nn.Module):
    """The digits in blocks of 2 x 2 pixels: a convolution, a fully connected layer, a head.

    The convolution has one set of filters for all 16 blocks (stride 2, no overlap): small enough
    for five of them to train in a page. "instance" has nothing to normalise in the fully connected
    layer, where a channel is a single value; there it does nothing.

    Args:
        kind: of both normalising layers, one of `KINDS`.
        channels, units: of the two layers.
        groups: of channels, and of units.

    >>> BlockNet("group")(torch.zeros(4, 64)).shape
    torch.Size([4, 10])
    """

    unscaled = ("head",)  # as in `nets.MLP`

    def __init__(self, kind: str, channels: int = 8, units: int = 32, groups: int = 4):
        super().__init__()
        self.conv = nn.Linear(4, channels, bias=False)
        self.norm1 = Relative(kind, channels, groups)
        self.full = nn.Linear(16 * channels, units, bias=False)
        self.norm2 = Relative("none" if kind == "instance" else kind, units, groups)
        self.head = nn.Linear(units, 10)
        nn.init.zeros_(self.head.bias)
        self.activation1, self.activation2 = Activation("relu"), Activation("relu")

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(_blocks(x)).transpose(1, 2)  # (m, channels, 16)
        h = self.activation1(self.norm1(z)).flatten(1)
        return self.head(self.activation2(self.norm2(self.full(h))))  # (m, 10), logits

    @property
    def norms(self) -> list[Relative]:
        """Both normalising layers."""
        return [self.norm1, self.norm2]

    @property
    def activations(self) -> list[Activation]:
        """Both activation modules; what enters them has been normalised."""
        return [self.activation1, self.activation2]


def _blocks(x: Tensor) -> Tensor:
    """Rows of 64 pixels as 16 blocks of 2 x 2: (m, 64) -> (m, 16, 4)."""
    return x.reshape(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, 16, 4)
