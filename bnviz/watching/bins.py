"""Histograms of one layer over time, on one range that grows with the data."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BINS", "Bins"]

BINS = 128  # even: when the range doubles, pairs of bins merge
_ENOUGH = 0.01  # a share of values outside that makes the range grow
_SPREADS = 4.0  # the range reaches so many standard deviations, if the values do


class Bins:
    """Rows of counts on a common range, with what fell below and above it.

    The range comes from the first values. It doubles, to the left or to the right, when more than
    1 % of the values lie outside; two bins then become one, in the rows so far as well, and no
    count is lost or guessed. What an earlier row had outside stays outside.

    Attributes:
        low, high: the range; both nan before the first values.
        rows: (128,) whole numbers for each record.
        outside: (below, above) for each record.

    >>> bins = Bins()
    >>> bins.add([torch.linspace(-1, 1, 1000)])
    >>> int(bins.rows[0].sum()), bins.outside[0]
    (1000, (0, 0))
    """

    def __init__(self) -> None:
        self.low = self.high = math.nan
        self.rows: list[NDArray[np.int64]] = []
        self.outside: list[tuple[int, int]] = []

    def add(self, parts: list[Tensor]) -> None:
        """Another record: finite float32 values on the CPU, a part for each call."""
        if math.isnan(self.low):
            self._begin(parts)
        self._append(parts)
        values = sum(len(part) for part in parts)
        if sum(self.outside[-1]) > _ENOUGH * values:
            self._grow(parts)
            del self.rows[-1], self.outside[-1]
            self._append(parts)

    def skip(self) -> None:
        """A record in which the layer did not run."""
        self.rows.append(np.zeros(BINS, dtype=np.int64))
        self.outside.append((0, 0))

    def keep_every_second(self) -> None:
        """Forget the second, the fourth, ... record."""
        self.rows, self.outside = self.rows[::2], self.outside[::2]

    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin, (128,)."""
        width = (self.high - self.low) / BINS
        return self.low + width * (np.arange(BINS, dtype=np.float64) + 0.5)

    def density(self, record: int) -> NDArray[np.float64]:
        """One row as a density over all values of that record, those outside included, (128,)."""
        row = self.rows[record]
        n = row.sum() + sum(self.outside[record])
        width = (self.high - self.low) / BINS
        return row / (n * width) if n else row.astype(np.float64)

    def percentiles(self, records: list[int], shares: tuple[float, ...]) -> NDArray[np.float64]:
        """Percentiles of some records, to the width of a bin; nan where one lies outside.

        Args:
            records: numbers of records, from 0; negative from the end.
            shares: 0 to 1.

        Returns:
            (shares, records).
        """
        counts = np.array([[self.outside[k][0], *self.rows[k]] for k in records], dtype=np.float64)
        n = counts.sum(1) + [self.outside[k][1] for k in records]
        edges = np.linspace(self.low, self.high, BINS + 1)
        below = counts.cumsum(1)  # at each edge
        found = [
            [
                np.interp(share * m, row, edges, left=np.nan, right=np.nan) if m else np.nan
                for row, m in zip(below, n, strict=True)
            ]
            for share in shares
        ]
        return np.array(found)

    def state(self) -> dict[str, Any]:
        """Everything as arrays, for a file."""
        return {
            "range": np.array([self.low, self.high]),
            "rows": np.array(self.rows, dtype=np.int64).reshape(-1, BINS),
            "outside": np.array(self.outside, dtype=np.int64).reshape(-1, 2),
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> "Bins":
        """What `state` described."""
        bins = cls()
        bins.low, bins.high = (float(v) for v in state["range"])
        bins.rows = list(state["rows"])
        bins.outside = [(int(a), int(b)) for a, b in state["outside"]]
        return bins

    def _begin(self, parts: list[Tensor]) -> None:
        v = torch.cat(parts)
        if not len(v):
            return
        low, high = _reach(v)
        if not high > low:  # all values are equal
            pad = max(abs(low), 1.0) * 0.5
            low, high = low - pad, high + pad
        self.low, self.high = low, high

    def _append(self, parts: list[Tensor]) -> None:
        if math.isnan(self.low):
            return self.skip()
        counts = np.zeros(BINS, dtype=np.int64)
        below = above = 0
        for v in parts:
            # histc counts both ends in, and nothing outside
            counts += torch.histc(v, BINS, self.low, self.high).numpy().astype(np.int64)
            below += int((v < self.low).sum())
            above += int((v > self.high).sum())
        self.rows.append(counts)
        self.outside.append((below, above))

    def _grow(self, parts: list[Tensor]) -> None:
        low, high = _reach(torch.cat(parts))
        while low < self.low or high > self.high:
            width = self.high - self.low
            if not math.isfinite(2 * width):
                return
            left = self.low - low > high - self.high  # to the side where more is missing
            if left:
                self.low -= width
            else:
                self.high += width
            self.rows = [_merged(row, left=left) for row in self.rows]


def _reach(v: Tensor) -> tuple[float, float]:
    """As far as the values go, but not much beyond what is usual among them."""
    std, mean = (s.item() for s in torch.std_mean(v.double(), correction=0))
    low, high = (s.item() for s in torch.aminmax(v))
    return max(low, mean - _SPREADS * std), min(high, mean + _SPREADS * std)


def _merged(row: NDArray[np.int64], *, left: bool) -> NDArray[np.int64]:
    pairs = row.reshape(-1, 2).sum(1)
    empty = np.zeros_like(pairs)
    return np.concatenate([empty, pairs] if left else [pairs, empty])
