"""`whitening`: a cloud of points, centred, standardised, or whitened in two ways."""

from functools import cache
from typing import cast

import torch
from torch import Tensor

from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.templates.whitening import whitening

__all__ = ["STAGES", "WHITENING", "cloud", "covariance", "eigen", "matrix"]

POINTS, SIZE = 300, 1.3
STAGES = ("raw", "centred", "standardised", "PCA-whitened", "ZCA-whitened")
FOLLOWED = (52, 197, 85)  # points with a mark of their own
_ROUND = 0.02  # below this difference of the eigenvalues, in parts of their sum, no axis stands out
_TURN = [2 * torch.pi * k / 72 for k in range(73)]


@cache
def _normal() -> Tensor:
    """Standard normal points, then shifted and turned so that mean and covariance are exact."""
    z = prng.normal((POINTS, 2), torch.tensor(4), stream=0)
    z = z - z.mean(0)
    a = (z[:, 0] ** 2).mean().sqrt()
    u = z[:, 0] / a
    v = z[:, 1] - (u * z[:, 1]).mean() * u
    return torch.stack([u, v / (v**2).mean().sqrt()], 1)  # (POINTS, 2)


def cloud(correlation: Tensor, ratio: Tensor, mean: Tensor) -> Tensor:
    """Points with mean (mean, mean / 2), that correlation, standard deviations in that ratio.

    Returns (POINTS, 2); the geometric mean of the two standard deviations is `SIZE`.
    """
    u, v = _normal().unbind(1)
    second = correlation * u + torch.sqrt(1 - correlation**2) * v
    wide = ratio.sqrt()
    return torch.stack([SIZE * wide * u + mean, SIZE / wide * second + mean / 2], 1)


def covariance(x: Tensor) -> Tensor:
    """Biased covariance matrix, (2, 2): divided by n, as in BN."""
    centred = x - x.mean(0)
    return centred.T @ centred / len(x)


def eigen(s: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, larger first, and eigenvectors as columns, of a symmetric (2, 2) matrix.

    lambda = (a + c) / 2 +- sqrt((a - c)^2 / 4 + b^2)    for the matrix [[a, b], [b, c]]

    The second vector is the first turned by 90 degrees.
    """
    a, b, c = s[0, 0], s[0, 1], s[1, 1]
    half, root = (a - c) / 2, torch.sqrt(((a - c) / 2) ** 2 + b**2)
    # of the two ways to write the first vector, the one that does not cancel
    first = torch.where(half < 0, torch.stack([b, root - half]), torch.stack([root + half, b]))
    length = torch.sqrt((first**2).sum())
    east = torch.tensor([1.0, 0.0])  # any direction will do where all are alike
    first = torch.where(length > 1e-5, first / length.clamp_min(1e-5), east)
    first = torch.where(2 * first[0] + first[1] < 0, -first, first)  # of two signs, one for good
    values = torch.stack([(a + c) / 2 + root, (a + c) / 2 - root])
    return values, torch.stack([first, torch.stack([-first[1], first[0]])], 1)


def matrix(s: Tensor, stage: Tensor) -> Tensor:
    """What a centred point is multiplied with at each of the `STAGES`, (2, 2).

    standardised: diag(1 / sigma);  PCA: Lambda^(-1/2) U^T;  ZCA: U Lambda^(-1/2) U^T,
    where the covariance is U Lambda U^T.

    Source: Kessy, Lewin and Strimmer (2018), Optimal whitening and decorrelation.
    """
    values, u = eigen(s)
    identity = torch.eye(2)
    pca = u.T / values.sqrt()[:, None]
    stages = (identity, identity, identity / s.diagonal().sqrt()[:, None], pca, u @ pca)
    return cast(Tensor, sum((stage == k).float() * m for k, m in enumerate(stages)))


def compute(
    stage: Tensor, amount: Tensor, correlation: Tensor, ratio: Tensor, mean: Tensor
) -> dict[str, Tensor]:
    """The cloud on its way from raw (amount 0) to the stage (amount 1), with its covariance."""
    raw = cloud(correlation, ratio, mean)
    centre, s = raw.mean(0), covariance(raw)
    way = (1 - amount) * torch.eye(2) + amount * matrix(s, stage)
    shift = centre * (1 - amount * (stage > 0.5).float())
    now = (raw - centre) @ way.T + shift  # (POINTS, 2)
    t = covariance(now)
    moved = torch.sqrt(((now - now.mean(0) - raw + centre) ** 2).sum(1).mean())
    outputs = {
        "raw_x": raw[:, 0], "raw_y": raw[:, 1], "now_x": now[:, 0], "now_y": now[:, 1],
        "raw_table": _rounded(s).flip(0), "now_table": _rounded(t).flip(0),
        "middle": now.mean(0), "variances": t.diagonal(),
        "correlated": t[0, 1] / torch.sqrt(t[0, 0] * t[1, 1]), "moved": moved,
    }  # fmt: skip
    for name, x in (("start", raw), ("marked", now)):
        outputs[f"{name}_x"], outputs[f"{name}_y"] = x[list(FOLLOWED), :, None].unbind(1)  # (3, 1)
    return outputs | _axes(now.mean(0), t)


def _rounded(s: Tensor) -> Tensor:
    """Without the dust that would show as -0.00."""
    return torch.where(s.abs() < 5e-5, 0.0, s)


def _axes(centre: Tensor, s: Tensor) -> dict[str, Tensor]:
    """Two standard deviations in every direction: an ellipse and, unless round, its axes."""
    values, u = eigen(s)
    axes = 2 * u * values.clamp_min(0).sqrt()  # columns: the two half axes
    middle = (values[0] * values[1]).clamp_min(0).sqrt()  # S^(1/2) needs no vector, also if round
    root = (s + middle * torch.eye(2)) / torch.sqrt(values.sum() + 2 * middle)
    turn = torch.tensor(_TURN)
    ellipse = 2 * torch.stack([turn.cos(), turn.sin()], 1) @ root + centre  # (73, 2)
    stands_out = (values[0] - values[1]) > _ROUND * values.sum()
    outputs = {"ellipse_x": ellipse[:, 0], "ellipse_y": ellipse[:, 1]}
    for k, name in enumerate(("long", "short")):
        ends = torch.stack([centre - axes[:, k], centre + axes[:, k]])  # (2, 2)
        ends = torch.where(stands_out, ends, torch.nan)
        outputs |= {f"{name}_x": ends[:, 0], f"{name}_y": ends[:, 1]}
    return outputs


def _bindings() -> tuple[Binding, ...]:
    names = ("raw", "now", "ellipse", "long", "short")
    points = [Binding(f"{name}_{letter}", name, letter) for name in names for letter in "xy"]
    points += [
        Binding(f"{name}_{letter}", f"{name}-{k}", letter, (k,))
        for name in ("start", "marked")
        for k in range(len(FOLLOWED))
        for letter in "xy"
    ]
    return (*points, Binding("raw_table", "raw-table", "z"), Binding("now_table", "now-table", "z"))


WHITENING = Explorer(
    name="whitening",
    title="From a raw cloud to a white one",
    caption=(
        "Grey: the points as they come. Green: the same points at the chosen stage, with the "
        "ellipse of two standard deviations and its principal axes; where the cloud is round, no "
        "axis stands out and none is drawn. Three points are marked so that you can follow them "
        "(hollow: where they came from). Compare the two tables: standardising sets the diagonal "
        "to 1, and only whitening clears what stands beside it."
    ),
    controls=(
        Choice("stage", "stage", STAGES, "standardised"),
        Slider("amount", "how far", 0, 1, 1, 0.02, format=".0%"),
        Slider("correlation", "correlation", -0.95, 0.95, 0.8, 0.05),
        Slider("ratio", "scale ratio σ₁ : σ₂", 0.25, 4, 3, 0.25, format=".2f"),
        Slider("mean", "mean of feature 1", 0, 2, 1.5, 0.1, format=".1f"),
    ),
    compute=compute,
    figure=whitening(),
    bindings=_bindings(),
    readout=(
        "{stage:|Raw|Centred|Standardised|PCA-whitened|ZCA-whitened}: "
        "mean ({middle[0]:.2f}, {middle[1]:.2f}), variances {variances[0]:.2f} and "
        "{variances[1]:.2f}, correlation {correlated:.2f}. Beyond centring, a point has moved by "
        "{moved:.2f} (root mean square)."
    ),
)
