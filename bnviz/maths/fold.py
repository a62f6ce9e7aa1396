"""Fold Batch Normalization into the layer before it: one layer fewer, the same function."""

import copy
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments

__all__ = ["fold", "folded_weights"]

Linear = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class Norm(Protocol):
    """What is read of a BN layer, whose it may be."""

    weight: Tensor | None
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor
    eps: float
    training: bool


def folded_weights(
    weight: Tensor,
    bias: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: Tensor | float,
) -> tuple[Tensor, Tensor]:
    """Weights and bias of the one layer that does what the layer and its BN do in evaluation.

        w' = w * gamma / sqrt(var + eps)        b' = beta + (b - mean) * gamma / sqrt(var + eps)

    Put z = W u + b into y = gamma * (z - mean) / sqrt(var + eps) + beta and sort the terms. Each
    output has a factor of its own, so every row of W is scaled by one number.

    Args:
        weight: (d, inputs) or, of a convolution, (c, inputs, ...): outputs first.
        bias, gamma, beta, mean, var: (d,) or (c,); var as the BN layer uses it in evaluation.
        eps: the BN layer's own, number or scalar tensor.

    Returns:
        w' and b', shaped like weight and bias; NaN where var + eps < 0.

    Raises:
        TypeError: unless all but eps are tensors of floating-point numbers.
        ValueError: for a vector that is not (d,).

    Source: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference", section 3.2.
    """
    arguments.like("weight", weight)
    vectors = {"bias": bias, "gamma": gamma, "beta": beta, "mean": mean, "var": var}
    for name, vector in vectors.items():
        arguments.floats(name, vector, *weight.shape[:1])
    factor = gamma / torch.sqrt(var + eps)  # (d,)
    column = (-1,) + (1,) * (weight.ndim - 1)  # lines (d,) up with the first axis of weight
    return weight * factor.reshape(column), beta + (bias - mean) * factor


def fold(layer: nn.Module, bn: nn.Module) -> nn.Module:
    """A new layer equal to `bn(layer(x))` in evaluation mode. Neither argument is changed.

    Args:
        layer: Linear or Conv1d, 2d, 3d, with a bias or without. A transposed convolution has its
            outputs on the second axis of the weight and is refused.
        bn: the layer that follows it: `bnviz.maths.nets.BatchNorm`, or PyTorch's with running
            statistics.

    Returns:
        A layer of the same kind, with a bias, in evaluation mode.

    Raises:
        TypeError: for another kind of layer.
        ValueError: if the numbers of features differ, bn keeps no running statistics or a variance
            below 0, or either is in training mode: then BN normalises with the batch, and no fixed
            weights do that.

    >>> bn = nn.BatchNorm1d(1).eval()
    >>> _ = bn.running_mean.fill_(3.0), bn.running_var.fill_(4.0)
    >>> one = fold(nn.Linear(1, 1).eval(), bn)
    >>> one.bias.shape
    torch.Size([1])
    """
    linear, norm = _checked(layer, bn)
    outputs = linear.weight.shape[0]
    ones, zeros = linear.weight.new_ones(outputs), linear.weight.new_zeros(outputs)
    gamma, beta = (ones, zeros) if norm.weight is None else (norm.weight, norm.bias)
    bias = zeros if linear.bias is None else linear.bias
    with torch.no_grad():
        weight, bias = folded_weights(
            linear.weight, bias, gamma, beta, norm.running_mean, norm.running_var, norm.eps
        )
    folded = copy.deepcopy(linear)
    folded.weight, folded.bias = nn.Parameter(weight), nn.Parameter(bias)
    return folded.eval()


def _checked(layer: nn.Module, bn: nn.Module) -> tuple[Linear, Norm]:
    if not isinstance(layer, Linear):
        raise TypeError(f"cannot fold into a {type(layer).__name__}: use Linear or Conv1d, 2d, 3d")
    mean = getattr(bn, "running_mean", None)
    if mean is None:
        raise ValueError(f"{type(bn).__name__} has no running statistics: there is nothing to fold")
    if layer.weight.shape[0] != len(mean):
        raise ValueError(
            f"the layer gives {layer.weight.shape[0]} features, bn takes {len(mean)}: "
            "fold a BN into the layer right before it"
        )
    norm = cast(Norm, bn)
    if not (norm.running_var >= 0).all():
        raise ValueError(f"bn's running variance holds {norm.running_var.min()}, must be >= 0")
    if layer.training or norm.training:
        raise ValueError("layer and bn must be in evaluation mode: call eval() on both first")
    return layer, norm
