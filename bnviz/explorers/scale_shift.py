"""`scale-shift`: one unit's pre-activations, normalised, then scaled and shifted."""

from functools import cache

import torch
from torch import Tensor

from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.templates.scale_shift import scale_shift

__all__ = ["SCALE_SHIFT", "pre_activations"]

LOW, HIGH, BINS = -8.0, 8.0, 64
BATCH, UNIT = 256, 23  # the largest batch, and the hidden unit that is shown
_SHOWN = ("before", "normalised", "after")


@cache
def pre_activations() -> Tensor:
    """z of one unit in the second hidden layer of an untrained sigmoid net, for 256 digits.

    The sigmoids of the first layer are never negative, so z has a mean far from 0: (BATCH,).
    """
    net = MLP((64, 64, 64, 10))
    net.load_state_dict(initialise(net, seed=0, scale=4.0))
    with torch.no_grad(), inputs_of(net.activations) as seen:
        net(digits().x_train[:BATCH])
    return seen[1][:, UNIT].clone()


def compute(
    gamma: Tensor, beta: Tensor, eps: Tensor, batch: Tensor, identity: Tensor
) -> dict[str, Tensor]:
    """Algorithm 1 on the first `batch` of the pre-activations; the rest is NaN and not drawn."""
    z = pre_activations()  # (BATCH,)
    inside = torch.arange(BATCH) < batch
    mu = torch.where(inside, z, 0.0).sum() / batch
    var = torch.where(inside, (z - mu) ** 2, 0.0).sum() / batch  # biased: divided by m
    x_hat = (z - mu) / torch.sqrt(var + eps)
    gamma = torch.where(identity > 0.5, torch.sqrt(var + eps), gamma)
    beta = torch.where(identity > 0.5, mu, beta)
    outputs = {"applied_gamma": gamma, "applied_beta": beta}
    for name, v in zip(_SHOWN, (z, x_hat, gamma * x_hat + beta), strict=True):
        outputs |= _describe(name, torch.where(inside, v, torch.nan), inside, batch)
    return outputs


def _describe(name: str, v: Tensor, inside: Tensor, m: Tensor) -> dict[str, Tensor]:
    """Histogram, mean, std, the bar from mean - std to mean + std, and the sigmoid's response."""
    mean = torch.where(inside, v, 0.0).sum() / m
    std = torch.sqrt(torch.where(inside, (v - mean) ** 2, 0.0).sum() / m)
    steep = (v.abs() < 3.6369) & inside  # slope of the sigmoid above 10 % of its largest
    return {
        f"{name}_share": measures.density(v.unsqueeze(0), LOW, HIGH, BINS)[0]
        * ((HIGH - LOW) / BINS * BATCH / m),
        f"{name}_mean": mean,
        f"{name}_std": std,
        f"{name}_bar": torch.stack([mean - std, mean, mean + std]),
        f"{name}_v": v,
        f"{name}_response": torch.sigmoid(v),
        f"{name}_steep": steep.float().sum() / m,
    }


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in _SHOWN:
        bindings.append(Binding(f"{name}_share", f"{name}-histogram", "y"))
        bindings.append(Binding(f"{name}_bar", f"{name}-bar", "x"))
        if name != "normalised":
            bindings.append(Binding(f"{name}_v", f"{name}-response", "x"))
            bindings.append(Binding(f"{name}_response", f"{name}-response", "y"))
    return tuple(bindings)


SCALE_SHIFT = Explorer(
    name="scale-shift",
    title="Normalise, then scale and shift",
    caption=(
        "One hidden unit's pre-activations for a batch of handwritten digits, at each step of BN. "
        "The line above each histogram reaches one standard deviation to either side of the mean. "
        "Below: where these values land on the sigmoid."
    ),
    controls=(
        Slider("gamma", "γ (scale)", -3, 3, 1, 0.05),
        Slider("beta", "β (shift)", -5, 5, 0, 0.1),
        Slider(
            "eps", "ε (added to the variance)", 1e-8, 10, 1e-5, 0.25, scale="log10", format=".1e"
        ),
        Slider("batch", "batch size", 2, BATCH, 64, 1, scale="log2", format="d"),
        Toggle("identity", "undo: γ = √(σ² + ε), β = μ", False),
    ),
    compute=compute,
    figure=scale_shift(LOW, HIGH, BINS),
    bindings=_bindings(),
    readout=(
        "Before: mean {before_mean:.2f}, std {before_std:.2f}, {before_steep:.0%} on the steep "
        "part of the sigmoid. Normalised: mean {normalised_mean:.2f}, std {normalised_std:.2f}. "
        "After, with γ = {applied_gamma:.2f} and β = {applied_beta:.2f}: mean {after_mean:.2f}, "
        "std {after_std:.2f}, {after_steep:.0%} on the steep part."
    ),
    counts={
        **{f"{name}_share": "histogram" for name in _SHOWN},
        **{f"{name}_steep": "share" for name in _SHOWN},
    },
)
