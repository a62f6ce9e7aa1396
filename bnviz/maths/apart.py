"""Batch Normalization taken apart: layers and networks that have one of its parts, and no other.

    none        y = gamma x + beta is a linear layer's own doing: the layer is left out
    mean        y = gamma (x - mu_B) + beta
    variance    y = gamma x / sqrt(var_B + eps) + beta
    detached    all of BN, but mu_B and var_B count as constants in the backward pass
    own         the same, evaluated with the statistics of the images that it is shown
    bn          all of it
    noisy       all of it, and noise behind it that is drawn anew at every step (`noisy.py`)
    weight      weight normalisation: w = gain v / ||v|| for each unit, no batch at all
    affine      all of it, but the weights in front stay as they were drawn: gamma and beta learn

Every network of one size draws the same initial weights.
"""

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.maths.nets import MLP, BatchNorm
from bnviz.maths.noisy import NoisyBatchNorm

__all__ = ["PARTS", "PartOfBatchNorm", "TakenApart", "WeightNormed", "lengths_of"]

PARTS = ("none", "mean", "variance", "detached", "own", "bn", "noisy", "weight", "affine")


class PartOfBatchNorm(BatchNorm):
    """Batch normalisation of (m, d) features, with only some of what it does.

    y = weight (x - mu) s + bias, where mu is 0 unless `centre`, and s is 1 unless `scale`, else
    1 / sqrt(var + eps). mu and var are those of the batch in training, the running ones in
    evaluation. The variance is taken about the mean, whether that is subtracted or not.

    Args:
        features: d.
        centre: whether the mean is subtracted.
        scale: whether the standard deviation divides.
        through: whether gradients flow through mu and var; without, they count as constants.
        running: whether evaluation uses the running values; without, those of what it is given.
        options: those of `nets.BatchNorm`.

    Raises:
        ValueError: for input that is not (m, d), and in training for a batch of one.

    >>> x = torch.tensor([[1.0], [3.0]])
    >>> PartOfBatchNorm(1, scale=False)(x).flatten().tolist()
    [-1.0, 1.0]
    """

    def __init__(
        self,
        features: int,
        *,
        centre: bool = True,
        scale: bool = True,
        through: bool = True,
        running: bool = True,
        **options: Any,
    ):
        super().__init__(features, **options)
        self.centre, self.scale, self.through, self.running = centre, scale, through, running

    def forward(self, input: Tensor) -> Tensor:
        x = input
        if x.ndim != 2 or x.shape[1] != self.num_features:
            raise ValueError(f"expected (m, {self.num_features}), got {tuple(x.shape)}")
        mean, var = self.running_mean, self.running_var  # (d,)
        if self.training or not self.running:
            if x.shape[0] < 2:
                raise ValueError("training needs at least 2 examples, got 1; use a larger batch")
            mean = x.mean(0)
            var = ((x - mean) ** 2).mean(0)
        if self.training:
            self._track(mean, var, x.shape[0], None)
        if not self.through:
            mean, var = mean.detach(), var.detach()
        y = x - mean if self.centre else x
        y = y * torch.rsqrt(var + self.eps) if self.scale else y
        return self.weight * y + self.bias


class WeightNormed(nn.Linear):
    """A linear layer whose length and direction are learned apart: w = gain v / ||v||.

    One length for each unit; `weight` holds v, (outputs, inputs), `gain` is (outputs,). Both gains
    and the bias learn. What a unit computes does not depend on the length of its v. `lengths_of`
    gives gains with which it begins as a linear layer with the weights v.

    Source: Salimans and Kingma (2016), without their initialisation from data.

    >>> layer = WeightNormed(2, 1)
    >>> _ = layer.load_state_dict({"weight": torch.tensor([[3.0, 4.0]]),
    ...                            "bias": torch.zeros(1), "gain": torch.ones(1)})
    >>> round(layer(torch.tensor([[1.0, 0.0]])).item(), 4)
    0.6
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)  # pyright: ignore[reportUnknownMemberType]
        nn.init.zeros_(self.bias)
        self.gain = nn.Parameter(torch.ones(outputs))

    def forward(self, input: Tensor) -> Tensor:
        length = (self.weight * self.weight).sum(1).sqrt()  # (outputs,)
        return F.linear(input, self.weight) * (self.gain / length) + self.bias


def lengths_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same values of a network, but every gain is the length of its v; (outputs,) each.

    >>> lengths_of({"a.weight": torch.tensor([[3.0, 4.0]]), "a.gain": torch.ones(1)})["a.gain"]
    tensor([5.])
    """
    gains = {
        name: (state[f"{name.removesuffix('gain')}weight"] ** 2).sum(1).sqrt()
        for name in state
        if name.endswith("gain")
    }
    return {**state, **gains}


class TakenApart(MLP):
    """An MLP whose hidden layers have one part of Batch Normalization, see the top of this file.

    Args:
        sizes, activation: as of `nets.MLP`.
        part: one of `PARTS`. The hidden weights of "affine" require no gradient.

    Raises:
        ValueError: for an unknown part, and as `nets.MLP`.

    >>> net = TakenApart((64, 8, 10), part="affine")
    >>> [name for name, p in net.named_parameters() if p.requires_grad]
    ['layers.0.norm.weight', 'layers.0.norm.bias', 'head.weight', 'head.bias']
    """

    _LAYERS: ClassVar[dict[str, dict[str, bool]]] = {
        "mean": {"scale": False},
        "variance": {"centre": False},
        "detached": {"through": False},
        "own": {"through": False, "running": False},
    }

    def __init__(self, sizes: tuple[int, ...], *, part: str, activation: str = "sigmoid"):
        if part not in PARTS:
            raise ValueError(f"unknown part {part!r}; choose from {PARTS}")
        super().__init__(sizes, norm=part not in ("none", "weight"), activation=activation)
        self.part = part
        for number, layer in enumerate(self.layers):
            inputs, outputs = layer.linear.in_features, layer.linear.out_features
            if part in self._LAYERS:
                layer.norm = PartOfBatchNorm(outputs, **self._LAYERS[part])
            elif part == "noisy":
                layer.norm = NoisyBatchNorm(outputs, number)
            elif part == "weight":
                layer.linear = WeightNormed(inputs, outputs)
            elif part == "affine":
                cast("nn.Parameter", layer.linear.weight).requires_grad_(False)
