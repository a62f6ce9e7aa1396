"""`folding`: a linear layer and its BN become one linear layer."""

import torch
from torch import Tensor

from bnviz.figure.controls import Choice, Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.maths.fold import folded_weights
from bnviz.templates.folding import folding

__all__ = ["FOLDING", "layer"]

UNITS, INPUTS, EXAMPLES = 4, 5, 24
TOP = 10.0  # ends of the axis; what lies beyond is drawn there
SHAPES = ("unit 1", "unit 2", "unit 3", "unit 4")


def layer() -> tuple[dict[str, Tensor], Tensor]:
    """A layer (weights rounded to a tenth) with its BN, and the examples that go through it."""
    seed = torch.tensor(5)
    values = prng.normal((UNITS, INPUTS + 5), seed, stream=0)
    weight, rest = values.split([INPUTS, 5], dim=1)
    parts = {
        "weight": (10 * weight).round() / 10,
        "bias": (10 * rest[:, 0]).round() / 10,
        "gamma": 1 + 0.3 * rest[:, 1],
        "beta": 0.5 * rest[:, 2],
        "mean": rest[:, 3],
        "var": 1 + 0.5 * rest[:, 4] ** 2,
    }
    return parts, prng.normal((EXAMPLES, INPUTS), seed, stream=1)


def compute(
    unit: Tensor,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: Tensor,
    forgotten: Tensor,
) -> dict[str, Tensor]:
    """Both ways through: W u + b and then BN, or W' u + b' alone."""
    parts, u = layer()
    chosen = torch.arange(UNITS) == unit
    for name, value in (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", var)):
        parts[name] = torch.where(chosen, value, parts[name])
    used = torch.where(forgotten > 0.5, 0.0, eps)
    weight, bias = folded_weights(**parts, eps=used)  # (UNITS, INPUTS), (UNITS,)
    z = u @ parts["weight"].T + parts["bias"]  # (EXAMPLES, UNITS)
    x_hat = (z - parts["mean"]) / torch.sqrt(parts["var"] + eps)
    two, one = parts["gamma"] * x_hat + parts["beta"], u @ weight.T + bias
    pick = chosen.float()
    factor = parts["gamma"] / torch.sqrt(parts["var"] + used)
    outputs = {"before": _table(parts["weight"], parts["bias"]), "after": _table(weight, bias)}
    for name, v in (("linear", z), ("two", two), ("one", one)):
        outputs[name] = (v @ pick).clamp(-TOP, TOP)
    difference = (one - two).abs().max()
    return outputs | {
        "factor": (factor * pick).sum(),
        "folded_bias": (bias * pick).sum(),
        # what rounding leaves says nothing about folding, and differs between machines
        "difference": torch.where(difference < 1e-3, 0.0, difference),
    }


def _table(weight: Tensor, bias: Tensor) -> Tensor:
    """Weights and bias side by side, the first unit on top: (UNITS, INPUTS + 1)."""
    return torch.cat([weight, bias.unsqueeze(1)], dim=1).flip(0)


FOLDING = Explorer(
    name="folding",
    title="Two layers become one",
    caption=(
        "Top: the weights and the bias of a small linear layer, and what is left when BN is folded "
        "into it. Bottom: what the chosen unit gives for 24 inputs. Blue dots went through the "
        "layer and BN, the violet rings through the folded layer alone. Does every dot sit in its "
        "ring? Then forget ε, make it large and the variance small. What lies beyond the axis is "
        "drawn at its end."
    ),
    controls=(
        Choice("unit", "the sliders set the BN of", SHAPES, "unit 1"),
        Slider("gamma", "γ", -3, 3, 1.5, 0.05),
        Slider("beta", "β", -3, 3, 0.5, 0.05),
        Slider("mean", "running mean", -3, 3, 1, 0.05),
        Slider("var", "running variance", 0.1, 10, 1, 0.1, scale="log10", format=".3g"),
        Slider("eps", "ε", 1e-8, 1, 1e-3, 0.25, scale="log10", format=".1e"),
        Toggle("forgotten", "forget ε when folding", False),
    ),
    compute=compute,
    figure=folding(UNITS, INPUTS, EXAMPLES, TOP),
    bindings=(
        Binding("before", "before", "z"),
        Binding("after", "after", "z"),
        Binding("linear", "linear", "y"),
        Binding("two", "two", "y"),
        Binding("one", "one", "y"),
    ),
    readout=(
        "Folding multiplies the unit's weights by {factor:.3f}; its new bias is "
        "{folded_bias:.3f}. Largest difference between the two ways, over all units and inputs: "
        "{difference:.3f}."
    ),
)
