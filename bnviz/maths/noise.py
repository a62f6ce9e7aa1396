"""How far the statistics of a batch scatter, for Gaussian values with mean 0 and variance 1.

    mu_B     normal, std 1 / sqrt(m)
    sigma_B  its square times m is chi-squared with m - 1 degrees of freedom (biased variance)

so that, with G the gamma function,

    E sigma_B   = sqrt(2/m) G(m/2) / G((m-1)/2)       E sigma_B^2   = (m-1) / m
    E 1/sigma_B = sqrt(m/2) G((m-2)/2) / G((m-1)/2)   E 1/sigma_B^2 = m / (m-3)

The last two are finite for m > 2 and for m > 3 only. That is the theory of one group as well, where
a ghost batch cuts m examples into groups: put the size of a group in the place of m.

Source: textbook; the moments of the chi and inverse chi distributions.
"""

import math

from bnviz.maths import _arguments as arguments

__all__ = ["deviation", "inverse_deviation", "mean"]


def mean(m: float) -> tuple[float, float]:
    """Mean and std of mu_B.

    Raises TypeError unless m is a number, ValueError unless it is at least 2; so do the others.

    >>> mean(16)
    (0.0, 0.25)
    """
    arguments.number("m", m, 2)
    return 0.0, m**-0.5


def deviation(m: float) -> tuple[float, float]:
    """Mean and std of sigma_B.

    >>> [round(v, 3) for v in deviation(2)]  # the size of a normal number over sqrt(2)
    [0.564, 0.426]
    """
    arguments.number("m", m, 2)
    middle = math.sqrt(2 / m) * math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2))
    return middle, math.sqrt((m - 1) / m - middle**2)


def inverse_deviation(m: float) -> tuple[float, float]:
    """Mean and std of 1 / sigma_B; infinite where they do not exist.

    >>> inverse_deviation(2), [round(v, 3) for v in inverse_deviation(8)]
    ((inf, inf), [1.204, 0.389])
    """
    arguments.number("m", m, 2)
    if m <= 2:
        return math.inf, math.inf
    middle = math.sqrt(m / 2) * math.exp(math.lgamma((m - 2) / 2) - math.lgamma((m - 1) / 2))
    return middle, math.sqrt(m / (m - 3) - middle**2) if m > 3 else math.inf
