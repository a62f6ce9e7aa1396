"""Random weights by exact arithmetic, in float64, for figures of untrained deep networks.

Deep networks amplify rounding errors: two hosts that drew weights with other last digits would soon
show different networks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from bnviz.maths import prng

__all__ = ["exactly", "weights"]


def weights(seed: Tensor, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Matrices of these shapes, (outputs, inputs), with mean 0 and variance 1 / inputs.

    Uniform, as PyTorch's own starting weights are: sqrt(12 / inputs) (u - 1/2), u in (0, 1].
    """
    sizes = [rows * columns for rows, columns in shapes]
    parts = prng.uniform((sum(sizes),), seed, stream=0).double().split(sizes)
    return [
        exactly((12 / shape[1]) ** 0.5) * (part - 0.5).reshape(shape)
        for part, shape in zip(parts, shapes, strict=True)
    ]


def exactly(number: float) -> Tensor:
    """A float64 tensor: beside float32, a number of Python's would become float32 as well."""
    return torch.tensor(number, dtype=torch.float64)
