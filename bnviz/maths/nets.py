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
from bnviz.maths import prng

__all__ = ["ACTIVATIONS", "MLP", "Activation", "BatchNorm", "activate", "initialise"]

ACTIVATIONS = ("sigmoid", "tanh", "relu")
_PLACEMENTS = ("before", "after")


class BatchNorm(nn.Module):
    """Batch normalisation of (m, d) features or (m, c, h, w) channels.

    Training:   x_hat = (x - mu_B) / sqrt(var_B + eps),  y = weight * x_hat + bias
    Evaluation: the same with running_mean and running_var in place of mu_B and var_B.

    mu_B and var_B are the mean and the biased variance over all axes but the second. Training moves
    the running values by `momentum`, the weight of the NEW value; the running variance takes the
    unbiased batch variance, as PyTorch's own does.

    Args:
        features: d or c, at least 1.
        eps: added to the variance, finite and > 0.
        momentum: weight of the new value in the running averages, in [0, 1].

    What is not finite makes its feature NaN. So does no value that is: but where squares overflow
    (above 1e19 in float32) the variance is infinite and x_hat 0.

    Raises:
        TypeError: for arguments that are no numbers, and for input that is no tensor of the kind of
            floating-point number that the layer has.
        ValueError: for arguments out of range, input of another shape, or, in training, a
            batch with one value per feature (its variance is 0: there is nothing to normalise).

    Source: Ioffe and Szegedy (2015), Algorithms 1 and 2.

    >>> bn = BatchNorm(1)
    >>> [round(y, 4) for y in bn(torch.tensor([[1.0], [3.0]])).flatten().tolist()]
    [-1.0, 1.0]
    """

    running_mean: Tensor
    running_var: Tensor
    momentum: Tensor

    def __init__(self, features: int, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        arguments.whole("features", features, 1)
        if not arguments.finite(eps) or eps <= 0:
            raise ValueError(f"eps must be > 0 and finite, got {eps}; PyTorch's default is 1e-5")
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum, the weight of the new value, lies in [0, 1]: {momentum}")
        self.features, self.eps = features, eps
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        # a buffer, so that a simulation can hand in another value at every step
        self.register_buffer("momentum", torch.tensor(float(momentum)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        arguments.like("x", x, self.running_mean)
        if x.ndim not in (2, 4) or x.shape[1] != self.features:
            raise ValueError(
                f"expected (m, {self.features}) or (m, {self.features}, h, w), got {tuple(x.shape)}"
            )
        if self.training:
            centred, var = self._centred(x)
        else:
            centred, var = x - _column(self.running_mean, x), self.running_var
        x_hat = centred * _column(torch.rsqrt(var + self.eps), x)
        return _column(self.weight, x) * x_hat + _column(self.bias, x)

    def _centred(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x - mu_B and var_B; the running statistics move."""
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
        self.running_mean = torch.lerp(self.running_mean, mean.detach(), self.momentum)
        unbiased = var.detach() * (n / (n - 1))
        self.running_var = torch.lerp(self.running_var, unbiased, self.momentum)
        return centred, var


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
