"""How far two results are apart, in words that every processor prints alike."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["gap"]


def gap(ours: ArrayLike, theirs: ArrayLike, below: float = 1e-12) -> str:
    """The largest absolute difference, max |ours - theirs|, to one digit.

    What rounding leaves differs from processor to processor. So where it is smaller than `below`,
    this says "below 1e-12" and no more. In double precision, sums of some hundred numbers of size
    one are good to about 1e-14.

    Args:
        ours, theirs: of shapes that broadcast, any unit.
        below: what counts as rounding.

    Raises:
        ValueError: a number that is not finite, on either side; it would hide every other.

    >>> gap([1.0, 2.0], [1.0, 2.5])
    '0.5'
    >>> gap(1 / 3, 0.3333333333333333)
    'below 1e-12'
    """
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a result is not finite: look at it before you compare it")
    largest = float(np.abs(a - b).max())
    return f"below {below:.0e}".replace("e-0", "e-") if largest < below else f"{largest:.1g}"
