"""What the book measures on a network: densities, percentiles, saturation, accuracy.

All raise TypeError for values that are no tensor of floating-point numbers, and ValueError for
another shape than the one described, or none at all to measure.
"""

import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments

__all__ = ["accuracy", "dead", "density", "likeness", "percentiles", "saturated"]


def density(v: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Histogram of each row of `v`, scaled to a density; values outside go to the end bins.

    Args:
        v: (layers, n).
        low, high: range of the bins, low < high.
        bins: how many, at least 1.

    Returns:
        (layers, bins), float32, on the device of v; a row sums to bins / (high - low), less the
        share of values that are NaN: those count nowhere. Half-precision v is read as float32.
        Beyond 2**24 values in one bin the count stands still: give v in parts.

    >>> density(torch.tensor([[0.1, 0.2, 9.0]]), 0.0, 1.0, 2)
    tensor([[1.3333, 0.6667]])
    """
    arguments.floats("v", v, "layers", "n")
    arguments.whole("bins", bins, 1)
    arguments.number("low", low)
    arguments.number("high", high)
    arguments.number("high - low", high - low, 0, above=True)
    # PyTorch subtracts no whole number that 64 bits cannot hold, but any float
    low, high = (float(end) if isinstance(end, int) else end for end in (low, high))
    v = v.float() if v.dtype.itemsize < 4 else v  # half precision would miss the bin
    width = (high - low) / bins
    finite = ~torch.isnan(v)
    place = torch.where(finite, (v - low) / width, 0.0).clamp(0, bins - 1).long()  # (layers, n)
    counts = torch.zeros(v.shape[0], bins, device=v.device)
    counts = counts.scatter_add(1, place, finite.float())
    return counts / (v.shape[1] * width)


def likeness(v: Tensor) -> Tensor:
    """How alike the examples of a batch look to a layer: the mean cosine between two of them.

    mean over i < j of (v_i . v_j) / (||v_i|| ||v_j||); 1 where all point the same way. NaN for a
    batch of one, and where an example is all 0.

    Args:
        v: (layers, m, units).

    Returns:
        (layers,).

    >>> likeness(torch.tensor([[[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]]))
    tensor([0.3333])
    """
    arguments.floats("v", v, "layers", "m", "units")
    m = v.shape[1]
    unit = v / v.square().sum(2, keepdim=True).sqrt()
    total = unit.sum(1).square().sum(1)  # (layers,): of all pairs, and of each example with itself
    return (total - m) / (m * (m - 1)) if m > 1 else torch.full_like(total, torch.nan)


def percentiles(v: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Percentiles of each unit over the examples of a batch, between neighbours in proportion.

    Args:
        v: (layers, m, units).
        shares: in [0, 1], such as (0.15, 0.5, 0.85).

    Returns:
        (len(shares), layers, units). A unit with a value that is not finite has NaN.

    >>> percentiles(torch.tensor([[[4.0], [0.0], [2.0]]]), (0.25, 0.5)).flatten().tolist()
    [1.0, 2.0]
    """
    arguments.floats("v", v, "layers", "m", "units")
    for share in shares:
        arguments.number("a share", share, 0, 1)
    ordered = v.sort(1).values
    place = torch.tensor(shares) * (v.shape[1] - 1)  # (shares,)
    below, above = (ordered.index_select(1, p.long()) for p in (place.floor(), place.ceil()))
    part = (place - place.floor())[:, None]
    lost = (0 * v).sum(1, keepdim=True)  # sorting takes NaN for the largest value; it is none
    return (below + part * (above - below) + lost).transpose(0, 1)


def saturated(v: Tensor, activation: Tensor) -> Tensor:
    """Share of each row that lies where the activation is flat: slope below 10 % of its largest.

    That is |v| > 3.64 for the sigmoid, |v| > 1.82 for tanh, and v < 0 for ReLU.

    Args:
        v: pre-activations, (layers, n).
        activation: index into `nets.ACTIVATIONS`, scalar.

    Returns:
        (layers,), between 0 and 1; NaN for a row that holds NaN: nobody knows where it lies.

    >>> saturated(torch.tensor([[-5.0, 0.0, 2.0, 5.0]]), torch.tensor(0.0))
    tensor([0.5000])
    """
    arguments.floats("v", v, "layers", "n")
    return _flat(v, activation).mean(1)


def dead(v: Tensor, activation: Tensor) -> Tensor:
    """Share of units that are saturated for EVERY example: next to no gradient passes them.

    Args:
        v: pre-activations, (layers, m, units).
        activation: index into `nets.ACTIVATIONS`, scalar.

    Returns:
        (layers,), between 0 and 1; NaN for a layer that holds NaN.

    >>> dead(torch.tensor([[[-5.0, 0.0], [-6.0, 9.0]]]), torch.tensor(2.0))
    tensor([0.5000])
    """
    arguments.floats("v", v, "layers", "m", "units")
    return _flat(v, activation).prod(1).mean(1)


def _flat(v: Tensor, activation: Tensor) -> Tensor:
    """1 where the activation is flat, else 0; NaN stays NaN."""
    arguments.tensor("activation", activation)
    limit = torch.where(activation < 0.5, 3.6369, 1.8184)
    beyond = torch.where(activation < 1.5, v.abs() - limit, -v)  # negative where there is slope
    return torch.where(torch.isnan(v), torch.nan, (beyond > 0).float())


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """Share of rows whose largest logit is the right class: (m, classes), (m,) -> scalar.

    A row that holds NaN is wrong.

    >>> accuracy(torch.eye(2), torch.tensor([0, 0]))
    tensor(0.5000)
    """
    arguments.floats("logits", logits, "m", "classes")
    arguments.tensor("y", y, logits.shape[0])
    known = ~torch.isnan(logits).any(1)
    return ((logits.argmax(1) == y) & known).float().mean()
