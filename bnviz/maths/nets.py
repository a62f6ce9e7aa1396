"""Networks of the book in PyTorch: BatchNorm from plain tensor ops, activations, an MLP.

`torch.nn.BatchNorm1d` would do the same in a kernel. It is written out here because readers should
see it, and because plain operations can be compiled for the page, with their gradients.
"""

import itertools
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths import _overflow as overflow
from bnviz.maths import prng
from bnviz.maths._torch_norm import TorchNorm

__all__ = ["ACTIVATIONS", "MLP", "Activation", "BatchNorm", "activate", "initialise"]

ACTIVATIONS = ("sigmoid", "tanh", "relu")
_PLACEMENTS = ("before", "after")


class BatchNorm(TorchNorm):
    """Batch normalisation of (m, d) features or (m, c, h, w) channels.

    Training:   x_hat = (x - mu_B) / sqrt(var_B + eps),  y = weight * x_hat + bias
    Evaluation: the same with running_mean and running_var in place of mu_B and var_B.

    mu_B and var_B are the mean and the biased variance over all axes but the second. Training moves
    the running values by `momentum`, the weight of the NEW value; the running variance takes the
    unbiased batch variance, as PyTorch's own does. With momentum None the weight is 1/k in batch k,
    which `num_batches_tracked` counts: every batch counts the same.

    Args:
        num_features: d or c, at least 1.
        eps: added to the variance, finite and > 0; may be assigned later.
        momentum: weight of the new value in the running averages, in [0, 1], or None; kept as a
            tensor, and may be assigned later as a number.
        affine: whether there are weight and bias; None otherwise.
        track_running_stats: whether there are running values; without, evaluation normalises with
            the batch, too.
        device, dtype: of all of them.
        bias: with False, bias alone is None.

    What is not finite makes its feature NaN. No finite value does: where squares overflow, or eps
    is lost beside 0, x is measured in a unit of its own. A running value that its number format
    cannot hold (a variance above 3e38 in float32, 65504 in float16) is kept as the largest one that
    it can; evaluation is then far too small, until `reestimate` measures other data. In a graph,
    where values cannot be looked at, variances overflow to infinity, x_hat is then 0, and a
    negative running variance gives NaN.

    For PyTorch's tools this is a Batch Normalization: `update_bn`, `convert_sync_batchnorm` (which
    puts PyTorch's own layer in its place) and `fuse_conv_bn_eval` work; state dicts fit both ways.
    `torch.ao.quantization.fuse_modules` goes by exact types and refuses: give it a
    `torch.nn.BatchNorm2d` that has loaded this layer's state dict.

    Raises:
        TypeError: for arguments that are no numbers, and for input that is no tensor of the kind of
            floating-point number that the layer has.
        ValueError: for arguments out of range, input of another shape, in training a batch with
            one value per feature (its variance is 0: there is nothing to normalise), in evaluation
            a running variance below 0.

    Source: Ioffe and Szegedy (2015), Algorithms 1 and 2.

    >>> bn = BatchNorm(1)
    >>> [round(y, 4) for y in bn(torch.tensor([[1.0], [3.0]])).flatten().tolist()]
    [-1.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        x = input
        tracked = self._buffers["running_mean"] is not None
        if tracked or self.affine:
            arguments.like("x", x, self.running_mean if tracked else self.weight)
        if x.ndim not in (2, 4) or x.shape[1] != self.num_features:
            d = self.num_features
            raise ValueError(f"expected (m, {d}) or (m, {d}, h, w), got {tuple(x.shape)}")
        if self.training or not tracked:
            x_hat = self._normalised_with_batch(x)
        else:
            x_hat = x - _column(self.running_mean, x)
            x_hat = x_hat * _column(torch.rsqrt(self.running_var + self.eps), x)
            if overflow.values_known(x):
                x_hat = overflow.mended(x_hat, x, self.running_mean, self.running_var, self.eps)
        weight, bias = (self._parameters[name] for name in ("weight", "bias"))
        if weight is None:
            return x_hat
        y = _column(weight, x) * x_hat
        return y if bias is None else y + _column(bias, x)

    def _normalised_with_batch(self, x: Tensor) -> Tensor:
        """(x - mu_B) / sqrt(var_B + eps); in training, the running statistics move."""
        axes = (0, *range(2, x.ndim))
        n = x.numel() // x.shape[1]
        if n < 2:
            raise ValueError(
                f"training needs at least 2 values per feature, got shape {tuple(x.shape)}; "
                "use a larger batch, or eval() to normalise with the running statistics"
            )
        mean = x.mean(axes)  # (d,)
        centred = x - _column(mean, x)
        var = (centred**2).mean(axes)  # (d,), biased: divided by n
        unit = None
        if overflow.values_known(x) and overflow.lost(var, self.eps):
            unit, mean, centred, var = overflow.in_units(x)
        if self.training and self.track_running_stats:
            self._track(mean, var, n, unit)
        if unit is not None:
            return centred * _column(overflow.inverse_root(var, self.eps, unit), x)
        return centred * _column(torch.rsqrt(var + self.eps), x)

    def _track(self, mean: Tensor, var: Tensor, n: int, unit: Tensor | None) -> None:
        """Move the running values towards those of a batch of n values, var being biased."""
        weight, old = self.weight_of_batch(), (self.running_mean, self.running_var)
        if unit is not None:
            mean, var = overflow.unscaled(mean, var, unit)
        self.running_mean = torch.lerp(self.running_mean, mean.detach(), weight)
        unbiased = var.detach() * (n / (n - 1))
        self.running_var = torch.lerp(self.running_var, unbiased, weight)
        if overflow.values_known(mean) and not self.running_values_are_finite():
            self.running_mean = overflow.average(old[0], mean.detach(), weight)
            self.running_var = overflow.average(old[1], unbiased, weight)


def _column(v: Tensor, x: Tensor) -> Tensor:
    """v, (d,), lined up with the second axis of x, (m, d) or (m, d, h, w)."""
    return v if x.ndim == 2 else v[:, None, None]


def activate(v: Tensor, index: Tensor, *, fast: bool = False) -> Tensor:
    """Sigmoid, tanh or ReLU of v, chosen by a number, so that one traced graph serves all three.

    Args:
        v: of any shape.
        index: into `ACTIVATIONS`, a scalar; not looked at.
        fast: the first two as one function, sigmoid(v) = (1 + tanh(v / 2)) / 2. Where activations
            are much of the work, that saves a tenth to a fifth of the time; but it rounds a sigmoid
            to a multiple of 3e-8 (float32), and so to 0 below v = -18.

    Raises TypeError unless v is a tensor of floating-point numbers.

    >>> activate(torch.tensor([-1.0, 2.0]), torch.tensor(2.0)).tolist()
    [0.0, 2.0]
    """
    arguments.like("v", v)
    if fast:
        a = torch.where(index < 0.5, 0.5, 1.0).to(v.dtype)
        smooth = a * torch.tanh(a * v) + (1 - a)
    else:
        smooth = torch.where(index < 0.5, torch.sigmoid(v), torch.tanh(v))
    return torch.where(index < 1.5, smooth, torch.relu(v))


class Activation(nn.Module):
    """`activate` as a layer, which keeps the number in a buffer.

    Args:
        name: one of `ACTIVATIONS`.

    Raises ValueError for another name, TypeError for input that is no tensor of floating numbers.

    >>> Activation("relu")(torch.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    index: Tensor

    def __init__(self, name: str = "sigmoid"):
        super().__init__()
        if name not in ACTIVATIONS:
            raise ValueError(f"unknown activation {name!r}; choose from {ACTIVATIONS}")
        index = torch.tensor(float(ACTIVATIONS.index(name)))
        self.register_buffer("index", index, persistent=False)

    def forward(self, v: Tensor) -> Tensor:
        return activate(v, self.index)


def _linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


class _Layer(nn.Module):
    """Linear, then norm and activation in the order of `placement`."""

    def __init__(self, inputs: int, outputs: int, norm: bool, placement: str, activation: str):
        super().__init__()
        # A bias directly in front of BN is subtracted with the mean; one in front of g is not.
        self.linear = _linear(inputs, outputs, bias=not norm or placement == "after")
        self.norm = BatchNorm(outputs) if norm else nn.Identity()
        self.activation = Activation(activation)
        self.placement = placement

    def forward(self, x: Tensor) -> Tensor:
        if self.placement == "before":
            return self.activation(self.norm(self.linear(x)))
        return self.norm(self.activation(self.linear(x)))


class MLP(nn.Module):
    """A multilayer perceptron: hidden layers of one kind and a linear head.

    Args:
        sizes: features of the input, of every hidden layer, and the number of classes.
        norm: BatchNorm in every hidden layer.
        placement: "before" or "after" the activation; without norm it does not matter.
        activation: one of `ACTIVATIONS`.

    Raises:
        TypeError: for sizes that are no whole numbers, and input that is no tensor of the kind of
            floating-point number that the weights are.
        ValueError: for fewer than two sizes, a size below 1, an unknown placement or activation,
            and input of another shape than (m, sizes[0]).

    >>> MLP((64, 32, 10), norm=True)(torch.zeros(4, 64)).shape
    torch.Size([4, 10])
    """

    unscaled: ClassVar[tuple[str, ...]] = ("head",)  # `initialise` draws these with scale 1

    def __init__(
        self,
        sizes: tuple[int, ...] = (64, 64, 64, 64, 64, 64, 10),
        *,
        norm: bool = False,
        placement: str = "before",
        activation: str = "sigmoid",
    ):
        super().__init__()
        if len(sizes) < 2:
            raise ValueError(f"sizes names at least an input and an output width, got {sizes}")
        for size in sizes:
            arguments.whole("a size", size, 1)
        if placement not in _PLACEMENTS:
            raise ValueError(f"unknown placement {placement!r}; choose from {_PLACEMENTS}")
        layers = nn.ModuleList(
            _Layer(a, b, norm, placement, activation) for a, b in itertools.pairwise(sizes[:-1])
        )
        self.layers = cast(Sequence[_Layer], layers)
        self.head = _linear(sizes[-2], sizes[-1])
        self.inputs = sizes[0]

    def forward(self, x: Tensor) -> Tensor:
        arguments.like("x", x, self.head.weight)
        arguments.tensor("x", x, "m", self.inputs)
        for layer in self.layers:
            x = layer(x)  # (m, width)
        return self.head(x)  # (m, classes), logits

    @property
    def activations(self) -> list[Activation]:
        """The activation modules in order; their inputs are the pre-activations."""
        return [layer.activation for layer in self.layers]


def initialise(
    net: nn.Module, seed: Tensor | int, scale: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """Starting values for everything a network learns or tracks, as a new dict by name.

    Weight matrices and filters: scale / sqrt(fan_in) * standard normal, from `prng.normal`. What a
    class names in `unscaled`, such as `MLP` its head, keeps scale 1. All else keeps its value
    (gamma 1, biases 0). `net.load_state_dict(initialise(net, seed))` puts them in place.

    Args:
        net: any module; it is not changed.
        seed: whole number in [0, 2**32 - 2].
        scale: factor on the hidden layers' weights, >= 0.

    Raises:
        TypeError: for another kind of argument.
        ValueError: for a seed or a scale out of range; tensors are not looked at.

    >>> weights = initialise(MLP((64, 3, 2)), seed=0, scale=0.0)
    >>> [name for name, w in weights.items() if w.any()]  # no scale touches the head
    ['head.weight']
    """
    arguments.instance("net", net, nn.Module, "a torch.nn.Module")
    arguments.number("scale", scale, 0)
    seed = seed if isinstance(seed, Tensor) else torch.tensor(arguments.seed_number(seed))
    state = {name: value.detach().clone() for name, value in net.state_dict().items()}
    weights = {name: value for name, value in state.items() if value.ndim >= 2}
    unscaled = tuple(f"{module}." for module in getattr(net, "unscaled", ()))
    sizes = [w.numel() for w in weights.values()]
    parts = torch.split(prng.normal((sum(sizes),), seed, stream=0), sizes)
    for (name, w), z in zip(weights.items(), parts, strict=True):
        gain = 1.0 if name.startswith(unscaled) else scale
        state[name] = gain * w[0].numel() ** -0.5 * z.reshape(w.shape)
    return state
