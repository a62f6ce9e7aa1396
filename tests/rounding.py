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


def moved_by_rounding(function, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """How far each output moves when every input is one rounding error off, up or down: `scale`.

    For outputs whose terms are not at hand, such as those of a network, or which amplify rounding:
    n such errors move them n times as far, at most.
    """
    generator = torch.Generator().manual_seed(0)
    off = {}
    for name, value in values.items():
        signs = torch.randint(0, 2, value.shape, generator=generator) * 2 - 1
        off[name] = value * (1 + torch.finfo(value.dtype).eps * signs)
    return (function(off) - function(values)).abs()
