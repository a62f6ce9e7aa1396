"""What the book measures on a network: densities, saturation, accuracy."""

import torch
from torch import Tensor

__all__ = ["accuracy", "density", "saturated"]


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
    limit = torch.where(activation < 0.5, 3.6369, 1.8184)
    beyond = torch.where(activation < 1.5, v.abs() - limit, -v)
    return (beyond > 0).float().mean(1)


def accuracy(logits: Tensor, y: Tensor) -> Tensor:
    """Share of rows whose largest logit is the right class: (m, classes), (m,) -> scalar.

    >>> accuracy(torch.eye(2), torch.tensor([0, 0]))
    tensor(0.5000)
    """
    return (logits.argmax(1) == y).float().mean()
