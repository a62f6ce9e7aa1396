"""`equilibrium`: the length of one weight vector in front of BN, and how far each step turns it."""

import torch
from torch import Tensor

from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths.decay import squared_norms
from bnviz.templates.equilibrium import STARTS, STEPS, equilibrium

__all__ = ["EQUILIBRIUM"]

DEGREES = 180 / torch.pi


def compute(
    lr: Tensor, decay: Tensor, start: Tensor, size: Tensor, at: Tensor
) -> dict[str, Tensor]:
    """Three lengths by Pythagoras, step by step: from your start, and from two others."""
    keep = 1 - lr * decay
    starts = torch.cat([start.reshape(1), torch.tensor(STARTS)])  # (3,)
    square = squared_norms(STEPS, starts, lr, decay, size)  # (STEPS + 1, 3)
    rise = lr * size / square  # how long a step is beside W
    turn = torch.atan(rise / keep) * DEGREES
    settled = torch.sqrt(lr * size**2 / (2 * decay - lr * decay**2))  # |W|^2
    settled_turn = torch.atan(torch.sqrt(1 - keep**2) / keep) * DEGREES
    here = at.long().reshape(1)
    now = {"square": square[:, 0], "rise": rise[:, 0], "turn": turn[:, 0]}
    now = {k: v.index_select(0, here)[0] for k, v in now.items()}
    curves = {"norm": square.sqrt(), "turn": turn, "rate": lr / square}
    outputs = {f"{k}_{i}": v[:, i] for k, v in curves.items() for i in range(3)}
    lines = {"norm": settled.sqrt(), "turn": settled_turn, "rate": lr / settled}
    outputs |= {f"{k}_settled": v.expand(2) for k, v in lines.items()}
    zero, one = torch.zeros(()), torch.ones(())
    outputs |= {
        "here": at.expand(2),
        "wait": (1 / (4 * lr * decay)).expand(2),
        "decayed_x": torch.stack([one, keep]),
        "step_x": torch.stack([keep, keep]),
        "step_y": torch.stack([zero, now["rise"]]),
        "new_x": torch.stack([zero, keep]),
    }
    return outputs | {
        "now_norm": now["square"].sqrt(),
        "now_turn": now["turn"],
        "now_rate": lr / now["square"],
        "settled_norm": settled.sqrt(),
        "settled_turn": settled_turn,
        "settled_rate": lr / settled,
        "settling": 1 / (4 * lr * decay),
    }


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for k in ("norm", "turn", "rate"):
        bindings += [Binding(f"{k}_{i}", f"{k}-{i}", "y") for i in range(3)]
        bindings += [Binding(f"{k}_settled", f"{k}-settled", "y")]
        bindings += [Binding("here", f"{k}-here", "x")]
    return (
        *bindings,
        Binding("wait", "wait", "x"),
        Binding("decayed_x", "decayed", "x"),
        Binding("step_x", "step", "x"),
        Binding("step_y", "step", "y"),
        Binding("new_x", "new", "x"),
        Binding("step_y", "new", "y"),
    )


EQUILIBRIUM = Explorer(
    name="equilibrium",
    title="Growth and decay of one weight vector",
    caption=(
        "Top left: one step, with ‖W‖ as the unit. Decay shortens W along itself, the step stands "
        "at right angles to it; the dotted arc has the old length. The other panels follow 240 "
        "such steps, thick from your start, thin from the lengths 0.1 and 10. Grey: the "
        "equilibrium. Green: 1/(4ηλ) steps."
    ),
    controls=(
        Slider("lr", "learning rate η", 0.01, 1, 0.31622777, 0.1, scale="log10", format=".3g"),
        Slider("decay", "weight decay λ", 1e-4, 0.31622777, 0.1, 0.1, scale="log10",
               format=".2g"),
        Slider("start", "‖W‖ at the start", 0.1, 10, 1, 0.1, scale="log10", format=".2g"),
        Slider("size", "gradient where ‖W‖ = 1", 0.1, 10, 1, 0.1, scale="log10", format=".2g"),
        Slider("at", "look at step", 0, STEPS, 0, 1, format="d"),
    ),
    compute=compute,
    figure=equilibrium(),
    bindings=_bindings(),
    readout=(
        "Step {at:d}: length {now_norm:.3g}, it turns W by {now_turn:.2f} degrees, effective rate "
        "{now_rate:.3g}. Equilibrium: length {settled_norm:.3g}, {settled_turn:.2f} degrees, "
        "effective rate {settled_rate:.3g}. 1/(4ηλ) is {settling:.3g} steps."
    ),
)  # fmt: skip
