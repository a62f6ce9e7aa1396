"""A small network in NumPy with Batch Normalization, whose backward pass you may replace.

    z = x W1        v = BN(z; gamma, beta)        a = max(v, 0)        logits = a W2 + b2

The loss is the MEAN cross-entropy over the batch: its 1/m enters once, at the logits, and every
gradient below is a plain sum over the examples.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnviz.maths import batchnorm

__all__ = ["loss_and_gradients", "train"]

Array = NDArray[np.floating]
Whole = NDArray[np.integer]
Params = dict[str, Array]
Backward = Callable[[Array, batchnorm.Cache], tuple[Array, Array, Array]]


def loss_and_gradients(
    params: Params,
    x: ArrayLike,
    labels: ArrayLike,
    bn_backward: Backward = batchnorm.backward,
    eps: float = 1e-5,
) -> tuple[np.floating, Params]:
    """Return the mean cross-entropy and its gradient for each parameter, a dict with the same keys.

    Args:
        params: "W1" (d, h), "gamma" (h,), "beta" (h,), "W2" (h, classes), "b2" (classes,).
        x: inputs, (m, d), m >= 2.
        labels: class numbers, (m,), integers.
        bn_backward: (dy, cache) -> (dx, dgamma, dbeta), with the cache of `batchnorm.forward`.
        eps: added to the batch variance.

    Raises TypeError for labels that are no whole numbers. Raises ValueError for labels of another
    length than x or that name no class, for params of another shape or not finite, and what
    `batchnorm.forward` raises.

    >>> params = {"W1": np.eye(2), "gamma": np.ones(2), "beta": np.zeros(2),
    ...           "W2": np.zeros((2, 2)), "b2": np.zeros(2)}
    >>> loss, gradients = loss_and_gradients(params, np.eye(2), np.array([0, 1]))
    >>> round(float(loss), 4), gradients["b2"]
    (0.6931, array([0., 0.]))
    """
    x, labels, p = _checked(params, x, labels)
    m = len(x)
    z = x @ p["W1"]  # (m, h)
    v, cache = batchnorm.forward(z, p["gamma"], p["beta"], eps)
    a = np.maximum(v, 0)  # (m, h)
    logits = a @ p["W2"] + p["b2"]  # (m, classes)
    log_p = logits - logits.max(1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
    loss = -log_p[np.arange(m), labels].mean()

    dlogits = np.exp(log_p)  # (m, classes)
    dlogits[np.arange(m), labels] -= 1
    dlogits /= m  # the mean
    da = dlogits @ p["W2"].T  # (m, h)
    dz, dgamma, dbeta = bn_backward(da * (v > 0), cache)
    gradients = {"W1": x.T @ dz, "gamma": dgamma, "beta": dbeta}
    return loss, gradients | {"W2": a.T @ dlogits, "b2": dlogits.sum(0)}


def _checked(params: Params, x: ArrayLike, labels: ArrayLike) -> tuple[Array, Whole, Params]:
    """x, labels and params as arrays that fit together."""
    x, labels = np.asarray(x), np.asarray(labels)
    if x.ndim != 2:
        raise ValueError(f"x must be (m, d), got shape {x.shape}")
    if labels.shape != x.shape[:1]:
        raise ValueError(f"{labels.size} labels for {len(x)} rows of x: pass one for each row")
    names = ("W1", "gamma", "beta", "W2", "b2")
    if set(names) != set(params):
        raise ValueError(f"params are {sorted(params)}, must be {sorted(names)}")
    p = {name: np.asarray(params[name]) for name in names}
    h, classes = p["gamma"].size, p["b2"].size
    shapes = {"W1": (x.shape[1], h), "gamma": (h,), "beta": (h,), "W2": (h, classes)}
    for name, shape in (shapes | {"b2": (classes,)}).items():
        if p[name].shape != shape:
            raise ValueError(f"{name} must be {shape} beside the others, got {p[name].shape}")
        if not np.isfinite(p[name]).all():
            raise ValueError(f"{name} is not finite: take a smaller learning rate")
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"labels are {labels.dtype}, must be whole numbers: use labels.astype(int)")
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"labels lie in [{labels.min()}, {labels.max()}], W2 has {classes} classes"
        )
    return x, labels, p


def train(
    params: Params,
    x: Array,
    labels: Whole,
    batches: Iterable[Whole],
    *,
    lr: float,
    bn_backward: Backward = batchnorm.backward,
    eps: float = 1e-5,
) -> tuple[list[float], Params]:
    """Gradient descent, p <- p - lr * dp, one step for each batch; return (losses, params).

    Args:
        params, x, labels, bn_backward, eps: as in `loss_and_gradients`; params is not changed.
        batches: arrays of row numbers, one for each step.
        lr: learning rate, > 0.

    Raises ValueError for lr <= 0 or not finite, and as `loss_and_gradients`.

    >>> rng = np.random.default_rng(0)
    >>> x, labels = rng.standard_normal((8, 2)), np.arange(8) % 2
    >>> params = {"W1": np.eye(2), "gamma": np.ones(2), "beta": np.zeros(2),
    ...           "W2": np.zeros((2, 2)), "b2": np.zeros(2)}
    >>> losses, _ = train(params, x, labels, [np.arange(8)] * 50, lr=0.5)
    >>> losses[0] > losses[-1]
    True
    """
    if not np.isfinite(lr) or not lr > 0:
        raise ValueError(f"lr must be > 0 and finite, got {lr}; 0.1 is a usual start")
    losses: list[float] = []
    for rows in batches:
        loss, gradients = loss_and_gradients(params, x[rows], labels[rows], bn_backward, eps)
        losses.append(float(loss))
        params = {name: value - lr * gradients[name] for name, value in params.items()}
    return losses, params
