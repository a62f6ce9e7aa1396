"""Network in Network for images of 32 x 32, at any width, with BN or without."""

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths.vgg import scaled, start_of

__all__ = ["NIN"]

# Three blocks: channels and side of a first convolution, channels of two of side 1, a pool.
_BLOCKS = ((192, 5, 160, 96), (192, 5, 192, 192), (192, 3, 192, None))


class NIN(nn.Module):
    """Three blocks of a convolution and two of side 1, each with BN (or not) and ReLU.

    (m, 3, 32, 32) -> (m, classes). The last convolution has a channel for each class, and their
    means over the map are the logits. Two pools halve the map. No Dropout.

    Args:
        norm, width, classes: as of `vgg.VGG`.

    Raises:
        TypeError, ValueError: as `vgg.VGG`.

    Source: Lin, Chen and Yan (2014), Network in network, for CIFAR-10.

    >>> NIN(norm=True, width=1 / 16)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(self, *, norm: bool = False, width: float = 1.0, classes: int = 10):
        super().__init__()
        arguments.number("width", width, 0, above=True)
        arguments.whole("classes", classes, 2)
        layers: list[nn.Module] = []
        inputs = 3
        for channels, side, second, third in _BLOCKS:
            plan = [(channels, side), (second, 1), (third, 1)]
            for outputs, k in plan:
                if outputs is None:
                    layers.append(nn.Conv2d(inputs, classes, 1))
                    continue
                outputs = scaled(outputs, width)
                layers.append(nn.Conv2d(inputs, outputs, k, padding=k // 2, bias=not norm))
                layers += [nn.BatchNorm2d(outputs)] if norm else []
                layers.append(nn.ReLU())
                inputs = outputs
            if third is not None:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor) -> Tensor:
        arguments.like("x", x, next(self.parameters()))
        arguments.tensor("x", x, "m", 3, 32, 32)
        maps = self.features(x.contiguous(memory_format=torch.channels_last))  # (m, classes, h, w)
        return maps.mean((2, 3))

    def start(self, seed: int, gain: float = 1.0) -> dict[str, Tensor]:
        """As `vgg.VGG.start`."""
        return start_of(self, seed, gain)
