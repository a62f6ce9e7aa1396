"""A record of any length in a fixed number of columns: when it is full, pairs of columns merge."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["History"]

Array = NDArray[np.floating]


class History:
    """Values over steps, kept as the means of `stride` consecutive ones.

    The stride begins at 1 and doubles whenever `capacity` columns are full, so the whole run stays
    in view. `page/history.js` is the same class for the page.

    Args:
        capacity: largest number of columns; even.
        every: steps between two values.

    >>> h = History(capacity=2)
    >>> for value in (1.0, 3.0, 5.0):
    ...     h.append(value)
    >>> h.values().tolist(), h.steps().tolist(), h.extent
    ([2.0, 5.0], [1.5, 3.5], 4)
    """

    def __init__(self, capacity: int, every: int = 1):
        if capacity < 2 or capacity % 2:
            raise ValueError(f"capacity must be even and at least 2, got {capacity}")
        self.capacity, self.every, self.stride = capacity, every, 1
        self._columns: list[Array] = []
        self._in_last = 0  # values averaged in the last column

    def append(self, value: ArrayLike) -> None:
        """Add the next value: a number or an array, always of one shape."""
        column = np.asarray(value, dtype=np.float32).copy()  # the caller may reuse its memory
        if self._columns and self._in_last < self.stride:
            self._in_last += 1
            self._columns[-1] = self._columns[-1] + (column - self._columns[-1]) / self._in_last
            return
        if len(self._columns) == self.capacity:
            even, odd = self._columns[::2], self._columns[1::2]
            self._columns = [(a + b) / 2 for a, b in zip(even, odd, strict=True)]
            self.stride *= 2
        self._columns.append(column)
        self._in_last = 1

    def values(self, *place: int) -> Array:
        """(columns,) of numbers, or (columns, ...) of arrays; of these, the element at `place`."""
        columns = np.array(self._columns, dtype=np.float32)
        return columns[:, *place] if len(columns) else columns

    def steps(self) -> Array:
        """The middle of the steps that each column covers, (columns,); the first step is 1."""
        left = np.arange(len(self._columns)) * self.stride
        return self.every * (left + (self.stride + 1) / 2)

    @property
    def extent(self) -> int:
        """Steps that fit before the next merge: the right end of a time axis."""
        return self.capacity * self.stride * self.every
