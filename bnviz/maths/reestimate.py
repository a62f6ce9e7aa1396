"""Measure the statistics of a trained network anew, with its weights as they are."""

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths.nets import BatchNorm

__all__ = ["reestimate"]


def reestimate(net: nn.Module, x: Tensor) -> None:
    """Put population statistics in place of all running ones: one pass, x as one batch.

    E[x] = mu_B and Var[x] = n / (n - 1) * var_B, for each `BatchNorm` in turn; the layers below it
    are normalised in the same way. Weights stay as they are; the net is in evaluation mode
    afterwards. For data that do not fit into one batch, average over batches (I&S, Algorithm 2).

    Args:
        net: with layers of the kind `bnviz.maths.nets.BatchNorm`; changed in place.
        x: training examples, at least 2, finite.

    Raises:
        TypeError: if net is no module or x no tensor.
        ValueError: if there is no such layer, or x is not finite.
        Whatever the net raises for x. The statistics and the mode are then as before.

    >>> net = BatchNorm(1)
    >>> reestimate(net, torch.tensor([[1.0], [3.0]]))
    >>> net.running_mean.item(), net.running_var.item(), net.training
    (2.0, 2.0, False)
    """
    arguments.instance("net", net, nn.Module, "a torch.nn.Module")
    arguments.instance("x", x, Tensor, "a tensor")
    if not torch.isfinite(x).all():
        raise ValueError("x holds values that are not finite; remove or fill those rows")
    layers = [m for m in net.modules() if isinstance(m, BatchNorm)]
    if not layers:
        raise ValueError(
            "no bnviz.maths.nets.BatchNorm in this network: there is nothing to estimate"
        )
    before = [{k: b.clone() for k, b in layer.named_buffers()} for layer in layers]
    modes = {m: m.training for m in net.modules()}
    for layer in layers:
        layer.momentum.fill_(1.0)  # the running values become those of this one batch
        layer.running_mean.zero_()  # 0 times a value that is not finite would be NaN
        layer.running_var.zero_()
    try:
        with torch.no_grad():
            net.train()(x)
    except BaseException:
        for layer, values in zip(layers, before, strict=True):
            for name, value in values.items():
                setattr(layer, name, value)
        for module, training in modes.items():
            module.training = training
        raise
    for layer, values in zip(layers, before, strict=True):
        layer.momentum.copy_(values["momentum"])
    net.eval()
