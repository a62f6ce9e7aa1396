"""The list of cases: an id, what went wrong for people, and a function that tries it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bnviz.maths.nets import BatchNorm

CASES: dict[str, "Case"] = {}
KINDS = (nn.BatchNorm1d, BatchNorm)


@dataclass(frozen=True)
class Case:
    """`REPOSITORY-NUMBER` of a public report; one line; a function that asserts the right value."""

    report: str
    story: str
    run: Callable[[], None]


def case(report: str, story: str):
    """Put a function into the list. A report may have several: "pytorch-1206 b"."""

    def add(run):
        assert report not in CASES
        CASES[report] = Case(report, story, run)
        return run

    return add


def data(*shape, seed=0, level=2.0, spread=3.0) -> torch.Tensor:
    """Seeded normal numbers in float64."""
    generator = torch.Generator().manual_seed(seed)
    return level + spread * torch.randn(*shape, generator=generator, dtype=torch.float64)


def close(a, b, **limits) -> None:
    """Equal up to rounding in float32, unless told otherwise."""
    limits = limits or {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(
        torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64), **limits
    )
