"""The figures of chapter 3 compute what autograd in float64 and torch.nn give."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch

from bnviz import explorers
from bnviz.explorers import backward_steps, batch_coupling, gradient_projection
from bnviz.maths import batchnorm
from bnviz.plots.computation_graph import computation_graph
from bnviz.poster.draw import poster
from tests.rounding import limit
from tests.twin import grid


def numbers(name: str, **values) -> dict[str, np.ndarray]:
    return {k: v.double().numpy() for k, v in explorers.get(name).outputs(**values).items()}


# --- backward-steps ------------------------------------------------------------------------------


def example(m: int, seed: float = 0.0, pattern: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    x, dy = backward_steps.example(torch.tensor(seed), torch.tensor(pattern))
    return x[:m].double(), dy[:m].double()


def by_torch(x, dy, gamma: float, eps: float) -> np.ndarray:
    bn = torch.nn.BatchNorm1d(x.shape[1], eps=eps, dtype=torch.float64)
    bn.weight.data.fill_(gamma)
    x = x.clone().requires_grad_()
    bn(x).backward(dy)
    return x.grad.numpy()


def dx_shown(table: np.ndarray) -> np.ndarray:
    return table[backward_steps.ROWS[3][0] :]


@pytest.mark.parametrize(("m", "gamma", "eps", "seed"), [(8, 1, 1e-5, 0), (40, -1.5, 0.1, 3)])
def test_the_tables_show_the_gradient_of_torch_nn(m, gamma, eps, seed):
    out = numbers("backward-steps", batch=float(m), gamma=float(gamma), eps=eps, seed=float(seed))
    wanted = by_torch(*example(m, float(seed)), gamma, eps)[:8]
    for table in ("formulas", "autograd"):
        np.testing.assert_allclose(dx_shown(out[table]), wanted, atol=0.0051)  # 0.005 reads 0.00
        big = np.abs(wanted) > 0.006
        np.testing.assert_allclose(dx_shown(out[table])[big], wanted[big], rtol=1e-3)


def test_the_statistics_have_the_gradients_of_central_differences():
    out = numbers("backward-steps", gamma=1.5, eps=0.01)
    x, dy = (v.numpy() for v in example(8))

    def loss(mu, var):
        return (dy * 1.5 * (x - mu) / np.sqrt(var + 0.01)).sum(0)

    mu, var, h = x.mean(0), x.var(0), 1e-6
    dvar = (loss(mu, var + h) - loss(mu, var - h)) / (2 * h)
    dmu = (loss(mu + h, var) - loss(mu - h, var)) / (2 * h)
    (row_var, _), (row_mu, _) = backward_steps.ROWS[1:3]
    np.testing.assert_allclose(out["autograd"][row_var], dvar, rtol=1e-4)
    np.testing.assert_allclose(out["autograd"][row_mu], dmu, rtol=1e-4)
    printed = numbers("backward-steps", gamma=1.5, eps=0.01, printed=True)
    np.testing.assert_allclose(printed["formulas"][row_mu] * 8, dmu, rtol=1e-4)


def test_a_stage_shows_nothing_of_the_later_ones():
    for stage in (1.0, 2.0, 3.0, 4.0):
        shown = ~np.isnan(numbers("backward-steps", stage=stage)["formulas"]).all(1)
        wanted = np.zeros(len(shown), dtype=bool)
        for first, last in backward_steps.ROWS[: int(stage)]:
            wanted[first : last + 1] = True
        assert shown.tolist() == wanted.tolist()


def test_examples_beyond_the_batch_are_blank():
    table = dx_shown(numbers("backward-steps", batch=3.0)["formulas"])
    assert np.isnan(table).all(1).tolist() == [False] * 3 + [True] * 5


def test_formula_and_autograd_agree_wherever_the_printed_formula_is_not_used():
    for values in grid(explorers.get("backward-steps")):
        out = numbers("backward-steps", **values)
        if not values.get("printed"):
            assert out["dx_apart"] < 1e-4, values
        assert out["right"].max() < 1e-4, values


def test_the_printed_formula_leaves_out_all_but_one_share_of_the_correction():
    """Its error is (1 - 1/m) times what BN takes out: dy minus its least-squares line in x_hat."""
    curve = numbers("backward-steps", pattern=1.2, eps=1e-6)["wrong"]
    for m, error in zip(backward_steps.SIZES, curve, strict=True):
        x, dy = example(m, pattern=1.2)
        std = x.std(0, correction=0)
        design = torch.stack([torch.ones_like(x), x], dim=-1).transpose(0, 1)  # (2, m, 2)
        fit = torch.linalg.lstsq(design, dy.T.unsqueeze(-1)).solution
        line = (design @ fit).squeeze(-1).T
        wanted = (1 - 1 / m) * (line / std).norm() / (dy / std).norm()
        assert error == pytest.approx(wanted.item(), abs=2e-4), m


def test_the_error_grows_with_the_batch_if_there_is_something_in_common_and_else_shrinks():
    for seed in range(5):
        common = numbers("backward-steps", seed=float(seed))["wrong"]
        assert common[0] == pytest.approx(0.5, abs=0.01)
        assert (np.diff(common[:4]) > 0).all()
        assert common[-1] > 0.9
        noise = numbers("backward-steps", seed=float(seed), pattern=0.0)["wrong"]
        assert noise[-1] < 0.25 < noise[:3].max()


def test_the_diamond_stands_on_the_curve_in_use():
    for printed, curve in ((False, "right"), (True, "wrong")):
        out = numbers("backward-steps", batch=32.0, printed=printed)
        assert out["here"][0] == pytest.approx(out[curve][backward_steps.SIZES.index(32)], abs=1e-6)
        assert out["m"][0] == 32


# --- batch-coupling ------------------------------------------------------------------------------


def bn_of(m: int, gamma: float, eps: float):
    layer = torch.nn.BatchNorm1d(1, eps=eps, dtype=torch.float64)
    layer.weight.data.fill_(gamma)
    return lambda x: layer(x.unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize(("m", "gamma", "eps"), [(8, 1.0, 1e-5), (5, -1.5, 0.1), (2, 1.0, 10.0)])
def test_the_jacobian_is_that_of_autograd(m, gamma, eps):
    out = numbers("batch-coupling", batch=float(m), gamma=gamma, eps=eps)
    x = batch_coupling.X[:m].double()
    wanted = torch.autograd.functional.jacobian(bn_of(m, gamma, eps), x).numpy()
    shown = out["jacobian"][:m, :m]
    np.testing.assert_allclose(shown, np.where(np.abs(wanted) < 0.005, 0, wanted), atol=1e-5)
    assert np.isnan(out["jacobian"][m:]).all()
    assert np.isnan(out["jacobian"][:, m:]).all()


@pytest.mark.parametrize(("m", "sample"), [(8, 4), (5, 2), (3, 8)])
def test_the_moves_are_those_of_torch_nn(m, sample):
    values = {"nudge": -1.3, "sample": float(sample), "gamma": 1.2, "eps": 0.01}
    out = numbers("batch-coupling", batch=float(m), **values)
    x, bn = batch_coupling.X[:m].double(), bn_of(m, 1.2, 0.01)
    j = min(sample, m) - 1  # the last of a smaller batch
    nudged = x.clone()
    nudged[j] -= 1.3
    wanted = (bn(nudged) - bn(x)).detach().numpy()
    shown = np.where(np.isnan(out["own"]), out["others"], out["own"])[:m]
    np.testing.assert_allclose(shown, wanted, atol=1e-5)
    assert np.flatnonzero(~np.isnan(out["own"])).tolist() == [j]
    assert out["sum"] == pytest.approx(0, abs=1e-5)
    n = batch_coupling.LARGEST
    np.testing.assert_allclose(out["after_points"][n : n + m], bn(nudged).detach(), atol=1e-5)
    jacobian = torch.autograd.functional.jacobian(bn, x)
    np.testing.assert_allclose(out["predicted"][:m], -1.3 * jacobian[:, j], atol=1e-5)


def test_frozen_statistics_uncouple_the_batch():
    out = numbers("batch-coupling", frozen=True, eps=0.1, gamma=-0.5)
    x = batch_coupling.X.double()
    bn = torch.nn.BatchNorm1d(1, eps=0.1, dtype=torch.float64).eval()
    bn.running_mean[0], bn.running_var[0], bn.weight.data[0] = x.mean(), x.var(correction=0), -0.5

    def frozen(v):
        return bn(v.unsqueeze(1)).squeeze(1)

    wanted = torch.autograd.functional.jacobian(frozen, x).numpy()
    np.testing.assert_allclose(out["jacobian"], wanted, atol=1e-5)
    assert out["far"] == 0
    n = batch_coupling.LARGEST
    np.testing.assert_allclose(out["before_points"][n:], frozen(x).detach(), atol=1e-5)


def test_a_batch_of_two_does_not_move():
    out = numbers("batch-coupling", batch=2.0)
    assert abs(out["own_move"]) < 1e-4
    assert out["far"] < 1e-4


# --- gradient-projection -------------------------------------------------------------------------


def points(out: dict, name: str) -> tuple[np.ndarray, np.ndarray]:
    inside = ~np.isnan(out[f"{name}_x"])
    return out[f"{name}_x"][inside], out[f"{name}_y"][inside]


@pytest.mark.parametrize("m", [3, 16, 24])
def test_what_is_left_is_the_residual_of_a_least_squares_line(m):
    out = numbers("gradient-projection", batch=float(m), offset=-0.7, slope=1.2)
    x_hat, dy = points(out, "dy")
    assert len(x_hat) == m
    fit = np.polynomial.Polynomial.fit(x_hat.astype(float), dy.astype(float), 1)
    # eps takes its share of the slope, so the line is a little flatter than the least-squares one
    flatter = fit.convert().coef[1] * out["through"]
    rounding = limit(np.float32, 4 * m, np.abs(dy).max())  # mean, variance, two projections
    left = dy - fit(x_hat) + flatter * x_hat
    np.testing.assert_allclose(points(out, "left")[1], left, rtol=0, atol=rounding)
    ends = np.array([-gradient_projection.SPAN, gradient_projection.SPAN])
    line = fit(ends) - flatter * ends
    span = gradient_projection.SPAN  # beyond the points a slope's error grows
    np.testing.assert_allclose(out["line"], line, rtol=0, atol=span * rounding)


@pytest.mark.parametrize("eps", [1e-5, 0.1, 10.0])
def test_what_is_left_times_gamma_over_std_is_dx(eps):
    out = numbers("gradient-projection", eps=eps, batch=10.0)
    x = gradient_projection._example()[0][:10].double().numpy()[:, None]
    _, cache = batchnorm.forward(x, np.array([1.7]), np.array([0.0]), eps)
    dy = points(out, "dy")[1][:, None]
    dx, _, _ = batchnorm.backward(dy, cache)
    left = points(out, "left")[1]
    np.testing.assert_allclose(left * 1.7 * cache.inv_std, dx[:, 0], atol=1e-5)
    residue, var = np.mean(left * cache.x_hat[:, 0]), x.var()
    slope = 0.8 * np.sqrt(var / (var + eps))  # of dy, per unit of x_hat, times mean x_hat^2
    np.testing.assert_allclose(residue, slope * eps / (var + eps), atol=1e-5)
    np.testing.assert_allclose(out["through"], eps / (var + eps), rtol=1e-5)


def test_angles_are_those_between_the_vectors():
    out = numbers("gradient-projection", eps=0.5)
    x_hat, dy = points(out, "dy")
    for name, v in (("dy", dy), ("left", points(out, "left")[1])):
        for k, u in enumerate((np.ones_like(v), x_hat)):
            cosine = v @ u / np.linalg.norm(v) / np.linalg.norm(u)
            angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
            assert out[f"{name}_angles"][k] == pytest.approx(angle, abs=0.02), (name, k)
    assert out["left_angles"][0] == pytest.approx(90, abs=0.01)
    assert out["left_angles"][1] < 85


def test_lengths_add_up_and_two_of_them_go():
    out = numbers("gradient-projection", offset=0.9, slope=-1.1, rest=0.4)
    np.testing.assert_allclose(out["before"], [0.9, 1.1, 0.4], atol=1e-5)
    np.testing.assert_allclose(out["after"], [0, 0, 0.4], atol=1e-4)
    dy = points(out, "dy")[1]
    assert np.mean(dy**2) == pytest.approx((out["before"] ** 2).sum(), rel=1e-5)
    assert out["survives"] == pytest.approx(0.4 / np.sqrt(np.mean(dy**2)), abs=1e-4)


def test_of_a_straight_line_nothing_is_left_and_it_has_no_direction():
    out = numbers("gradient-projection", rest=0.0)
    assert np.abs(points(out, "left")[1]).max() < 1e-4
    assert np.isnan(out["left_angles"]).all()
    nothing = {"offset": 0.0, "slope": 0.0, "rest": 0.0}
    out = numbers("gradient-projection", **nothing)
    assert np.isnan(out["dy_angles"]).all()
    explorer = explorers.get("gradient-projection")
    assert "not a number" not in explorer.say(
        explorer.numbers(nothing), explorer.outputs(**nothing)
    )


# --- the graph -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_graph_has_a_poster_with_all_its_words(mode):
    figure = computation_graph()
    svg = ET.fromstring(poster(figure, mode))
    texts = svg.iter("{http://www.w3.org/2000/svg}text")
    shown = {"".join(text.itertext()).replace("\u200b", "") for text in texts}
    for annotation in figure["layout"]["annotations"]:
        assert re.sub(r"</?(b|sub|sup)>", "", annotation["text"]) in shown
