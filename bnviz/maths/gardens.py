"""Roses in two gardens: the distribution of photos differs, the rule stays; and a classifier."""

import torch
from torch import Tensor

from bnviz.maths import prng

__all__ = ["CENTRE", "C", "fit", "gardens"]

CENTRE = 2.0  # the training garden lies about (-CENTRE, 0)
C = 10.0  # weight of the data against the ridge, as scikit-learn counts it
STEPS = 14  # of Newton's method; after ten nothing moves in float32


def gardens(
    photos: int, shift: Tensor, spread: Tensor, curvature: Tensor, seed: Tensor, shuffled: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Training and test photos as (features, is it a rose), shapes (photos, 2) and (photos,).

    The training garden has standard deviation 1 about (-CENTRE, 0), the other one `spread` about a
    place that is `shift` further right. Shuffled, either side takes every other photo from each.
    Rule in both gardens: a rose has x_2 > curvature * (x_1^2 - CENTRE^2).
    """
    second = torch.arange(photos) % 2 == 1
    sides: dict[str, tuple[Tensor, Tensor]] = {}
    for stream, side in enumerate(("train", "test")):
        z = prng.normal((photos, 2), seed, stream)
        other = torch.where(shuffled > 0.5, second.float(), float(stream))[:, None]  # 0 or 1
        middle = torch.stack([other[:, 0] * shift - CENTRE, torch.zeros(photos)], 1)
        x = middle + (1 + other * (spread - 1)) * z
        sides[side] = x, x[:, 1] > curvature * (x[:, 0] ** 2 - CENTRE**2)
    return sides


def fit(inputs: Tensor, rose: Tensor, used: Tensor) -> Tensor:
    """Logistic regression by Newton's method: weights w, (k,).

    minimises  w.w / 2 + C * sum_i used_i * log(1 + exp(-s_i w.x_i)),   s_i = 1 for a rose, else -1

    Args:
        inputs: (n, k), a column of ones among them if there shall be an intercept.
        rose: (n,), true or false.
        used: (n,), 1 for what counts and 0 for the rest.

    Source: Hastie, Tibshirani, Friedman (2009), The Elements of Statistical Learning, section 4.4.
    """
    k = inputs.shape[1]
    w = torch.zeros(k)
    for _ in range(STEPS):
        p = torch.sigmoid(inputs @ w)  # (n,)
        gradient = w + C * inputs.T @ (used * (p - rose.float()))  # (k,)
        curved = C * used * p * (1 - p)
        hessian = torch.eye(k) + inputs.T @ (curved[:, None] * inputs)  # (k, k)
        w = w - _solve(hessian, gradient)
    return w


def _solve(a: Tensor, b: Tensor) -> Tensor:
    """x with a x = b for a small positive definite a: elimination, then substitution."""
    k = len(b)
    rows = list(torch.cat([a, b[:, None]], 1).unbind())  # k rows of (k + 1,)
    for i in range(k):
        rows[i] = rows[i] / rows[i][i]
        for j in range(k):
            if j != i:
                rows[j] = rows[j] - rows[j][i] * rows[i]
    return torch.stack([row[k] for row in rows])
