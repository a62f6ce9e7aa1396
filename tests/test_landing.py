"""What the landing page asks its readers to try happens, with each of the five seeds it names."""

import math

import numpy as np
import pytest

from bnviz import explorers
from bnviz.maths.prng import Shuffler
from tests.twin import twin

SEEDS = range(5)


def run(seed: int, *stops: int, rounding: int = 0, **values) -> dict[int, dict[str, float]]:
    """What `drift` shows at some steps of a run, as the page computes it.

    rounding: above 0, every number of the start is off by up to its last digit, each otherwise.
    """
    drift, graphs = explorers.get("drift"), twin("drift")
    state = graphs.run("initial", values, seed=np.array([seed], np.float32))["next_state"]
    if rounding:
        share = np.random.default_rng(rounding).uniform(-1, 1, state.shape)
        state = (state * (1 + np.finfo(np.float32).eps * share)).astype(np.float32)
    rows, seen = Shuffler(drift.rows, seed), {}
    for number in range(1, max(stops) + 1):
        taken = rows.take(int(values.get("batch", 32))).numpy()
        outputs = graphs.run("step", values, state=state, rows=taken)
        state = outputs["next_state"]
        if number in stops:
            outputs |= graphs.run("observe", values, state=state)
            seen[number] = {k: float(v) for k, v in outputs.items() if v.size == 1}
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_left_alone_the_plain_network_is_slow_and_not_lost(seed):
    seen = run(seed, 60, 1000)
    early, late = seen[60], seen[1000]
    assert -3.35 < early["plain_mean"] < -2.45
    assert early["plain_std"] < 0.35
    assert early["plain_loss"] == pytest.approx(math.log(10), abs=0.1)
    assert early["bn_test"] > 0.85
    assert late["plain_test"] > 0.95


@pytest.mark.parametrize("seed", SEEDS)
def test_from_wide_weights_both_learn(seed):
    end = run(seed, 240, scale=5.0)[240]
    assert min(end["plain_test"], end["bn_test"]) > 0.92


@pytest.mark.parametrize("seed", SEEDS)
def test_with_batches_of_two_the_lead_is_lost(seed):
    """However rounding falls: such a run is chaotic, and another compiler rounds otherwise."""
    for rounding in range(4):
        assert run(seed, 240, rounding=rounding, batch=2)[240]["bn_test"] < 0.25


@pytest.mark.parametrize("seed", SEEDS)
def test_relu_diverges_on_the_left_at_step_4_or_5(seed):
    losses = [run(seed, n, activation="relu")[n]["plain_loss"] for n in (3, 5)]
    assert math.isfinite(losses[0])
    assert not math.isfinite(losses[1])
