"""The figures of chapter 1 against scikit-learn, NumPy's eigen-decomposition, and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from bnviz import explorers
from bnviz.explorers import covariate_shift, whitening
from bnviz.maths import gardens as photographed
from bnviz.maths import measures
from bnviz.maths.prng import Shuffler
from tests.rounding import limit

GARDEN, WHITE = explorers.get("covariate-shift"), explorers.get("whitening")


# --- covariate-shift ------------------------------------------------------------------------------


def gardens(**values) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Photos of both sides, from what the figure draws."""
    found = GARDEN.outputs(**values)
    sides = {}
    for side in ("train", "test"):
        x, rose = [], []
        for kind in ("rose", "other"):
            points = np.stack([found[f"{side}_{kind}_{letter}"] for letter in "xy"], 1)
            points = points[np.isfinite(points).all(1)].astype(float)
            x.append(points)
            rose.append(np.full(len(points), kind == "rose"))
        sides[side] = np.concatenate(x), np.concatenate(rose)
    return sides


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("photos", [20, 63, 200])
def test_the_classifier_is_scikit_learns(photos, shuffled, square):
    for draw in (0, 5, 11):
        values = {"photos": photos, "shuffled": shuffled, "square": square, "draw": draw}
        found, sides = GARDEN.outputs(**values), gardens(**values)

        def inputs(x):
            return np.stack([np.ones(len(x)), *x.T, *([x[:, 0] ** 2] if square else [])], 1)

        model = LogisticRegression(C=photographed.C, fit_intercept=False, tol=1e-9)
        model.set_params(max_iter=10_000).fit(inputs(sides["train"][0]), sides["train"][1])
        for side, (x, rose) in sides.items():
            expected = model.score(inputs(x), rose)
            terms = np.abs(inputs(x) * model.coef_).sum(1).max()
            # the figure solves and decides in float32: who stands on the boundary is either
            close = np.abs(model.decision_function(inputs(x))) < limit(np.float32, len(x), terms)
            share = close.mean() + limit(np.float32, 1)
            assert found[f"accuracy_{side}"] == pytest.approx(expected, abs=share)
            assert close.mean() < 0.03
        w = np.append(model.coef_[0], 0)[:4]
        at = np.array(covariate_shift.LINE)
        boundary = np.clip(-(w[0] + w[1] * at + w[3] * at**2) / w[2], -30, 30)
        np.testing.assert_allclose(found["boundary"], boundary, rtol=1e-3, atol=1e-3)


def test_the_mistakes_are_ringed_and_counted():
    found = GARDEN.outputs()
    for side in ("train", "test"):
        rings = np.isfinite(found[f"{side}_wrong_x"].numpy()).sum()
        assert found[f"accuracy_{side}"] == pytest.approx(1 - rings / 200)


def test_the_rule_is_the_same_in_both_gardens_and_the_gardens_lie_where_the_sliders_say():
    sides = gardens(shift=3.0, spread=0.5, curvature=0.25)
    for x, rose in sides.values():
        assert (rose == (x[:, 1] > 0.25 * (x[:, 0] ** 2 - 4))).all()
        assert len(x) == 200
    np.testing.assert_allclose(sides["train"][0].mean(0), [-2, 0], atol=0.25)
    np.testing.assert_allclose(sides["test"][0].mean(0), [1, 0], atol=0.15)
    np.testing.assert_allclose(sides["test"][0].std(0), 0.5, atol=0.07)


def test_shuffled_gardens_are_half_and_half_on_both_sides():
    for x, _ in gardens(shift=5.0, spread=0.3, shuffled=True).values():
        assert ((x[:, 0] - 3) ** 2 < 2).sum() == pytest.approx(100, abs=2)


def test_the_line_fails_elsewhere_and_the_square_helps():
    """What the chapter says, over the draws of the slider."""
    for draw in range(20):
        line, curve = (GARDEN.outputs(draw=draw, square=square) for square in (False, True))
        assert line["accuracy_train"] > 0.9
        assert line["accuracy_test"] < 0.6
        assert curve["accuracy_test"] > line["accuracy_test"] + 0.1
        mixed = GARDEN.outputs(draw=draw, shuffled=True)
        assert abs(mixed["accuracy_train"] - mixed["accuracy_test"]) < 0.12


# --- whitening ------------------------------------------------------------------------------------


def numpys(stage: str, raw: np.ndarray) -> np.ndarray:
    centred = raw - raw.mean(0)
    values, u = np.linalg.eigh(centred.T @ centred / len(raw))
    return {
        "raw": raw,
        "centred": centred,
        "standardised": centred / centred.std(0),
        "PCA-whitened": centred @ u[:, ::-1] / np.sqrt(values[::-1]),
        "ZCA-whitened": centred @ u / np.sqrt(values) @ u.T,
    }[stage]


@pytest.mark.parametrize("stage", whitening.STAGES)
def test_each_stage_is_numpys(stage):
    for correlation in (-0.95, -0.3, 0.0, 0.8):
        for ratio in (0.25, 1.5, 4.0):
            found = WHITE.outputs(stage=stage, correlation=correlation, ratio=ratio)
            raw, now = (
                np.stack([found[f"{n}_x"], found[f"{n}_y"]], 1).astype(float)
                for n in ("raw", "now")
            )
            expected = numpys(stage, raw)
            if stage == "PCA-whitened":  # each axis has two directions
                expected = expected * np.sign((expected * now).sum(0))
            np.testing.assert_allclose(now, expected, atol=2e-4)
            table = np.cov(now.T, bias=True)
            np.testing.assert_allclose(found["now_table"].flip(0), table, atol=1e-4)
            np.testing.assert_allclose(np.corrcoef(raw.T)[0, 1], correlation, atol=1e-5)
            np.testing.assert_allclose(raw.std(0)[0] / raw.std(0)[1], ratio, rtol=1e-4)


@pytest.mark.parametrize("stage", whitening.STAGES[3:])
def test_halfway_the_cloud_is_halfway(stage):
    ends = [WHITE.outputs(stage=stage, amount=amount) for amount in (0.0, 0.5, 1.0)]
    for letter in "xy":
        raw, half, white = (end[f"now_{letter}"] for end in ends)
        torch.testing.assert_close(half, (raw + white) / 2, rtol=1e-4, atol=1e-4)


def test_eigenvalues_and_vectors_are_numpys():
    random = np.random.default_rng(0)
    for _ in range(200):
        a = random.normal(size=(2, 2)) * 10.0 ** random.uniform(-1, 1, 2)
        s = (a @ a.T).astype(np.float32)
        values, u = whitening.eigen(torch.tensor(s))
        expected, v = np.linalg.eigh(s.astype(float))
        np.testing.assert_allclose(values, expected[::-1], rtol=1e-3, atol=1e-4 * expected[1])
        if expected[1] > 1.1 * expected[0]:
            np.testing.assert_allclose(abs(np.diag(u.numpy().T @ v[:, ::-1])), 1, atol=1e-3)


def test_axes_are_drawn_where_they_stand_out_only():
    for stage in whitening.STAGES:
        drawn = WHITE.outputs(stage=stage)["long_x"].isfinite().all()
        assert drawn == (not stage.endswith("whitened")), stage


@pytest.mark.parametrize("stage", whitening.STAGES)
def test_the_ellipse_is_two_standard_deviations_away(stage):
    found = WHITE.outputs(stage=stage)
    now, ellipse = (
        np.stack([found[f"{n}_x"], found[f"{n}_y"]], 1).astype(float) for n in ("now", "ellipse")
    )
    away = ellipse - now.mean(0)
    inverse = np.linalg.inv(np.cov(now.T, bias=True))
    np.testing.assert_allclose(np.sqrt(((away @ inverse) * away).sum(1)), 2, rtol=1e-3)


def test_zca_changes_points_less_than_pca():
    for correlation in (-0.9, -0.4, 0.5, 0.95):
        for ratio in (0.5, 2.0, 4.0):
            values = {"correlation": correlation, "ratio": ratio}
            zca, pca = (
                WHITE.outputs(stage=f"{s}-whitened", **values)["moved"] for s in ("ZCA", "PCA")
            )
            assert zca < pca


# --- drift and ics --------------------------------------------------------------------------------


def test_percentiles_are_numpys():
    v = torch.randn(3, 37, 5, generator=torch.Generator().manual_seed(0))
    expected = np.percentile(v.numpy(), [15, 50, 85], axis=1)
    np.testing.assert_allclose(measures.percentiles(v, (0.15, 0.5, 0.85)), expected, atol=1e-5)


def run(name: str, steps: int, **values):
    simulation = explorers.get(name)
    controls = simulation.tensors(values)
    state, rows = simulation.initial(torch.tensor(0.0), **controls), Shuffler(simulation.rows, 0)
    outputs = []
    for _ in range(steps):
        state, found = simulation.step(state, rows.take(int(controls["batch"])), **controls)
        outputs.append(found)
    return state, outputs


def test_saturation_is_shown_for_every_layer_with_the_first_on_top():
    _, (found,) = run("drift", 1, scale=10.0, layer=2)
    table = found["plain_all_saturated"]
    assert table.shape == (5, 1)
    assert table[3, 0] == pytest.approx(100 * found["plain_saturated"].item())
    assert table[4, 0] > 30  # layer 1 at such a scale


@pytest.mark.parametrize("name", ["drift", "ics"])
def test_what_is_looked_at_changes_nothing_in_the_run(name):
    choices = {"drift": {"layer": 1, "unit": 9}, "ics": {"layer": 2, "place": "before BN"}}
    state, outputs = run(name, 3)
    other, others = run(name, 3, **choices[name])
    assert all(state[k].equal(other[k]) for k in state)
    simulation = explorers.get(name)
    for binding in simulation.bindings:
        if binding.append and binding.output in outputs[-1]:
            assert binding.pick(outputs[-1]).equal(binding.pick(others[-1])), binding


def test_the_shift_of_the_distributions_is_that_of_their_moments():
    """Recomputed from the mean and standard deviation that the state keeps."""
    (before, _), (after, outputs) = run("ics", 4), run("ics", 5)
    for n, name in enumerate(("plain", "bn", "noisy")):
        for place in range(2):
            for layer in range(4):
                m0, m1, s0, s1 = (
                    s[k][place, layer, n].double().numpy()
                    for k in ("mean", "std")
                    for s in (before, after)
                )
                expected = np.hypot(m1 - m0, s1 - s0).mean() / s0.mean()
                found = outputs[-1][f"{name}_moved"][place, layer]
                assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_without_noise_noisy_bn_is_bn():
    _, outputs = run("ics", 3, noise=0.0)
    for key in ("loss", "moved", "changed", "cosine"):
        torch.testing.assert_close(outputs[-1][f"noisy_{key}"], outputs[-1][f"bn_{key}"])
