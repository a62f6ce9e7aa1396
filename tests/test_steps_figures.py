"""The figures of chapter 2 compute what NumPy, torch.nn and the formulas in the text give."""

import numpy as np
import pytest
import torch
from scipy import stats

from bnviz import explorers
from bnviz.explorers import axes, batch_statistics, epsilon, normalize
from bnviz.maths import prng
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.site.files import _rounded
from tests.twin import twin


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    """The chapter's pre-activations: second hidden layer, all 1,437 training digits."""
    net = MLP((64, 64, 64, 10))
    net.load_state_dict(initialise(net, seed=0, scale=3.0))
    first, second = net.layers[0].linear, net.layers[1].linear
    with torch.no_grad():
        return second(torch.sigmoid(first(digits().x_train))).double().numpy()


def numbers(name: str, **values) -> dict[str, np.ndarray]:
    return {k: v.double().numpy() for k, v in explorers.get(name).outputs(**values).items()}


# --- normalize -----------------------------------------------------------------------------------


def table(**values) -> tuple[np.ndarray, np.ndarray]:
    """The table as a reader sees it, digits first, and which of its cells are strong."""
    out = numbers("normalize", **values)
    strong, pale = out["strong"][::-1], out["pale"][::-1]
    assert (np.isnan(strong) | np.isnan(pale)).all(), "a cell is drawn twice"
    return np.where(np.isnan(strong), pale, strong), ~np.isnan(strong)


def test_the_table_ends_with_what_torch_computes(z):
    x = z[:8, list(normalize.UNITS)]
    bn = torch.nn.BatchNorm1d(6, eps=0.01, dtype=torch.float64)
    with torch.no_grad():
        bn.weight[2], bn.bias[2] = -1.5, 0.5
        y = bn(torch.tensor(x)).numpy()
    shown, strong = table(stage=7, column=3, gamma=-1.5, beta=0.5, eps=0.01)
    np.testing.assert_allclose(shown[:8], y, atol=1e-4)
    np.testing.assert_allclose(shown[9], x.mean(0), atol=1e-5)
    np.testing.assert_allclose(shown[10], x.var(0), atol=1e-5)
    assert shown[11].tolist() == [1, 1, -1.5, 1, 1, 1]
    assert shown[12].tolist() == [0, 0, 0.5, 0, 0, 0]
    assert np.isnan(shown[8]).all()
    assert strong[[*range(8), *range(9, 13)]].all()


@pytest.mark.parametrize("stage", range(1, 7))
def test_each_stage_changes_one_column_and_knows_no_more_than_it_should(z, stage):
    x = z[:8, list(normalize.UNITS)]
    gamma, beta, eps, k = 2.0, -1.0, 0.1, 4
    centred = x[:, k] - x[:, k].mean()
    x_hat = centred / np.sqrt((centred**2).mean() + eps)
    column = [x[:, k]] * 3 + [centred] * 2 + [x_hat, gamma * x_hat + beta]
    shown, strong = table(stage=stage, column=k + 1, gamma=gamma, beta=beta, eps=eps)
    np.testing.assert_allclose(shown[:8, k], column[stage], atol=1e-5)
    others = np.arange(6) != k
    np.testing.assert_allclose(shown[:8, others], x[:, others], atol=1e-6)
    assert strong[:8, k].all()
    assert not strong[:, others].any()
    assert np.isfinite(shown[9, k]) == (stage >= 2)
    assert np.isfinite(shown[10, k]) == (stage >= 4)
    assert not np.isfinite(shown[9:11, others]).any()
    assert strong[11:, k].all() == (stage >= 6)


def test_the_dots_are_the_column_before_and_now(z):
    out = numbers("normalize", stage=5, column=2)
    x = z[:8, normalize.UNITS[1]]
    np.testing.assert_allclose(out["before_v"], x, atol=1e-6)
    np.testing.assert_allclose(out["now_v"], stats.zscore(x), atol=1e-4)
    np.testing.assert_allclose(out["now_bar"], [-1, 0, 1], atol=1e-4)
    assert out["unit"] == 16
    assert out["frame"].tolist() == [0.5, 1.5, 1.5, 0.5, 0.5]


def test_the_page_gets_enough_digits_to_write_a_table():
    """Four digits of -4.1750x and then two decimals of that are not two decimals of -4.1750x."""
    table = {"z": [[-4.17504, 0.123456789]], "texttemplate": "%{z:.2f}"}
    assert _rounded({"data": [table, {"y": [-4.17504]}]}) == {
        "data": [{**table, "z": [[-4.17504, 0.12345679]]}, {"y": [-4.175]}]
    }


# --- batch-statistics ----------------------------------------------------------------------------


def test_the_population_is_one_unit_of_the_chapters_network(z):
    values, mean, std = batch_statistics.population()
    unit = z[:1024, 5]
    assert mean == pytest.approx(unit.mean(), abs=1e-5)
    assert std == pytest.approx(unit.std(), abs=1e-5)
    np.testing.assert_allclose(values, stats.zscore(unit), atol=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_statistics_are_those_of_the_batches_that_were_drawn(unbiased):
    values = batch_statistics.draws(torch.tensor(3.0)).double().numpy()
    out = numbers("batch-statistics", batch=16, draw=3, unbiased=unbiased)
    for k, m in enumerate(batch_statistics.SIZES):
        assert out["spread"][k] == pytest.approx(values[:, :m].mean(1).std(), rel=1e-4)
        var = values[:, :m].var(1, ddof=int(unbiased))
        assert out["bias"][k] == pytest.approx(var.mean(), rel=1e-4)
    mu, var = values[:, :16].mean(1), values[:, :16].var(1, ddof=int(unbiased))
    edges = np.linspace(-2.4, 2.4, 49)
    counts = np.histogram(mu, edges)[0] / 400
    scale = np.sqrt(2 * np.pi) / 4 / (edges[1] - edges[0])
    np.testing.assert_allclose(out["mu_share"], counts * scale, atol=1e-4)
    counts = np.histogram(var, np.linspace(0, 2.4, 49))[0] / 400
    np.testing.assert_allclose(out["var_share"], counts, atol=1e-6)
    assert (out["spread_measured"], out["bias_measured"]) == (out["spread"][3], out["bias"][3])


def test_the_draws_follow_the_two_laws():
    seeds = [numbers("batch-statistics", draw=seed) for seed in range(10)]
    m = np.array(batch_statistics.SIZES)
    spread = np.mean([s["spread"] for s in seeds], axis=0)
    bias = np.mean([s["bias"] for s in seeds], axis=0)
    np.testing.assert_allclose(spread * np.sqrt(m), 1, atol=0.04)
    np.testing.assert_allclose(bias, (m - 1) / m, atol=0.02)
    corrected = np.mean(
        [numbers("batch-statistics", draw=s, unbiased=True)["bias"] for s in range(10)], axis=0
    )
    np.testing.assert_allclose(corrected, 1, atol=0.04)
    assert len({s["spread_measured"].item() for s in seeds}) == 10


def test_numbers_below_a_power_of_two_are_equally_likely():
    drawn = prng.below(4, 16_000, torch.tensor(7), stream=2).numpy()
    assert drawn.min() == 0
    assert drawn.max() == 15
    assert stats.chisquare(np.bincount(drawn)).pvalue > 0.001


# --- epsilon -------------------------------------------------------------------------------------

NOISY = [(10.0**s, 10.0**o) for s in (-8, -5, -4, -3.5, -3, -1, 1) for o in (-2, 0, 2, 4)]


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.1])
def test_rounding_is_the_same_when_compiled(eps):
    """Also where nothing but rounding is left; only last bits of what is derived may differ."""
    for std, offset in NOISY:
        values = {"std": std, "eps": eps, "offset": offset}
        ours = explorers.get("epsilon").outputs(**values)
        theirs = twin("epsilon").run("compute", values)
        for name in ("in_share", "out_share"):
            np.testing.assert_array_equal(ours[name].numpy(), theirs[name], f"{name} {values}")
        for name in ("std_in", "std_out", "levels"):
            message = f"{name} {values}"
            np.testing.assert_allclose(ours[name].numpy(), theirs[name], rtol=3e-7, err_msg=message)


@pytest.mark.parametrize(("std", "offset"), NOISY)
def test_what_float32_keeps_is_what_numpy_keeps(std, offset):
    z = epsilon.shape().numpy()
    x = np.float32(offset) + np.float32(std) * z
    assert x.dtype == np.float32
    out = numbers("epsilon", std=std, offset=offset, eps=1e-12)
    assert round(float(out["levels"])) == len(np.unique(x))
    exact = x.astype(np.float64)
    few = float(np.spacing(np.float32(offset))) * 8  # a sum of 256 loses a few last digits at most
    assert out["std_in"] == pytest.approx(exact.std(), rel=1e-5, abs=few)
    if exact.std() > 0:
        assert out["meant"] == pytest.approx(np.corrcoef(exact, z)[0, 1] ** 2, abs=2e-3)
    else:
        assert out["meant"] == out["std_out"] == 0
    assert out["std_out"] <= 1 + 1e-5


@pytest.mark.parametrize("eps", [1e-12, 1e-8, 1e-5, 1e-3, 0.1])
def test_without_an_offset_the_spread_follows_the_formula(eps):
    for std in (1e-6, 1e-3, 1.0, 10.0):
        out = numbers("epsilon", std=std, offset=0.01, eps=eps)
        assert out["std_out"] == pytest.approx(np.sqrt(std**2 / (std**2 + eps)), rel=2e-3)
        assert out["expected"] == pytest.approx(np.sqrt(std**2 / (std**2 + eps)), rel=1e-5)
        assert out["meant"] > 0.999


# --- axes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "mean_axes", "means", "behind"),
    [(0, (0, 2, 3), 4, 4), (1, (0, 2, 3), 4, 64), (2, (0,), 64, 4), (3, (1, 2, 3), 4, 64)],
)
@pytest.mark.parametrize("pick", [1, 4])
def test_the_means_and_their_counts(z, layer, mean_axes, means, behind, pick):
    rows, maps = (a.double().numpy() for a in axes.arrays())
    np.testing.assert_allclose(rows[..., 0, 0], z[:4, list(axes.UNITS)], atol=1e-5)
    values = maps if layer else rows
    mean = values.mean(mean_axes)
    var = values.var(mean_axes)
    at = {0: pick - 1, 1: pick - 1, 2: (pick - 1, 1, 1), 3: pick - 1}[layer]
    out = numbers("axes", layer=axes.LAYERS[layer], pick=pick)
    assert (out["means"], out["behind"]) == (mean.size, values.size / mean.size) == (means, behind)
    assert out["picked_mean"] == pytest.approx(mean[at], abs=1e-5)
    assert out["picked_var"] == pytest.approx(var[at], abs=1e-5)
    shown = out["numbers"][::-1]
    if layer < 2:
        np.testing.assert_allclose(shown[4, :4], mean, atol=1e-5)
    if layer == 3:
        np.testing.assert_allclose(shown[:4, 4], mean, atol=1e-5)
    assert np.isfinite(shown).sum() == {0: 20, 1: 4, 2: 0, 3: 4}[layer]


@pytest.mark.parametrize("layer", range(4))
@pytest.mark.parametrize("pick", range(1, 5))
def test_what_is_framed_is_what_shares_the_mean(layer, pick):
    out = numbers("axes", layer=axes.LAYERS[layer], pick=pick)
    strong, pale = np.isfinite(out["strong"]), np.isfinite(out["pale"])
    assert not (strong & pale).any()
    corners = np.stack([out["frame_x"], out["frame_y"]], axis=1).reshape(5, 6, 2)[:, :5]
    y, x = np.mgrid[:24, :24]
    framed = np.zeros((24, 24), dtype=bool)
    for box in corners:
        (left, low), (right, high) = box.min(0), box.max(0)
        framed |= (x > left) & (x < right) & (y > low) & (y < high)
    np.testing.assert_array_equal(framed, strong)
    assert strong.sum() == (5 if layer == 2 else 80)
    values = out["strong"][4:] if layer < 3 else out["strong"][:, :20]
    if layer == 2:
        values = out["strong"][5:]
    assert np.nanmean(values) == pytest.approx(out["picked_mean"], abs=1e-5)
