"""`shared-cells`: choose a value and a normaliser, and see who shares its mean."""

from functools import cache

import torch
from torch import Tensor

from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.templates.shared_cells import KINDS, SIDE, SIZE, shared_cells

__all__ = ["GROUPS", "SHARED_CELLS", "cells"]

GROUPS, EPS, REACH, STOPS = 2, 1e-5, 6.0, 49
PLACES = SIDE * SIDE


@cache
def cells() -> Tensor:
    """Four examples, four channels, four positions, to one decimal: (SIZE, SIZE, PLACES)."""
    x = prng.normal((SIZE, SIZE, PLACES), torch.tensor(3.0), stream=0)
    example = torch.tensor([1.2, -0.8, 0.2, -1.5])[:, None, None]
    channel = torch.tensor([0.6, -0.6, 1.0, -0.2])[:, None]
    return ((x + example + channel) * 10).round() / 10


def compute(
    kind: Tensor, example: Tensor, channel: Tensor, place: Tensor, changed: Tensor, change: Tensor
) -> dict[str, Tensor]:
    """Who shares the mean, its moments, and the chosen output against the change of one value."""
    n, c, p = _numbers()
    example, channel, place, changed = (v.round() for v in (example, channel, place, changed))
    at = (c == channel) & (p == place)
    chosen = at & (n == example)
    other = at & (n == changed)  # the same channel and position, in the changed example
    company = torch.stack(_companies(n, c, p, (example, channel, place))).float().flatten(1)
    stops = torch.cat([torch.linspace(-REACH, REACH, STOPS), change.reshape(1), torch.zeros(1)])
    x = cells().flatten() + stops.unsqueeze(1) * other.float().flatten()  # (stops, values)
    count = company.sum(1)
    mean = x @ company.T / count  # (stops, kinds)
    var = ((x.unsqueeze(1) - mean.unsqueeze(2)) ** 2 * company).sum(2) / count
    y = ((x * chosen.float().flatten()).sum(1, keepdim=True) - mean) * torch.rsqrt(var + EPS)
    of = (torch.arange(len(KINDS)) == kind.round()).float()
    member = (company * of.unsqueeze(1)).sum(0).reshape(SIZE, SIZE, PLACES) > 0.5
    shown = x[-2].reshape(SIZE, SIZE, PLACES)
    curves = {f"curve{i}": y[:-2, i] for i in range(len(KINDS))}
    return {
        "strong": _flat(torch.where(member, shown, torch.nan)),
        "pale": _flat(torch.where(member, torch.nan, shown)),
        **_frame("chosen", example, channel, place, 0.5),
        **_frame("changed", changed, channel, place, 0.42),
        **curves,
        "now_x": change.reshape(1),
        "now_y": (y[-2] * of).sum().reshape(1),
        "values": (count * of).sum(),
        "examples": member.flatten(1).any(1).float().sum(),
        "mean": (mean[-2] * of).sum(),
        "var": (var[-2] * of).sum(),
        "output": (y[-2] * of).sum(),
        "moved": ((y[-2] - y[-1]) * of).sum(),
    }


def _numbers() -> tuple[Tensor, Tensor, Tensor]:
    """Numbers from 1 of the examples, channels and positions, lined up with their axes."""
    n, p = torch.arange(SIZE) + 1.0, torch.arange(PLACES) + 1.0
    return n[:, None, None], n[:, None], p


def _companies(n: Tensor, c: Tensor, p: Tensor, cell: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """For each of KINDS, which values share the mean of a cell; each (SIZE, SIZE, PLACES)."""
    example, channel, _ = cell
    everyone = (n + c + p) > 0
    group = torch.ceil(c * GROUPS / SIZE) == torch.ceil(channel * GROUPS / SIZE)
    own = n == example
    return (
        everyone & (c == channel),
        everyone & own,
        everyone & own & group,
        everyone & own & (c == channel),
    )


def _flat(v: Tensor) -> Tensor:
    """Blocks of positions with an empty line between them, bottom row first."""
    blocks = v.reshape(SIZE, SIZE, SIDE, SIDE)
    gap = torch.full((SIZE, SIZE, SIDE + 1, SIDE + 1), torch.nan)
    wide = torch.cat([blocks, gap[..., :SIDE, :1]], 3)
    tall = torch.cat([wide, gap[..., :1, :]], 2)
    length = SIZE * (SIDE + 1)
    return tall.permute(0, 2, 1, 3).reshape(length, length)[:-1].flip(0)[:, :-1]


def _frame(name: str, example: Tensor, channel: Tensor, place: Tensor, half: float):
    """Corners of a square around one cell."""
    row = torch.floor((place - 0.5) / SIDE)
    x = (channel - 1) * (SIDE + 1) + (place - 1 - row * SIDE)
    y = (SIZE - example) * (SIDE + 1) + (SIDE - 1 - row)
    across = torch.tensor([-1.0, 1.0, 1.0, -1.0, -1.0]) * half
    up = torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0]) * half
    return {f"{name}_x": x + across, f"{name}_y": y + up}


SHARED_CELLS = Explorer(
    name="shared-cells",
    title="Who shares a mean with this value?",
    caption=(
        "Four examples (rows), four channels (columns), four positions in each block. The violet "
        "frame is the value that you choose; the strong cells share its mean and variance. Now "
        "change the value in the orange frame: the same channel and position, in an example of "
        "your choice. Below: the output at the violet frame against that change. Which lines are "
        "level while the orange frame stands in another row?"
    ),
    controls=(
        Choice("kind", "normaliser", KINDS, KINDS[0]),
        Slider("example", "example", 1, SIZE, 4, 1, format="d"),
        Slider("channel", "channel", 1, SIZE, 3, 1, format="d"),
        Slider("place", "position", 1, PLACES, 4, 1, format="d"),
        Slider("changed", "changed example", 1, SIZE, 2, 1, format="d"),
        Slider("change", "change", -REACH, REACH, 0, 0.25),
    ),
    compute=compute,
    figure=shared_cells(),
    bindings=(
        Binding("pale", "pale", "z"),
        Binding("strong", "strong", "z"),
        Binding("chosen_x", "chosen", "x"),
        Binding("chosen_y", "chosen", "y"),
        Binding("changed_x", "changed", "x"),
        Binding("changed_y", "changed", "y"),
        *(Binding(f"curve{i}", f"curve-{i}", "y") for i in range(len(KINDS))),
        Binding("now_x", "now", "x"),
        Binding("now_y", "now", "y"),
    ),
    readout=(
        "{kind:|Batch|Layer|Group|Instance} normalisation: {values:d} values of {examples:d} "
        "{examples:|examples|example|examples} share mean {mean:.2f} and variance {var:.2f}. The "
        "output is {output:.2f}; the change moved it by {moved:.2f}."
    ),
)
