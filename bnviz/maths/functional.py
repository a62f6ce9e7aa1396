"""Networks as functions of a state: a step of gradient descent whose parameters are a dict.

A `Simulation` keeps the state of several networks in one dict, under "NET.parameter".
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.maths.nets import initialise

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


def hold(values: State, controls: dict[str, Tensor]) -> State:
    """Put the controls that there are where a network reads them.

    Those are the activation, the momentum, and gamma and beta if they are held.
    """
    values = dict(values)
    layers = {k.rsplit(".linear.", 1)[0] for k in values if ".linear." in k}
    for layer in sorted(layers):
        if "activation" in controls:
            values[f"{layer}.activation.index"] = controls["activation"]
        if f"{layer}.norm.weight" not in values:
            continue
        values[f"{layer}.norm.momentum"] = controls["momentum"]
        for parameter, control in (("weight", "gamma"), ("bias", "beta")):
            name = f"{layer}.norm.{parameter}"
            if "hold" in controls:
                values[name] = torch.where(controls["hold"] > 0.5, controls[control], values[name])
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
    """Logits in evaluation mode: BN uses its running statistics."""
    return functional_call(net.eval(), hold(state, controls), (x,))


def descend(
    net: nn.Module,
    state: State,
    values: State,
    batch: tuple[Tensor, Tensor],
    lr: Tensor,
) -> tuple[State, Tensor]:
    """w <- w - lr * dL/dw for every parameter w; the running statistics move by themselves.

    Args:
        net: the module whose forward pass runs; its own parameters are never used.
        state: what it learns and tracks, by name.
        values: the same with the controls put in (`hold`); they decide the gradient.
        batch: rows and their classes, (m, ...) and (m,).
        lr: learning rate.

    Returns:
        The new state and the loss before the step.
    """
    learned = [name for name, _ in net.named_parameters()]
    x, y = batch
    with torch.enable_grad():
        values = values | {k: values[k].detach().requires_grad_() for k in learned}
        loss = F.cross_entropy(functional_call(net.train(), values, (x,)), y)
        gradients = torch.autograd.grad(loss, [values[k] for k in learned])
    moved = {k: values[k].detach() for k in state}
    for name, gradient in zip(learned, gradients, strict=True):
        moved[name] = moved[name] - lr * gradient
    return moved, loss.detach()
