"""VGG-11 for images of 32 x 32, at any width, with BN behind every convolution or without.

`torch.nn`'s own layers stand here, not those of `nets`: at this size a step takes a tenth of a
second, and their kernels are twice as fast. No page trains it.
"""

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths import prng
from bnviz.maths.noisy import ChannelNoise

__all__ = ["VGG", "scaled", "start_of"]

_CHANNELS = (64, None, 128, None, 256, 256, None, 512, 512, None, 512, 512, None)  # None: pool
_HIDDEN = 512  # units of the two fully connected layers


class VGG(nn.Module):
    """Eight 3 x 3 convolutions, each with BN (or not) and ReLU, five pools, three linear layers.

    (m, 3, 32, 32) -> (m, classes). BN stands between a convolution and its ReLU, and the
    convolution has no bias then; the linear layers have no BN.

    Args:
        norm: BN behind every convolution.
        width: factor on the number of channels and hidden units; each is at least 1.
        classes: outputs, at least 2.
        noise: seed of the noise behind every BN, see `noisy.ChannelNoise`; None for no noise.

    Raises:
        TypeError: for arguments of another kind.
        ValueError: for width <= 0, classes < 2, noise without norm, and input of another shape.

    Source: Simonyan and Zisserman (2015), configuration A, with the head that is usual for
    CIFAR-10 (512, 512); Santurkar et al. (2018) compare it with and without BN.

    >>> VGG(norm=True, width=1 / 16)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        norm: bool = False,
        width: float = 1.0,
        classes: int = 10,
        noise: int | None = None,
    ):
        super().__init__()
        if noise is not None and not norm:
            raise ValueError("noise goes after BN, and this net has none; build it with norm=True")
        arguments.number("width", width, 0, above=True)
        arguments.whole("classes", classes, 2)
        layers: list[nn.Module] = []
        inputs = 3
        for channels in _CHANNELS:
            if channels is None:
                layers.append(nn.MaxPool2d(2))
                continue
            outputs = scaled(channels, width)
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm))
            layers += [nn.BatchNorm2d(outputs)] if norm else []
            layers += [ChannelNoise(outputs, len(layers), noise)] if noise is not None else []
            layers.append(nn.ReLU())
            inputs = outputs
        hidden = scaled(_HIDDEN, width)
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )
        # the order (m, h, w, c) in memory makes convolutions on a CPU a third faster
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Tensor:
        arguments.like("x", x, next(self.parameters()))
        arguments.tensor("x", x, "m", 3, 32, 32)
        x = self.features(x.contiguous(memory_format=torch.channels_last))  # (m, c, 1, 1)
        return self.head(x.flatten(1))

    def start(self, seed: int, gain: float = 1.0) -> dict[str, Tensor]:
        """Starting values for all that is learned or tracked: He's normal numbers times a gain.

        Variance 2 / fan_in for every weight but the last layer's, which has 1 / fan_in; biases 0,
        gamma 1, beta 0. `net.load_state_dict(net.start(seed))` puts them in place.

        Raises TypeError or ValueError for a seed or a gain that cannot be, as `nets.initialise`.

        Source: He et al. (2015), Delving deep into rectifiers.
        """
        return start_of(self, seed, gain)


def start_of(net: nn.Module, seed: int, gain: float = 1.0) -> dict[str, Tensor]:
    """He's normal numbers times a gain for any network; see `VGG.start`."""
    arguments.number("gain", gain, 0)
    state = {k: v.detach().clone() for k, v in net.state_dict().items()}
    weights = {k: v for k, v in state.items() if v.ndim >= 2}
    sizes = [w.numel() for w in weights.values()]
    key = torch.tensor(arguments.seed_number(seed))
    drawn = torch.split(prng.normal((sum(sizes),), key, stream=0), sizes)
    *_, last = weights
    for (name, w), z in zip(weights.items(), drawn, strict=True):
        factor = 1.0 if name == last else gain * 2**0.5
        state[name] = (factor * w[0].numel() ** -0.5 * z.reshape(w.shape)).to(w)
    for name in state:
        if name.endswith(".bias"):
            state[name] = torch.zeros_like(state[name])
    return state


def scaled(channels: int, width: float) -> int:
    """Channels at a width, at least 1."""
    return max(1, round(channels * width))
