"""What the book measures on a network: densities, percentiles, saturation, accuracy."""

import torch
from torch import Tensor

__all__ = ["accuracy", "dead", "density", "percentiles", "saturated"]


def density(v: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Histogram of each row of `v`, scaled to a density; values outside go to the end bins.

    Args:
        v: (layers, n).
        low, high: range of the bins.
        bins: how many.

    Returns:
        (layers, bins); a row sums to bins / (high - low). A value that is NaN counts nowhere.

    >>> density(torch.tensor([[0.1, 0.2, 9.0]]), 0.0, 1.0, 2)
    tensor([[1.3333, 0.6667]])
    """
    width = (high - low) / bins
    finite = ~torch.isnan(v)
    place = torch.where(finite, (v - low) / width, 0.0).clamp(0, bins - 1).long()  # (layers, n)
    counts = torch.zeros(v.shape[0], bins).scatter_add(1, place, finite.float())
    return counts / (v.shape[1] * width)


def percentiles(v: Tensor, shares: tuple[float, ...]) -> Tensor:
    """Percentiles of each unit over the examples of a batch, between neighbours in proportion.

    Args:
        v: (layers, m, units).
        shares: such as (0.15, 0.5, 0.85).

    Returns:
        (len(shares), layers, units).

    >>> percentiles(torch.tensor([[[4.0], [0.0], [2.0]]]), (0.25, 0.5)).flatten().tolist()
    [1.0, 2.0]
    """
    ordered = v.sort(1).values
    place = torch.tensor(shares) * (v.shape[1] - 1)  # (shares,)
    below, above = (ordered.index_select(1, p.long()) for p in (place.floor(), place.ceil()))
    part = (place - place.floor())[:, None]
    return (below + part * (above - below)).transpose(0, 1)


def saturated(v: Tensor, activation: Tensor) -> Tensor:
    """Share of each row that lies where the activation is flat: slope below 10 % of its largest.

    That is |v| > 3.64 for the sigmoid, |v| > 1.82 for tanh, and v < 0 for ReLU.

    Args:
        v: pre-activations, (layers, n).
        activation: index into `nets.ACTIVATIONS`, scalar.

    Returns:
        (layers,), between 0 and 1.

    >>> saturated(torch.tensor([[-5.0, 0.0, 2.0, 5.0]]), torch.tensor(0.0))
    tensor([0.5000])
    """
    return (_beyond(v, activation) > 0).float().mean(1)


def dead(v: Tensor, activation: Tensor) -> Tensor:
    """Share of units that are saturated for EVERY example: next to no gradient passes them.

    Args:
        v: pre-activations, (layers, m, units).
        activation: index into `nets.ACTIVATIONS`, scalar.

    Returns:
        (layers,), between 0 and 1.

    >>> dead(torch.tensor([[[-5.0, 0.0], [-6.0, 9.0]]]), torch.tensor(2.0))
    tensor([0.5000])
    """
    return (_beyond(v, activation).amin(1) > 0).float().mean(1)


def _beyond(v: Tensor, activation: Tensor) -> Tensor:
    """How far a value lies inside the flat part; negative outside it."""
    limit = torch.where(activation < 0.5, 3.6369, 1.8184)
    return torch.where(activation < 1.5, v.abs() - limit, -v)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """Share of rows whose largest logit is the right class: (m, classes), (m,) -> scalar.

    >>> accuracy(torch.eye(2), torch.tensor([0, 0]))
    tensor(0.5000)
    """
    return (logits.argmax(1) == y).float().mean()
