"""Measure the statistics of a trained network anew, with its weights as they are."""

import torch
from torch import Tensor, nn

from bnviz.nets import BatchNorm

__all__ = ["reestimate"]


def reestimate(net: nn.Module, x: Tensor) -> None:
    """Put population statistics in place of all running ones: one pass, x as one batch.

    E[x] = mu_B and Var[x] = n / (n - 1) * var_B, for each `BatchNorm` in turn; the layers below it
    are normalised in the same way. Weights stay as they are; the net is in evaluation mode
    afterwards. For data that do not fit into one batch, average over batches (I&S, Algorithm 2).

    Args:
        net: with layers of the kind `bnviz.nets.BatchNorm`; changed in place.
        x: training examples, at least 2.

    Raises:
        ValueError: if there is no such layer.

    >>> net = BatchNorm(1)
    >>> reestimate(net, torch.tensor([[1.0], [3.0]]))
    >>> net.running_mean.item(), net.running_var.item(), net.training
    (2.0, 2.0, False)
    """
    layers = [m for m in net.modules() if isinstance(m, BatchNorm)]
    if not layers:
        raise ValueError("no bnviz.nets.BatchNorm in this network: there is nothing to estimate")
    momenta = [layer.momentum.clone() for layer in layers]
    for layer in layers:
        layer.momentum.fill_(1.0)  # the running values become those of this one batch
    with torch.no_grad():
        net.train()(x)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum.copy_(momentum)
    net.eval()
