"""Networks as functions of a state: a step of gradient descent whose parameters are a dict.

A `Simulation` keeps the state of several networks in one dict, under "NET.parameter".
"""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.maths.nets import Activation, BatchNorm, initialise

__all__ = ["State", "alike", "descend", "evaluate", "gather", "hold", "part"]

State = dict[str, Tensor]


def part(state: State, name: str) -> State:
    """The state of one network, under its own names.

    >>> part({"bn.w": 1, "plain.w": 2}, "bn")
    {'w': 1}
    """
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}


def gather(parts: dict[str, State]) -> State:
    """The inverse of `part`, for all networks.

    >>> gather({"bn": {"w": 1}, "plain": {"w": 2}})
    {'bn.w': 1, 'plain.w': 2}
    """
    return {f"{name}.{k}": v for name, values in parts.items() for k, v in values.items()}


def hold(net: nn.Module, values: State, controls: dict[str, Tensor]) -> State:
    """Put the controls that there are where the layers of a network read them.

    Args:
        net: its `Activation` and `BatchNorm` layers are served, wherever they stand in it.
        values: what it learns and tracks, by name; not changed.
        controls: by these names, others are passed over. "activation": an index into
            `nets.ACTIVATIONS`. "momentum": of BN. "gamma" and "beta": in the place of BN's own
            where "hold" is 1, and not where it is 0; the three come together.

    >>> hold(Activation(), {}, {"activation": torch.tensor(2.0), "lr": torch.tensor(0.1)})
    {'index': tensor(2.)}
    """
    values = dict(values)
    for name, layer in cast("Iterator[tuple[str, nn.Module]]", net.named_modules()):
        at = f"{name}." if name else ""
        if isinstance(layer, Activation) and "activation" in controls:
            values[f"{at}index"] = controls["activation"]
        if isinstance(layer, BatchNorm) and "momentum" in controls:
            values[f"{at}momentum"] = controls["momentum"]
        if isinstance(layer, BatchNorm) and "hold" in controls:
            for own, control in ((f"{at}weight", "gamma"), (f"{at}bias", "beta")):
                values[own] = torch.where(controls["hold"] > 0.5, controls[control], values[own])
    return values


def alike(nets: dict[str, nn.Module], seed: Tensor, scale: Tensor) -> State:
    """The state of all networks, which begin with the same weights; gamma 1, biases 0.

    Args:
        nets: modules by name whose weights have the same names and shapes; BN may come on top.
        seed, scale: as in `nets.initialise`.
    """
    start = initialise(next(iter(nets.values())), seed, scale)
    states: dict[str, State] = {n: net.state_dict() for n, net in nets.items()}
    return gather({n: {k: start.get(k, v) for k, v in s.items()} for n, s in states.items()})


def evaluate(net: nn.Module, state: State, controls: dict[str, Tensor], x: Tensor) -> Tensor:
    """Logits in evaluation mode: BN uses its running statistics. The modes are then as before."""
    modes = {module: module.training for module in net.modules()}
    try:
        return functional_call(net.eval(), hold(net, state, controls), (x,))
    finally:
        for module, training in modes.items():
            module.training = training


def descend(
    net: nn.Module,
    state: State,
    values: State,
    batch: tuple[Tensor, Tensor],
    lr: Tensor,
) -> tuple[State, Tensor]:
    """w <- w - lr * dL/dw for every parameter w; the running statistics move by themselves.

    Args:
        net: the module whose forward pass runs; its own parameters are never used, but those that
            do not require a gradient stay as they are. Modules that are frozen (in evaluation mode
            while the net is in training mode) stay so; a net in evaluation mode wakes as a whole.
        state: what it learns and tracks, by name.
        values: the same with the controls put in (`hold`); they decide the gradient.
        batch: rows and their classes, (m, ...) and (m,).
        lr: learning rate.

    Returns:
        The new state and the loss before the step.
    """
    learned = [name for name, own in net.named_parameters() if own.requires_grad]
    x, y = batch
    net = net if net.training else net.train()
    with torch.enable_grad():
        values = values | {k: values[k].detach().requires_grad_() for k in learned}
        loss = F.cross_entropy(functional_call(net, values, (x,)), y)
        gradients = torch.autograd.grad(loss, [values[k] for k in learned])
    moved = {k: values[k].detach() for k in state}
    for name, gradient in zip(learned, gradients, strict=True):
        moved[name] = moved[name] - lr * gradient
    return moved, loss.detach()
