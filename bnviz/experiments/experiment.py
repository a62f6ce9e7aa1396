"""What an experiment is: a grid of cells, a function of one cell, a summary of all rows."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Experiment", "Row", "Sweep", "between", "cells", "rounded"]

Row = dict[str, Any]
# Runs cells, perhaps many at once, and gives their rows in order; see `sweep.sweep`.
Sweep = Callable[[Callable[[Row], Row], Iterable[Row]], list[Row]]


@dataclass(frozen=True)
class Experiment:
    """A sweep, as data and two functions.

    Args:
        name: as on the command line and in the file name.
        title: one line.
        claims: which rows of the claims ledger rest on it, such as ("C07",).
        question: what it asks, in a sentence.
        settings: what is the same in every cell, for the reader of the result.
        grid: the values of each axis, the seed among them; every combination is one run.
        run: cell -> dict of numbers, strings, short lists; no other input, so that a cell can be
            computed alone, anywhere. NaN and infinity are stored as null.
        summarise: all rows (cell and result in one dict) -> dict, small; a pure function of the
            rounded rows, so that the stored summary can be computed from the stored rows.
        serial: run the cells one after the other, in one process: for measured times.
        digits: significant digits that are stored.
        options: what whoever runs it may choose, such as {"device": "cpu", "width": 0.25}; in every
            cell that `run` gets, and stored with the settings.
    """

    name: str
    title: str
    claims: tuple[str, ...]
    question: str
    settings: Mapping[str, Any]
    grid: Mapping[str, tuple]
    run: Callable[[Row], Row]
    summarise: Callable[[list[Row]], dict[str, Any]]
    serial: bool = False
    digits: int = 3
    notes: tuple[str, ...] = field(default=())
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells(self) -> tuple[Row, ...]:
        """One dict for each run."""
        return cells(self.grid)

    @property
    def runs(self) -> int:
        """How many trainings, or other runs, it takes."""
        return len(self.cells)

    def compute(self, sweep: Sweep) -> list[Row]:
        """A row for every cell."""
        light = replace(self, grid={})  # this is sent to the workers, once per cell
        return sweep(light.row, self.cells)

    def row(self, cell: Row) -> Row:
        """The cell and its result, rounded as they are stored."""
        return {**cell, **rounded(self.run({**self.options, **cell}), self.digits)}


def cells(grid: Mapping[str, Iterable]) -> tuple[Row, ...]:
    """Every combination of the values; the last axis changes fastest.

    >>> cells({"lr": (0.1, 1.0), "seed": (0,)})
    ({'lr': 0.1, 'seed': 0}, {'lr': 1.0, 'seed': 0})
    """
    return tuple(
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    )


def rounded(value: Any, digits: int = 3) -> Any:
    """Numbers to significant digits; NaN and infinity become None, 2.0 becomes 2.

    >>> rounded({"a": 0.123456, "b": [float("nan"), 12345.6, 2]})
    {'a': 0.123, 'b': [None, 12300, 2]}
    """
    if isinstance(value, Mapping):
        return {k: rounded(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    if isinstance(value, float):
        short = float(f"{value:.{digits}g}") if math.isfinite(value) else None
        return int(short) if short is not None and short.is_integer() else short
    return value


def between(values: Iterable[float | None], digits: int = 3) -> Row:
    """Median, smallest and largest of the values that are numbers, and how many there are.

    >>> between([3.0, None, 1.0, 2.0])
    {'median': 2, 'min': 1.0, 'max': 3.0, 'n': 3}
    """
    known = sorted(v for v in values if v is not None)
    if not known:
        return {"median": None, "min": None, "max": None, "n": 0}
    half = len(known) // 2
    median = known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
    return {
        "median": rounded(float(median), digits),
        "min": known[0],
        "max": known[-1],
        "n": len(known),
    }
