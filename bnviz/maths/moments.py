"""Mean and biased variance, and what is normalised with them: BN where it is a means to an end.

`batchnorm` and `nets.BatchNorm` write the same out step by step, for those who want to see it. Here
and there plain operations do it, so that they can be compiled as they stand.
"""

import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments

__all__ = ["moments", "normalise"]


def moments(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (divided by the number of values) along one axis, which goes.

    Raises TypeError unless x is a tensor of floating-point numbers.

    >>> moments(torch.tensor([[1.0, 0.0], [3.0, 0.0]]), 0)
    (tensor([2., 0.]), tensor([1., 0.]))
    """
    arguments.like("x", x)
    mean = x.mean(axis)
    centred = x - (mean.unsqueeze(axis) if axis else mean)  # along axis 0 they line up as they are
    return mean, centred.square().mean(axis)


def normalise(x: Tensor, axis: int, eps: Tensor | float) -> Tensor:
    """x_hat = (x - mean) / sqrt(var + eps), with both along one axis; the shape of x.

    Raises TypeError unless x is a tensor of floating-point numbers.

    >>> normalise(torch.tensor([1.0, 3.0]), 0, eps=0.0)
    tensor([-1.,  1.])
    """
    arguments.like("x", x)
    centred = x - x.mean(axis, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(axis, keepdim=True) + eps)
