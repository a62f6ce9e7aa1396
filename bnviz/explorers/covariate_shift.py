"""`covariate-shift`: a classifier learns in one garden and is tested in another."""

import torch
from torch import Tensor

from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths.gardens import CENTRE, fit, gardens
from bnviz.templates.covariate_shift import covariate_shift

__all__ = ["COVARIATE_SHIFT"]

PHOTOS = 200  # test photos, and the largest number of training photos
LINE = [round(-6 + 0.2 * k, 1) for k in range(71)]  # values of feature 1 at which curves are drawn


def compute(
    shift: Tensor,
    spread: Tensor,
    curvature: Tensor,
    photos: Tensor,
    draw: Tensor,
    shuffled: Tensor,
    square: Tensor,
) -> dict[str, Tensor]:
    """Fit in training, score on both sides, and draw the boundary as x_2 over x_1."""
    sides = gardens(PHOTOS, shift, spread, curvature, draw, shuffled)
    used = (torch.arange(PHOTOS) < photos).float()
    inputs = {side: _inputs(x, square) for side, (x, _) in sides.items()}
    w = fit(inputs["train"], sides["train"][1], used)  # intercept, x_1, x_2, x_1^2
    up = torch.where(w[2].abs() < 1e-4, 1e-4, w[2])
    at = torch.tensor(LINE)
    boundary = -(w[0] + w[1] * at + w[3] * at**2) / up
    outputs = {
        "boundary": boundary.clamp(-30, 30),
        "edge": torch.where(up > 0, 30.0, -30.0).expand(len(LINE)),
        "rule": curvature * (at**2 - CENTRE**2),
    }
    for side, (x, rose) in sides.items():
        counts = used if side == "train" else torch.ones(PHOTOS)
        right = ((inputs[side] @ w > 0) == rose).float()
        outputs[f"accuracy_{side}"] = (counts * right).sum() / counts.sum()
        for kind, mask in (("rose", rose.float()), ("other", 1 - rose.float())):
            outputs |= _points(f"{side}_{kind}", x, mask * counts)
        outputs |= _points(f"{side}_wrong", x, (1 - right) * counts)
    outputs["bars"] = torch.stack([outputs["accuracy_train"], outputs["accuracy_test"]])
    return outputs


def _inputs(x: Tensor, square: Tensor) -> Tensor:
    """What the classifier sees: 1, x_1, x_2 and, if it is given, the square of x_1: (n, 4)."""
    return torch.stack([torch.ones(len(x)), x[:, 0], x[:, 1], square * x[:, 0] ** 2], 1)


def _points(name: str, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Both coordinates of some points; the others are NaN, which is not drawn."""
    return {
        f"{name}_{letter}": torch.where(mask > 0.5, x[:, axis], torch.nan)
        for axis, letter in enumerate("xy")
    }


def _bindings() -> tuple[Binding, ...]:
    groups = [f"{side}_{kind}" for side in ("train", "test") for kind in ("rose", "other", "wrong")]
    points = [
        Binding(f"{group}_{letter}", group.replace("_", "-"), letter)
        for group in groups
        for letter in "xy"
    ]
    lines = [Binding(name, name, "y") for name in ("edge", "boundary", "rule")]
    return (*lines, *points, Binding("bars", "accuracy", "y"))


COVARIATE_SHIFT = Explorer(
    name="covariate-shift",
    title="A classifier meets another garden",
    caption=(
        "Small hollow marks are the training photos, filled ones the test photos: circles are "
        "roses, crosses are not. The shaded side of the solid boundary is what the classifier "
        "calls a rose; the dotted curve is the truth, the same in both gardens. Rings mark its "
        "mistakes. Move the other garden away and watch the right bar."
    ),
    controls=(
        Slider("shift", "distance of gardens", 0, 5, 4, 0.1, format=".1f"),
        Slider("spread", "spread of test garden", 0.3, 2, 1, 0.1, format=".1f"),
        Slider("curvature", "curvature of rule", 0, 0.6, 0.4, 0.05),
        Slider("photos", "training photos", 10, PHOTOS, PHOTOS, 1, format="d"),
        Slider("draw", "draw of photos (seed)", 0, 19, 0, 1, format="d"),
        Toggle("shuffled", "shuffle the gardens", False),
        Toggle("square", "give it the square of feature 1", False),
    ),
    compute=compute,
    figure=covariate_shift(LINE),
    bindings=_bindings(),
    readout=(
        "Of {photos:d} training photos the classifier gets {accuracy_train:.0%} right, "
        "of the 200 test photos {accuracy_test:.0%}."
    ),
    counts={"accuracy_train": "share", "accuracy_test": "share", "bars": "share"},
)
