"""What whitening costs: ZCA of a batch against BN's standardising, by width, side by side."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from bnviz.experiments.experiment import Experiment, Row
from bnviz.maths.moments import normalise

__all__ = [
    "WHITENING_COST",
    "cheaper_flops",
    "flops",
    "standardise",
    "whiten",
    "whiten_by_products",
    "whiten_in_groups",
]

EPS, REPEATS = 1e-3, 11
EXAMPLES = 1024  # no fewer than the largest width: a covariance of full rank


def standardise(x: Tensor) -> Tensor:
    """BN's part: subtract each feature's mean, divide by its standard deviation; (m, d) -> (m, d).

    >>> standardise(torch.tensor([[0.0], [2.0]])).round().tolist()
    [[-1.0], [1.0]]
    """
    return normalise(x, 0, EPS)


def whiten(x: Tensor) -> Tensor:
    """ZCA whitening: centre, then multiply by the inverse root of the covariance.

    X_w = (X - mu) (Sigma + eps I)^(-1/2), Sigma = (X - mu)^T (X - mu) / m, the root through its
    eigenvectors. (m, d) -> (m, d), with covariance I up to eps.

    Source: Bell and Sejnowski (1997), "The independent components of natural scenes are edge
    filters"; as a layer: Huang et al. (2018), "Decorrelated Batch Normalization".
    """
    centred = x - x.mean(0)
    sigma = centred.T @ centred / x.shape[0]  # (d, d)
    values, vectors = torch.linalg.eigh(sigma + EPS * torch.eye(x.shape[1]))
    return centred @ (vectors * values.rsqrt()) @ vectors.T


def flops(m: int, d: int) -> dict[str, int]:
    """Leading terms of the floating point operations of a forward pass.

    Standardising: 8 m d (sums, squares, products). Whitening: 2 m d^2 for the covariance, 9 d^3 for
    the eigenvectors, 2 d^3 for the root, 2 m d^2 to apply it.

    Source of the 9 d^3: Golub and Van Loan (2013), Matrix Computations, section 8.3.

    >>> flops(1, 1)
    {'bn': 8, 'whitening': 15}
    """
    return {"bn": 8 * m * d, "whitening": 4 * m * d**2 + 11 * d**3}


def whiten_in_groups(x: Tensor, group: int = 16) -> Tensor:
    """ZCA within groups of features; features of two groups stay as correlated as they were.

    Raises ValueError unless the groups share out the features of x, (m, d).

    Source: Huang et al. (2018), Decorrelated Batch Normalization, section 3.4.
    """
    if group < 1 or x.shape[1] % group:
        raise ValueError(f"groups of {group} do not share out {x.shape[1]} features")
    return torch.cat([whiten(part) for part in x.split(group, 1)], 1)


def whiten_by_products(x: Tensor, rounds: int = 5) -> Tensor:
    """ZCA without eigenvectors: P <- (3 P - P^3 S) / 2 from P = I, with S = Sigma / tr Sigma.

    P tends to S^(-1/2). Few rounds leave the directions of small variance short of 1. Rounding
    grows with the rounds: in float32 more than ten may run away.

    Source: Huang et al. (2019), Iterative Normalization: Beyond Standardization towards Efficient
    Whitening, algorithm 1.
    """
    centred = x - x.mean(0)
    sigma = centred.T @ centred / x.shape[0] + EPS * torch.eye(x.shape[1])
    trace = sigma.trace()
    p = torch.eye(x.shape[1], dtype=x.dtype)
    for _ in range(rounds):
        p = 1.5 * p - 0.5 * p @ p @ p @ (sigma / trace)
    return centred @ p * trace.rsqrt()


def cheaper_flops(m: int, d: int, group: int = 16, rounds: int = 5) -> dict[str, int]:
    """Leading terms for both: in groups 4 m d g + 11 d g^2, by products 4 m d^2 + 6 T d^3.

    >>> cheaper_flops(1, 16)["groups"] == flops(1, 16)["whitening"]
    True
    """
    return {
        "groups": d // group * flops(m, group)["whitening"],
        "products": 4 * m * d**2 + 6 * rounds * d**3,
    }


def run(cell: Row) -> Row:
    """Time for forward and backward of both, and of a linear layer, taken in turn; the ratios."""
    d = cell["width"]
    m = cell.get("examples", EXAMPLES)
    generator = torch.Generator().manual_seed(cell["seed"])
    mix = torch.randn(d, d, generator=generator) / d**0.5
    x = (torch.randn(m, d, generator=generator) @ mix).requires_grad_()
    upstream = torch.randn(m, d, generator=generator)
    weight = torch.randn(d, d, generator=generator).requires_grad_()
    jobs = (
        ("bn", standardise, (x,)),
        ("whitening", whiten, (x,)),
        ("linear", torch.matmul, (x, weight)),
    )
    seconds: dict[str, list[float]] = {name: [] for name, *_ in jobs}
    for _ in range(1 + cell.get("repeats", REPEATS)):
        for name, function, inputs in jobs:
            seconds[name].append(_seconds(function, inputs, upstream))
    bn, whitening, linear = (statistics.median(s[1:]) for s in seconds.values())  # [0] warms up
    count = flops(m, d)
    return {
        "bn_ms": 1000 * bn,
        "whitening_ms": 1000 * whitening,
        "linear_ms": 1000 * linear,
        "ratio": whitening / bn,
        "flops_ratio": count["whitening"] / count["bn"],
        "to_linear": whitening / linear,
        "bn_to_linear": bn / linear,
    }


def _seconds(function: Callable[..., Tensor], inputs: tuple[Tensor, ...], upstream: Tensor):
    start = time.perf_counter()
    torch.autograd.grad(function(*inputs), inputs, upstream)
    return time.perf_counter() - start


def summarise(rows: list[Row]) -> dict:
    """Ratio of the times and of the operation counts by width, and how fast the former grows."""
    first, last = rows[0], rows[-1]
    doublings = torch.tensor(last["width"] / first["width"]).log2().item()
    growth = (last["ratio"] / first["ratio"]) ** (1 / doublings)
    return {
        "ratio": {str(row["width"]): row["ratio"] for row in rows},
        "flops_ratio": {str(row["width"]): row["flops_ratio"] for row in rows},
        "whitening_to_linear": {str(row["width"]): row["to_linear"] for row in rows},
        "bn_to_linear": {str(row["width"]): row["bn_to_linear"] for row in rows},
        "growth_per_doubling": round(growth, 2),
        "largest_width": last["width"],
        "largest_ratio": last["ratio"],
    }


WHITENING_COST = Experiment(
    name="whitening-cost",
    title="What whitening costs, measured against standardising",
    claims=("C06",),
    question="How many times longer does whitening a layer take than what BN does, by width?",
    settings={
        "whitening": "ZCA: covariance, eigenvectors (eigh), inverse root; forward and backward",
        "bn": "mean and variance of each feature, in plain operations; forward and backward",
        "linear": "a d x d weight matrix on the same batch; forward and backward",
        "examples": EXAMPLES,
        "eps": EPS,
        "threads": 1,
        "repeats": f"{REPEATS}, in turn; medians",
        "flops": "leading terms of the forward pass: 8 m d against 4 m d^2 + 11 d^3",
    },
    grid={"width": (16, 32, 64, 128, 256, 512, 1024), "seed": (0,)},
    run=run,
    summarise=summarise,
    serial=True,
    notes=("Times depend on the machine; the order and the growth of the ratio do not.",),
)
