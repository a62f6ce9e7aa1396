"""Fold Batch Normalization into the layer before it: one layer fewer, the same function."""

import copy
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from bnviz.maths import _arguments as arguments
from bnviz.maths.nets import BatchNorm

__all__ = ["fold", "folded_weights"]

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *_TRANSPOSED)
Linear = (
    nn.Linear
    | nn.Conv1d
    | nn.Conv2d
    | nn.Conv3d
    | nn.ConvTranspose1d
    | nn.ConvTranspose2d
    | nn.ConvTranspose3d
)
_PASSES = ("forward", "_conv_forward")
_NORMS = (_BatchNorm.forward, nn.SyncBatchNorm.forward, BatchNorm.forward)


class Norm(Protocol):
    """What is read of a BN layer, whose it may be."""

    weight: Tensor | None
    bias: Tensor | None
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
        weight: (d, inputs) or, of a convolution, (c, inputs / groups, ...): outputs first.
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

    A BN in FRONT of a layer is another matter: behind it, a convolution with zero padding sees 0
    outside of the map, and not what BN makes of 0, so that no fixed bias is right at its borders.

    Args:
        layer: Linear, Conv1d, 2d, 3d or a transposed one, of any groups, with a bias or without.
            Where its weight is computed (weight_norm, spectral_norm, other parametrizations), the
            weight that it has in evaluation mode is folded, and the new layer has a plain one.
        bn: the layer that follows it: `bnviz.maths.nets.BatchNorm`, PyTorch's with running
            statistics, or another one that in evaluation mode does as its running values say.

    Returns:
        A layer of the same kind and dtype, with a bias, in evaluation mode. Hooks that change what
        goes in or comes out are not looked for.

    Raises:
        TypeError: for another kind of layer, also for a subclass with a forward pass of its own;
            for a bn whose forward pass is not gamma (x - mean) / sqrt(var + eps) + beta.
        ValueError: if the numbers of features differ, bn keeps no running statistics or a variance
            below 0, or either is in training mode: then BN normalises with the batch, and no fixed
            weights do that.

    >>> bn = nn.BatchNorm1d(1).eval()
    >>> _ = bn.running_mean.fill_(3.0), bn.running_var.fill_(4.0)
    >>> one = fold(nn.Linear(1, 1).eval(), bn)
    >>> one.bias.shape
    torch.Size([1])
    """
    linear, kind, norm = _checked(layer, bn)
    with torch.no_grad():
        effective, groups = _effective(linear, "weight"), getattr(linear, "groups", 1)
        transposed = isinstance(linear, _TRANSPOSED)
        weight = _outputs_first(effective, groups) if transposed else effective
        d = len(norm.running_mean)
        ones, zeros = weight.new_ones(d), weight.new_zeros(d)
        gamma, beta = (
            old if new is None else new for old, new in ((ones, norm.weight), (zeros, norm.bias))
        )
        bias = zeros if linear.bias is None else _effective(linear, "bias")
        weight, bias = folded_weights(
            weight, bias, gamma, beta, norm.running_mean, norm.running_var, norm.eps
        )
        weight = _inputs_first(weight, groups) if transposed else weight
        folded = _plain(linear, kind)
    folded.weight = nn.Parameter(weight.to(effective.dtype))
    folded.bias = nn.Parameter(bias.to(effective.dtype))
    return folded.eval()


def _outputs_first(weight: Tensor, groups: int) -> Tensor:
    """(inputs, outputs / groups, ...), as transposed convolutions have it, with outputs first."""
    parts = torch.stack(weight.chunk(groups))  # (groups, inputs / groups, outputs / groups, ...)
    return parts.transpose(1, 2).flatten(0, 1)


_inputs_first = _outputs_first  # the same once more leads back


def _effective(layer: nn.Module, name: str) -> Tensor:
    """A weight as the forward pass will use it, also where a hook computes it anew each time."""
    for hook in _hooks(layer):
        if isinstance(hook, WeightNorm) and hook.name == name:
            return cast(Tensor, hook.compute_weight(layer))
        if isinstance(hook, SpectralNorm) and hook.name == name:
            return hook.compute_weight(layer, do_power_iteration=False)
    return cast(Tensor, getattr(layer, name))


def _hooks(layer: nn.Module) -> list[Any]:
    """What runs before its forward pass."""
    return list(getattr(layer, "_forward_pre_hooks").values())  # noqa: B009  pyright: protected


def _plain(layer: Linear, kind: type[Linear]) -> Linear:
    """A copy of the layer whose weight and bias are parameters like others."""
    computed = any(isinstance(hook, (WeightNorm, SpectralNorm)) for hook in _hooks(layer))
    if not computed and not is_parametrized(layer):
        return copy.deepcopy(layer)
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, layer.out_features)
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    names += ("output_padding",) if isinstance(layer, _TRANSPOSED) else ()
    options = {name: getattr(layer, name) for name in names}
    make = cast("Callable[..., Linear]", kind)
    return make(layer.in_channels, layer.out_channels, layer.kernel_size, **options)


def _checked(layer: nn.Module, bn: nn.Module) -> tuple[Linear, type[Linear], Norm]:
    kind = next((k for k in _KINDS if isinstance(layer, k)), None)
    if kind is None or not isinstance(layer, Linear):
        raise TypeError(
            f"cannot fold into a {type(layer).__name__}: use Linear, Conv or ConvTranspose"
        )
    if any(getattr(type(layer), n, None) is not getattr(kind, n, None) for n in _PASSES):
        raise TypeError(
            f"{type(layer).__name__} has a forward pass of its own, which may use another weight: "
            f"copy its effective weight into a {kind.__name__} first"
        )
    mean = getattr(bn, "running_mean", None)
    if mean is None:
        hint = " (track_running_stats=False)" if isinstance(bn, _BatchNorm) else ""
        raise ValueError(
            f"{type(bn).__name__} has no running statistics{hint}: there is nothing to fold"
        )
    outputs = layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
    if outputs != len(mean):
        raise ValueError(
            f"the layer gives {outputs} features, bn takes {len(mean)}: "
            "fold a BN into the layer right before it"
        )
    norm = cast(Norm, bn)
    if not (norm.running_var >= 0).all():
        raise ValueError(f"bn's running variance holds {norm.running_var.min()}, must be >= 0")
    if layer.training or norm.training:
        raise ValueError("layer and bn must be in evaluation mode: call eval() on both first")
    if type(bn).forward not in _NORMS:
        _probe(layer, bn)
    return layer, kind, norm


def _probe(layer: Linear, bn: nn.Module) -> None:
    """Raise TypeError if a bn that is not known here does not do what its running values say."""
    norm = cast(Norm, bn)
    places = layer.weight.ndim - 2
    z = torch.linspace(-3, 3, 2 * len(norm.running_mean)).reshape(2, -1, *[1] * places)
    z = z.to(norm.running_mean)
    with torch.no_grad():
        expected = F.batch_norm(
            z, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
        if not torch.allclose(bn(z), expected, rtol=1e-3, atol=1e-3):
            raise TypeError(
                f"{type(bn).__name__} does something else than Batch Normalization in evaluation "
                "mode: it cannot be folded"
            )
