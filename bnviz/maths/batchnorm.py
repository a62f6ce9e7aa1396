"""Batch Normalization from scratch, in NumPy: training, gradients, inference, running averages.

A batch is (m, d), or (m, c, h, w) for a convolution, whose c channels are then the features.
Each feature is normalised by itself, over its n values: n = m, or n = m*h*w, the m' of the paper.
Sums are taken in float64; results have the dtype of x (of float16: y and dx; the rest is float32).
Integer x raises TypeError: convert it with `x.astype(np.float32)`.

Source: S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015 (arXiv:1502.03167), called I&S below.
"""

from numbers import Integral, Real
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Cache", "RunningStats", "backward", "batch_statistics", "forward", "infer"]

Array = NDArray[np.floating]
_NOT_GIVEN = cast(float, object())  # None would do, if it did not mean "cumulative" to PyTorch


class Cache(NamedTuple):
    """What `forward` leaves for `backward`, which needs neither x nor mu_B again."""

    x_hat: Array  # (m, d) or (m, c, h, w)
    gamma: Array  # (d,)
    inv_std: Array  # (d,) float64, 1 / sqrt(var_B + eps)
    dtype: np.dtype[Any]  # of x


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return mu_B and the BIASED variance var_B (divided by n). I&S Algorithm 1, lines 1 and 2.

    x is (m, d) or (m, c, h, w) with n >= 2; both results are (d,) or (c,).
    Raises TypeError (not floating) or ValueError (shape, n < 2, a value not finite or too large).

    >>> batch_statistics(np.array([[1.0, 10.0], [3.0, 50.0]]))
    (array([ 2., 30.]), array([  1., 400.]))
    """
    centred, mean, var = _centre(_check_x(x, least=2))
    return mean.astype(centred.dtype), var.astype(centred.dtype)


def forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Cache]:
    """Normalise a training batch with its own statistics; return (y, cache). I&S Algorithm 1.

        x_hat = (x - mu_B) / sqrt(var_B + eps)        y = gamma * x_hat + beta

    x and y are (m, d) or (m, c, h, w), gamma and beta (d,) or (c,), var_B is BIASED, eps > 0.
    Raises as `batch_statistics`, and ValueError for eps <= 0 and wrong shapes of gamma or beta.

    >>> y, cache = forward(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([5.0]))
    >>> y.round(3).ravel()
    array([3., 7.])
    """
    x = _check_x(x, least=2)
    gamma, beta = _check_vectors(x, gamma=gamma, beta=beta)
    centred, _, var = _centre(x)  # (m, d), (d,), (d,)
    inv_std = _inv_std(var, eps)  # (d,)
    x_hat = centred
    x_hat *= _along(inv_std, centred)  # (m, d), in place: a fresh array costs more than the product
    y = x_hat * _along(gamma, x_hat)  # (m, d)
    y += _along(beta, x_hat)
    return y.astype(x.dtype, copy=False), Cache(x_hat, gamma, inv_std, x.dtype)


def backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Return (dx, dgamma, dbeta) of a loss whose gradient at y is dy. I&S section 3.

        dbeta = sum dy        dgamma = sum dy * x_hat        (over the n values of a feature)

    x reaches the loss on three roads: x_hat itself, var_B and mu_B. With dx_hat = gamma * dy

        dvar = -1/2 (var_B + eps)^(-3/2) sum dx_hat * (x - mu_B)
        dmu  = -(var_B + eps)^(-1/2) sum dx_hat             (its road through var_B sums to 0)
        dx   =  (var_B + eps)^(-1/2) dx_hat + dvar * 2 (x - mu_B) / n + dmu / n

    Put in dvar, dmu and x - mu_B = x_hat * sqrt(var_B + eps); the code has this one line:

        dx = gamma / sqrt(var_B + eps) * (dy - x_hat * dgamma / n - dbeta / n)

    What dy loses is its part along 1 and, up to eps, along x_hat: shifting or scaling the whole
    batch leaves y as it is. dy and dx have the shape of x, dgamma and dbeta (d,) or (c,), and all
    are sums over the batch: the 1/m of a mean loss is in dy already.
    Raises TypeError (dy not floating, cache not a `Cache`), ValueError (dy: shape, not finite).

    >>> x, dy = np.array([[1.0], [3.0], [5.0]]), np.array([[1.0], [0.0], [0.0]])
    >>> dx, dgamma, dbeta = backward(dy, forward(x, np.array([1.0]), np.array([0.0]))[1])
    >>> dx.round(3).ravel(), dgamma.round(3), dbeta
    (array([ 0.102, -0.204,  0.102]), array([-1.225]), array([1.]))
    """
    x_hat, gamma, inv_std, dtype = _check_cache(cache)
    dy = _check_floats("dy", dy, x_hat.shape).astype(x_hat.dtype, copy=False)  # (m, d)
    n = dy.size // dy.shape[1]
    with np.errstate(invalid="ignore"):  # reported below
        dbeta, dgamma = _sum(dy), _sum(dy * x_hat)  # (d,), (d,)
    if not np.isfinite(dbeta).all():  # if it is, then so is dy
        _check_finite("dy", dy)
    dx = x_hat * _along(-dgamma / n, dy)  # (m, d), filled in place
    dx += dy
    dx -= _along(dbeta / n, dy)
    dx *= _along(gamma * inv_std, dy)
    return dx.astype(dtype, copy=False), dgamma.astype(dy.dtype), dbeta.astype(dy.dtype)


def infer(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float = 1e-5) -> Array:
    """Normalise with given statistics: y = gamma * (x - mean) / sqrt(var + eps) + beta.

    Here y of a sample does not depend on the rest of the batch, and one sample is enough.
    x and y are (m, d) or (m, c, h, w), all else (d,) or (c,). I&S Algorithm 2, line 11.
    Raises as `forward`, except that n = 1 is welcome, and ValueError for var < 0.

    >>> infer(np.array([[4.0]]), *(np.array([v]) for v in (2.0, 1.0, 3.0, 0.25))).round(2)
    array([[5.]])
    """
    x = _check_finite("x", _check_x(x, least=1))
    gamma, beta, mean, var = _check_vectors(x, gamma=gamma, beta=beta, mean=mean, var=var)
    if (var < 0).any():
        raise ValueError(f"var holds {var.min()}, must be >= 0: pass the variance, not its log")
    wide = x.astype(np.result_type(x, np.float64))  # a large mean must not be rounded to float32
    y = (wide - _along(mean, wide)) * _along(gamma * _inv_std(var, eps), wide) + _along(beta, wide)
    return y.astype(x.dtype)


class RunningStats:
    """Gather the mean and variance that `infer` needs from training batches; (d,) or (c,), float64.

    Each update moves both towards the batch, mean = (1 - w) * mean + w * mu_B, and so for var.
    `variance` says which batch variance it takes: "unbiased", n / (n - 1) * var_B, is PyTorch's and
    the paper's; "biased", var_B, is that of Keras, of ONNX and of "Dive into Deep Learning".
    With n = 32 they are 3 % apart. In normalising, var_B is biased everywhere.
    The estimators differ only in w, the weight of the NEW value:

    - "exponential": w = momentum, default 0.1, as in PyTorch. `keep=0.9` is the same in the other
      convention, of TensorFlow, Keras and Caffe: weight of the OLD value. Starts at mean 0, var 1.
    - "cumulative": w = 1/k in batch k, so every batch counts the same (PyTorch: momentum=None).
    - "population": I&S Algorithm 2, line 10: E[x] = E[mu_B], Var[x] = n / (n - 1) * E[var_B], for
      batches of one size the same as "cumulative". With other sizes every value counts the same:
      E[x] = sum n mu_B / sum n, and the pooled Var[x] = sum n var_B / sum (n - 1), also unbiased;
      biased, it is sum n var_B / sum n. What differs from batch to batch in mu_B is in neither.

    Raises ValueError: d < 1, unknown estimator or variance, weight not in [0, 1], given twice or to
    no purpose.

    >>> stats = RunningStats(1, keep=0.75)
    >>> stats.update(np.array([[2.0], [6.0]]))  # mean 4, unbiased variance 8
    >>> stats.mean, stats.var
    (array([1.]), array([2.75]))
    """

    def __init__(
        self,
        d: int,
        estimator: str = "exponential",
        *,
        momentum: float = _NOT_GIVEN,
        keep: float = _NOT_GIVEN,
        variance: str = "unbiased",
    ):
        if not isinstance(d, Integral) or d < 1:
            raise ValueError(f"d = {d!r} must be an integer >= 1: the features, x.shape[1]")
        if estimator not in ("exponential", "cumulative", "population"):
            raise ValueError(f"{estimator=} must be 'exponential', 'cumulative' or 'population'")
        if variance not in ("unbiased", "biased"):
            raise ValueError(f"{variance=} must be 'unbiased' (PyTorch) or 'biased' (Keras, ONNX)")
        weights = (("momentum", momentum), ("keep", keep))
        given = {name: weight for name, weight in weights if weight is not _NOT_GIVEN}
        if len(given) > (estimator == "exponential"):
            raise ValueError(f"{given}: 'exponential' takes one of the two, other estimators none")
        for name, weight in given.items():
            if not isinstance(weight, Real) or not 0 <= weight <= 1:
                hint = "PyTorch's momentum=None is estimator='cumulative' here"
                raise ValueError(f"{name} = {weight!r} must be a number in [0, 1]; {hint}")
        self._momentum = float(1 - keep if "keep" in given else given.get("momentum", 0.1))
        self.estimator, self.variance, self.batches, self._values = estimator, variance, 0, 0
        self._mean, self._var = np.zeros(d), np.ones(d)

    def update(self, x: Array) -> None:
        """Take in a batch; on an error (those of `batch_statistics`, wrong d) nothing changes.

        >>> stats = RunningStats(1, "population")
        >>> for batch in ([[0.0], [2.0]], [[3.0], [6.0], [9.0]]):
        ...     stats.update(np.array(batch))
        >>> stats.mean, stats.var  # 20 / 5, (2 + 18) / (1 + 2)
        (array([4.]), array([6.66666667]))
        """
        x, d = _check_x(x, least=2), self._mean.size
        if x.shape[1] != d:
            raise ValueError(f"x has shape {x.shape}, axis 1 must be {d}: make a new RunningStats")
        (_, mean, var), n = _centre(x), x.size // x.shape[1]
        self.batches, self._values = self.batches + 1, self._values + n
        unbiased = self.variance == "unbiased"
        free = (n - 1) / (self._values - self.batches) if unbiased else n / self._values
        w_mean, w_var = {
            "exponential": (self._momentum, self._momentum),
            "cumulative": (1 / self.batches, 1 / self.batches),
            "population": (n / self._values, free),
        }[self.estimator]
        self._mean = (1 - w_mean) * self._mean + w_mean * mean
        new = n / (n - 1) * var if unbiased else var
        self._var = (1 - w_var) * self._var + w_var * new

    @property
    def mean(self) -> Array:
        """Running mean; ValueError before any update, unless exponential (then 0)."""
        return self._read(self._mean)

    @property
    def var(self) -> Array:
        """Running variance, of the kind named; ValueError before any update, unless exponential."""
        return self._read(self._var)

    def _read(self, value: Array) -> Array:
        if self.batches == 0 and self.estimator != "exponential":
            raise ValueError(f"batches = 0, {self.estimator!r} needs >= 1: call update(x) first")
        return value.copy()


def _sum(x: Array) -> Array:
    """Sum over all axes but the features, in float64: (m, d) -> (d,), (m, c, h, w) -> (c,)."""
    return x.sum((0, 2, 3) if x.ndim == 4 else 0, dtype=np.result_type(x, np.float64))


def _along(v: Array, x: Array) -> Array:
    """Lay a (d,) or (c,) vector along the feature axis of x, in its dtype: (d,) or (c, 1, 1)."""
    return v.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 2))


def _centre(x: Array) -> tuple[Array, Array, Array]:
    """Return x - mu_B, mu_B, biased var_B; with care, as float32 rounds a mean of 1e4 by 5e-4."""
    n, x = x.size // x.shape[1], x.astype(np.result_type(x, np.float32), copy=False)
    with np.errstate(over="ignore", invalid="ignore"):  # reported below
        rounded = (_sum(x) / n).astype(x.dtype)
        centred = x - _along(rounded, x)
        rest = _sum(centred) / n  # what the rounding left, now small enough for float32
        centred -= _along(rest, x)
        var = _sum(np.square(centred)) / n
    if not np.isfinite(var).all():  # if it is, then so is x
        _check_finite("x", x)
        limits = f"{np.abs(x).max():.2g}, must be below {np.finfo(x.dtype).max ** 0.5:.0e}"
        raise ValueError(f"max |x| = {limits} for var_B not to overflow {x.dtype}: scale x down")
    return centred, rounded + rest, var


def _check_floats(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> Array:
    value = np.asarray(values)
    if not np.issubdtype(value.dtype, np.floating):
        raise TypeError(f"{name} is {value.dtype}, must be floating: {name}.astype(np.float32)")
    if shape and value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}, must be {shape}: reshape or rebuild it")
    return value


def _check_finite(name: str, value: Array) -> Array:
    if not np.isfinite(value).all():
        at = tuple(np.argwhere(~np.isfinite(value))[0].tolist())
        raise ValueError(f"{name}{list(at)} is {value[at]}, must be finite: mend or drop that row")
    return value


def _check_vectors(x: Array, **vectors: ArrayLike) -> list[Array]:
    # copies, as the caller may change its own before `backward`
    checked = {name: _check_floats(name, v, (x.shape[1],)) for name, v in vectors.items()}
    return [_check_finite(name, v).copy() for name, v in checked.items()]


def _check_cache(cache: object) -> Cache:
    if not isinstance(cache, Cache):
        raise TypeError(f"cache is a {type(cache).__name__}: pass the second result of forward")
    return cache


def _check_x(x: ArrayLike, least: int) -> Array:
    x = _check_floats("x", x)
    if x.ndim not in (2, 4) or x.size == 0:
        raise ValueError(f"x has shape {x.shape}, must be (m, d) or (m, c, h, w), >= 1: reshape it")
    if x.size // x.shape[1] < least:
        raise ValueError(f"x has shape {x.shape}, n = 1, must be >= 2: enlarge the batch, or infer")
    return x


def _inv_std(var: Array, eps: float) -> Array:
    if not isinstance(eps, Real) or not 0 < eps < np.inf:
        raise ValueError(f"eps = {eps!r} must be a finite number above 0: use e.g. 1e-5")
    return 1 / np.sqrt(var + float(eps))
