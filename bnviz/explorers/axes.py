"""`axes`: which values share one mean, in a fully connected layer and in a convolution."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers._hidden import second_layer
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths.data import digits
from bnviz.maths.nets import initialise
from bnviz.templates.axes import axes

__all__ = ["AXES", "LAYERS", "arrays"]

M, C, SIDE = 4, 4, 4  # samples, features or channels, height and width of a map
UNITS = (5, 16, 52, 0)
LAYERS = (
    "fully connected",
    "convolution",
    "wrong: axis 0 alone",
    "layer norm",
)
_SPOT = (1, 1)  # the position whose mean is picked when every position has one of its own


@cache
def arrays() -> tuple[Tensor, Tensor]:
    """Four digits: a hidden layer's (m, d) as (m, d, 1, 1), and the maps (m, c, h, w)."""
    rows = second_layer(M)[:, list(UNITS)]
    conv = torch.nn.Conv2d(1, C, kernel_size=5, bias=False)
    conv.load_state_dict(initialise(conv, seed=1))
    with torch.no_grad():
        maps = conv(digits().x_train[:M].reshape(M, 1, 8, 8))
    return rows.reshape(M, C, 1, 1), maps


def compute(layer: Tensor, pick: Tensor) -> dict[str, Tensor]:
    """Values, the means that `layer` asks for, and what belongs to mean number `pick`."""
    rows, maps = arrays()
    v = torch.where(layer < 0.5, rows, maps)  # (m, c, h, w); a feature fills its block
    per_channel = v.mean((0, 2, 3), keepdim=True).expand(1, C, SIDE, SIDE)
    below = torch.where(layer < 1.5, per_channel, v.mean(0, keepdim=True))
    below = torch.where(layer < 2.5, below, torch.nan)  # (1, c, h, w)
    beside = v.mean((1, 2, 3), keepdim=True).expand(M, 1, SIDE, SIDE)
    beside = torch.where(layer < 2.5, torch.nan, beside)  # (m, 1, h, w)
    corner = torch.full((1, 1, SIDE, SIDE), torch.nan)
    blocks = torch.cat([torch.cat([v, beside], 1), torch.cat([below, corner], 1)])

    member = _members(layer, pick.round() - 1)
    numbers = torch.where(layer < 0.5, blocks[..., 0, 0], torch.nan)
    of_means = (torch.arange(M + 1).unsqueeze(1) == M) | (torch.arange(C + 1) == C)  # (m+1, c+1)
    whole = (layer < 1.5) | (layer > 2.5)  # otherwise a block holds sixteen means
    numbers = torch.where(of_means & whole, blocks[..., 0, 0], numbers)
    count = torch.tensor([float(C), float(C), float(C * SIDE * SIDE), float(M)])
    behind = torch.tensor([float(M), float(M * SIDE**2), float(M), float(C * SIDE**2)])
    share = member[:M, :C].float() / member[:M, :C].float().sum()
    mean = (v * share).sum()
    kind = torch.arange(4) == layer.round()
    return {
        "strong": _flat(torch.where(member, blocks, torch.nan)),
        "pale": _flat(torch.where(member, torch.nan, blocks)),
        "numbers": numbers.flip(0),
        **_frames(layer, pick.round() - 1),
        "means": (count * kind).sum(),
        "behind": (behind * kind).sum(),
        "picked_mean": mean,
        "picked_var": ((v - mean) ** 2 * share).sum(),
    }


def _members(layer: Tensor, pick: Tensor) -> Tensor:
    """Which cells share the picked mean, the mean's own block included: (m + 1, c + 1, h, w)."""
    sample = (torch.arange(M + 1) == pick).reshape(-1, 1, 1, 1)
    channel = (torch.arange(C + 1) == pick).reshape(1, -1, 1, 1)
    places = torch.arange(SIDE)
    spot = (places.unsqueeze(1) == _SPOT[0]) & (places == _SPOT[1])  # (h, w)
    return ((layer > 2.5) & sample) | ((layer < 2.5) & channel & (spot | (layer < 1.5)))


def _flat(blocks: Tensor) -> Tensor:
    """Blocks side by side with an empty line between them, bottom row first: (24, 24)."""
    rows, columns, _, _ = blocks.shape
    padded = torch.full((rows, columns, SIDE + 1, SIDE + 1), torch.nan)
    empty = padded[..., :SIDE, :1]
    wide = torch.cat([blocks, empty], 3)  # (rows, columns, h, w + 1)
    tall = torch.cat([wide, padded[..., :1, :]], 2)  # (rows, columns, h + 1, w + 1)
    flat = tall.permute(0, 2, 1, 3).reshape(rows * (SIDE + 1), columns * (SIDE + 1))
    return flat[:-1, :-1].flip(0)


def _frames(layer: Tensor, pick: Tensor) -> dict[str, Tensor]:
    """Outlines of what shares a mean, four of them and the mean's own, with gaps between."""
    step, top = SIDE + 1, (M + 1) * (SIDE + 1) - 2  # the bottom row is row 0
    along = torch.arange(M + 1) * float(step)
    middle, one = (SIDE - 1) / 2, layer.gt(1.5) & layer.lt(2.5)
    x = torch.where(layer > 2.5, along, pick * step) + torch.where(one, float(_SPOT[1]), middle)
    y = torch.where(layer > 2.5, pick * step, along) + torch.where(one, float(_SPOT[0]), middle)
    half = torch.where(one, 0.5, SIDE / 2)
    ring_x = torch.tensor([-1.0, 1.0, 1.0, -1.0, -1.0, torch.nan]) * half  # (6,)
    ring_y = torch.tensor([-1.0, -1.0, 1.0, 1.0, -1.0, torch.nan]) * half
    return {
        "frame_x": (x.unsqueeze(1) + ring_x).flatten(),
        "frame_y": (top - y.unsqueeze(1) + ring_y).flatten(),
    }


AXES = Explorer(
    name="axes",
    title="Which values share one mean?",
    caption=(
        "Four digits (rows), four features or channels (columns). In a fully connected layer a "
        "block is one number; in a convolution it is a map of 4 × 4 numbers. The framed cells "
        "share one mean, which stands at the end of its row or column. Choose a layer, count the "
        "means, and compare with the readout."
    ),
    controls=(
        Choice("layer", "layer", LAYERS, LAYERS[0]),
        Slider("pick", "which mean", 1, C, 1, 1, format="d"),
    ),
    compute=compute,
    figure=axes(digits().y_train[:M].tolist(), SIDE, C),
    bindings=(
        Binding("pale", "pale", "z"),
        Binding("strong", "strong", "z"),
        Binding("numbers", "numbers", "z"),
        Binding("frame_x", "frame", "x"),
        Binding("frame_y", "frame", "y"),
    ),
    readout=(
        "{layer:|Fully connected, (4, 4), axis 0|Convolution, (4, 4, 4, 4), axes 0, 2, 3|"
        "Convolution, axis 0 alone: every position has a mean of its own|"
        "Layer normalisation, axes 1, 2, 3: the batch is not used}. "
        "{means:d} means, each of {behind:d} values. "
        "{layer:|Feature|Channel|One position of channel|Digit} number {pick:d}: "
        "mean {picked_mean:.2f}, variance {picked_var:.2f}."
    ),
)
