"""`moving-average`: a stream of batch statistics, and three estimates of what is behind it."""

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.controls import Choice, Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.templates.moving_average import moving_average

__all__ = ["MOVING_AVERAGE", "TRUTHS", "exponential_weights", "true_statistics"]

T, FRESH, LARGEST = 200, 40, 256  # batches in training, batches after it, the largest batch
TRUTHS = ("jumps", "drifts", "settles, as in training", "stays")
START = {"mean": 0.0, "var": 1.0}  # running values before the first batch, as in PyTorch and Keras


def true_statistics(kind: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the variance behind each batch, (T + FRESH,); after T the network is frozen."""
    t = torch.arange(1, T + FRESH + 1).clamp(max=T).float()
    settling = 1 - torch.exp(-t / 40)
    shapes = (
        torch.where(t > T / 2, 1.0, 0.0),
        t / T,
        settling,
        torch.ones(T + FRESH),
    )
    way = torch.stack(shapes).index_select(0, kind.long().reshape(1))[0]  # from 0 to 1
    return 1 + 2 * way, 1.5 + 2 * way


def batches(seed: Tensor, m: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """mu_B and the biased var_B of batches of m normal values, one batch for each entry of mean."""
    z = prng.normal((T + FRESH, LARGEST), seed, stream=0)
    inside = (torch.arange(LARGEST) < m).float()
    centre = (z * inside).sum(1) / m
    spread = ((z - centre.unsqueeze(1)) ** 2 * inside).sum(1) / m
    return mean + torch.sqrt(var) * centre, var * spread


def exponential_weights(w: Tensor) -> tuple[Tensor, Tensor]:
    """What batch k counts in the running value after batch t, and what the start still counts.

        v_t = (1 - w)^t v_0 + sum over k <= t of w (1 - w)^(t - k) b_k

    Returns (T, T), lower triangular, and (T,). Rows and start add up to 1.
    """
    t = torch.arange(1, T + 1).float()
    age = t.unsqueeze(1) - t  # (T, T)
    seen = (age >= 0).float()
    return seen * w * torch.pow(1 - w, age.clamp(min=0)), torch.pow(1 - w, t)


def compute(
    truth: Tensor,
    momentum: Tensor,
    batch: Tensor,
    seed: Tensor,
    corrected: Tensor,
    unbiased: Tensor,
) -> dict[str, Tensor]:
    """All estimates are sums over the batches, so each is one matrix product."""
    true_mean, true_var = true_statistics(truth)
    mu, var = batches(seed, batch, true_mean, true_var)
    var = torch.where(unbiased > 0.5, var * batch / (batch - 1), var)
    weights, start = exponential_weights(momentum)
    outputs = {"true_mean": true_mean, "true_var": true_var, "batch_mean": mu, "batch_var": var}
    for name, b, true in (("mean", mu, true_mean), ("var", var, true_var)):
        outputs |= _estimates(name, b, true, weights, start, corrected)
    outputs["weights"] = weights[-1] / momentum  # 1 for the newest batch
    outputs["memory"] = 2 / momentum - 1
    outputs["start"] = torch.where(corrected > 0.5, 0.0, start[-1])
    return outputs


def _estimates(
    name: str, b: Tensor, true: Tensor, weights: Tensor, start: Tensor, corrected: Tensor
) -> dict[str, Tensor]:
    gathered = weights @ b[:T]  # (T,)
    running = torch.where(corrected > 0.5, gathered / (1 - start), gathered + start * START[name])
    cumulative = b[:T].cumsum(0) / torch.arange(1, T + 1)
    population = b[T:].mean()
    error = (running - true[:T])[-T // 4 :]
    return {
        f"exponential_{name}": running,
        f"cumulative_{name}": cumulative,
        f"population_{name}": population.expand(2),
        f"last_exponential_{name}": running[-1],
        f"last_cumulative_{name}": cumulative[-1],
        f"last_population_{name}": population,
        f"last_true_{name}": true[-1],
        f"off_{name}": error.square().mean().sqrt(),
    }


def _bindings() -> tuple[Binding, ...]:
    return (
        *(
            Binding(f"{kind}_{name}", f"{kind}-{name}", "y")
            for name in ("mean", "var")
            for kind in ("true", "batch", "exponential", "cumulative", "population")
        ),
        Binding("weights", "weights", "y"),
    )


MOVING_AVERAGE = Explorer(
    name="moving-average",
    title="Three estimates of a mean and a variance",
    caption=(
        "Dots: the statistics of one batch after another. The dashed line is the truth behind "
        "them, which the estimates try to follow. Look at three places: the first batches, the "
        "change in the truth, and the end. The lowest panel shows how much each batch counts in "
        "the last exponential average, compared with the newest one."
    ),
    controls=(
        Choice("truth", "the truth", TRUTHS, "jumps"),
        _controls.momentum(low=0.001),
        _controls.batch(16, high=LARGEST),
        Slider("seed", "stream number", 0, 20, 0, 1, format="d"),
        Toggle("corrected", "correct the start", False),
        Toggle("unbiased", "unbiased variance (÷ m − 1)", True),
    ),
    compute=compute,
    figure=moving_average(T, FRESH),
    bindings=_bindings(),
    readout=(
        "At the end the truth is mean {last_true_mean:.2f}, variance {last_true_var:.2f}. "
        "Exponential: {last_exponential_mean:.2f} and {last_exponential_var:.2f}; "
        "cumulative: {last_cumulative_mean:.2f} and {last_cumulative_var:.2f}; "
        "population: {last_population_mean:.2f} and {last_population_var:.2f}. "
        "The exponential mean is off by {off_mean:.2f} (root mean square, last 50 batches). "
        "It remembers about {memory:.0f} batches; its start still counts {start:.0%}."
    ),
)
