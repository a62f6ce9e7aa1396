"""How far two right computations may differ: by rounding, and by nothing else.

A sum of n numbers in a format of precision eps is off by at most n * eps / 2 * (|x_1| + ... +
|x_n|), whatever its order (Higham, "Accuracy and Stability of Numerical Algorithms", section 4.2).
Another processor takes another order, or keeps a product exact on its way into a sum; so two
results differ by at most twice that. A mean, and a product of few factors, count likewise.
"""

import numpy as np
import torch

__all__ = ["limit", "moved_by_rounding"]


def limit(dtype, terms: int, scale: float = 1.0) -> float:
    """The largest difference of two sums of the same terms: eps * terms * scale.

    Args:
        dtype: of NumPy or PyTorch; the format in which the sums are taken.
        terms: how many numbers are added; where sums follow each other, of all of them together.
        scale: what the sizes of the terms add up to; for a mean, the mean of their sizes.
    """
    info = torch.finfo if isinstance(dtype, torch.dtype) else np.finfo
    return float(info(dtype).eps) * terms * float(scale)


def moved_by_rounding(function, values: dict[str, torch.Tensor], terms: int) -> dict[str, float]:
    """How far each output of `function` moves when its inputs are off by rounding.

    For a network, whose terms are not at hand. Sums of so many terms give the exact result for
    inputs that are off by terms * eps at most, as a share of themselves; what that makes of an
    output is seen by trying. It tells how much a division by next to nothing amplifies, and whether
    a unit stands so close to a kink that either side is right.
    """
    generator, right, moved = torch.Generator().manual_seed(0), function(values), {}
    for _ in range(16):
        off = {}
        for name, v in values.items():
            share = 2 * torch.rand(v.shape, generator=generator) - 1
            off[name] = v * (1 + limit(v.dtype, terms) * share)
        for name, value in function(off).items():
            far = (value - right[name]).abs().nan_to_num(0, 0, 0).max().item()
            moved[name] = max(far, moved.get(name, 0.0))
    return moved
