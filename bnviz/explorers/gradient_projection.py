"""`gradient-projection`: what BN's backward pass takes out of the gradient and lets through."""

from functools import cache

import torch
from torch import Tensor

from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.templates.gradient_projection import gradient_projection

__all__ = ["GRADIENT_PROJECTION"]

LARGEST = 24
SPAN = 3.0  # x_hat is drawn from -SPAN to SPAN


@cache
def _example() -> tuple[Tensor, Tensor]:
    """x and a direction for the rest of dy, both (LARGEST,)."""
    seed = torch.tensor(2.0)
    return prng.normal((LARGEST,), seed, stream=0), prng.normal((LARGEST,), seed, stream=1)


def compute(
    offset: Tensor, slope: Tensor, rest: Tensor, batch: Tensor, eps: Tensor
) -> dict[str, Tensor]:
    """dy = offset + slope * z + rest * w, and dx * sqrt(var + eps) / gamma by the one-line form.

    1, z = x_hat for eps = 0, and w are at right angles and have a mean square of 1.
    """
    x, w = _example()
    inside = torch.arange(LARGEST) < batch

    def mean(v: Tensor) -> Tensor:
        return torch.where(inside, v, 0.0).sum() / batch

    centred = x - mean(x)
    var = mean(centred**2)
    z, x_hat = centred / torch.sqrt(var), centred / torch.sqrt(var + eps)
    w = w - mean(w) - z * mean(w * z)
    w = w / torch.sqrt(mean(w**2))
    dy = offset + slope * z + rest * w
    dbeta, dgamma = mean(dy), mean(dy * x_hat)  # each divided by m
    left = dy - dbeta - x_hat * dgamma
    before, after = (_parts(v, z, mean) for v in (dy, left))
    angles = [_angles(parts) for parts in (before, after)]
    shown = [(parts**2).sum() > 1e-8 for parts in (before, after)]  # zero has no direction
    return {
        **_stems("dy", x_hat, dbeta + dgamma * x_hat, dy, inside),
        **_stems("left", x_hat, torch.zeros(LARGEST), left, inside),
        "line": dbeta + dgamma * torch.tensor([-SPAN, SPAN]),
        "level": dbeta.expand(2),
        "before": before.abs(),
        "after": after.abs(),
        "dy_angles": torch.where(shown[0], angles[0], torch.nan),
        "left_angles": torch.where(shown[1], angles[1], torch.nan),
        "degrees": angles[0],
        "survives": torch.sqrt((after**2).sum() / torch.clamp((before**2).sum(), min=1e-12)),
        "through": eps / (var + eps),
    }


def _parts(v: Tensor, z: Tensor, mean) -> Tensor:
    """Length of v along 1, along z and in all other directions, as root mean squares: (3,)."""
    along_one, along_z = mean(v), mean(v * z)
    rest = torch.sqrt(mean((v - along_one - along_z * z) ** 2))
    return torch.stack([along_one, along_z, rest])


def _angles(parts: Tensor) -> Tensor:
    """Degrees to 1 and to x_hat, (2,); 90 for a vector without a length."""
    a, b, c = parts.unbind()
    along, across = parts[:2], torch.sqrt(torch.stack([b, a]) ** 2 + c**2)
    return 90 - torch.atan(along / torch.clamp(across, min=1e-6)) * (180 / torch.pi)


def _stems(name: str, x: Tensor, foot: Tensor, v: Tensor, inside: Tensor) -> dict[str, Tensor]:
    """Points (x, v), and a stem from its foot to each, broken by NaN."""
    x, foot, v = (torch.where(inside, u, torch.nan) for u in (x, foot, v))
    gap = torch.full_like(x, torch.nan)
    return {
        f"{name}_x": x,
        f"{name}_y": v,
        f"{name}_stem_x": torch.stack([x, x, gap], dim=1).reshape(-1),
        f"{name}_stem_y": torch.stack([foot, v, gap], dim=1).reshape(-1),
    }


GRADIENT_PROJECTION = Explorer(
    name="gradient-projection",
    title="BN sends back the residuals of a straight line",
    caption=(
        "Top left: each example's upstream gradient dy against its x̂. BN fits the straight line. "
        "Top right: what is left, the residuals; times γ / √(σ² + ε) they are dx. Bottom left: "
        "length of dy and of what is left, along three directions. Bottom right: their angles to "
        "the vector 1 and to x̂. Turn dy towards a line and watch how little arrives."
    ),
    controls=(
        Slider("offset", "part of dy along 1", -1.5, 1.5, 1, 0.05),
        Slider("slope", "part of dy along x̂", -1.5, 1.5, 0.8, 0.05),
        Slider("rest", "the rest of dy", 0, 1.2, 0.6, 0.05),
        Slider("batch", "batch size m", 3, LARGEST, 16, 1, format="d"),
        Slider("eps", "ε", 1e-5, 10, 1e-5, 0.25, scale="log10", format=".1e"),
    ),
    compute=compute,
    figure=gradient_projection(LARGEST, SPAN),
    bindings=(
        *(Binding(f"{name}_{letter}", f"{name}-points", letter)
          for name in ("dy", "left") for letter in "xy"),
        *(Binding(f"{name}_stem_{letter}", f"{name}-stems", letter)
          for name in ("dy", "left") for letter in "xy"),
        Binding("line", "line", "y"),
        Binding("level", "level", "y"),
        Binding("before", "before", "y"),
        Binding("after", "after", "y"),
        Binding("dy_angles", "dy-angles", "x"),
        Binding("left_angles", "left-angles", "x"),
    ),
    readout=(
        "dy stands at {degrees[0]:.0f}° to 1 and {degrees[1]:.0f}° to x̂. BN sends back nothing "
        "of the part along 1, {through:.0%} of the part along x̂ and all of the rest: together "
        "{survives:.0%} of its length."
    ),
)  # fmt: skip
