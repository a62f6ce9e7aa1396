"""batchnorm against torch, central differences, closed forms and the identities of BN."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bnviz.maths import batchnorm, gradcheck
from bnviz.maths.batchnorm import RunningStats, backward, batch_statistics, forward, infer
from tests.fuzzing import examples
from tests.rounding import limit

quick = settings(derandomize=True, deadline=None, max_examples=examples(6))
SHAPES = [(64, 16), (2, 3), (16, 4, 5, 3), (1, 2, 3, 3)]
ESTIMATORS = ["exponential", "cumulative", "population"]
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
all_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def axes(x):
    return (0,) if x.ndim == 2 else (0, 2, 3)


def column(v, x):
    return np.reshape(v, (-1,) + (1,) * (x.ndim - 2))


def make(shape, dtype=np.float64, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(2, *shape))
    gamma, beta = rng.normal(1, 0.5, size=(2, shape[1]))
    return [v.astype(dtype) for v in (x + offset, gamma, beta, dy)]


def rounding(x):
    """Of BN in the format of x: two means, and x - mu, which cancels most of a large x."""
    n, wide = x.size // x.shape[1], x.astype(float)
    return limit(x.dtype, 2 * n, np.abs(wide).max() / wide.std(axes(x)).min())


def torch_batchnorm(x, gamma, beta, dy, eps=1e-5, dtype=None):
    """y, dx, dgamma, dbeta of torch's own batch norm and autograd."""
    leaves = [torch.tensor(v, dtype=dtype, requires_grad=True) for v in (x, gamma, beta)]
    y = torch.nn.functional.batch_norm(leaves[0], None, None, *leaves[1:], training=True, eps=eps)
    y.backward(torch.tensor(dy, dtype=dtype))
    return [v.numpy() for v in (y.detach(), *(leaf.grad for leaf in leaves))]


def ours(x, gamma, beta, dy, eps=1e-5):
    y, cache = forward(x, gamma, beta, eps)
    return [y, *backward(dy, cache)]


def textbook(x, gamma, beta, dy, eps=1e-5):
    """y, dx, dgamma, dbeta in float64, by the staged chain rule, each sum spelled out."""
    x, gamma, beta, dy = (np.asarray(v, dtype=np.float64) for v in (x, gamma, beta, dy))
    over, n = axes(x), x.size // x.shape[1]
    mu = x.mean(over, keepdims=True)
    var = ((x - mu) ** 2).mean(over, keepdims=True)
    x_hat = (x - mu) / np.sqrt(var + eps)
    dx_hat = dy * column(gamma, x)
    dvar = (dx_hat * (x - mu)).sum(over, keepdims=True) * -0.5 * (var + eps) ** -1.5
    dmu = -dx_hat.sum(over, keepdims=True) / np.sqrt(var + eps)
    dx = dx_hat / np.sqrt(var + eps) + dvar * 2 * (x - mu) / n + dmu / n
    y = column(gamma, x) * x_hat + column(beta, x)
    return [y, dx, (dy * x_hat).sum(over), dy.sum(over)]


@st.composite
def problems(draw, dtype):
    """(x, gamma, beta, dy, eps) of any small shape, nearly constant features included."""
    flat = st.tuples(st.integers(2, 6), st.integers(1, 4))
    images = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(2, 3))
    shape = draw(flat | images)

    def values(shape, limit):
        width = np.dtype(dtype).itemsize * 8
        number = st.floats(-limit, limit, width=width, allow_subnormal=False)
        return draw(arrays(dtype, shape, elements=number))

    eps = draw(st.sampled_from([1e-8, 1e-5, 1e-3, 1.0]))
    d = (shape[1],)
    return values(shape, 100), values(d, 8), values(d, 8), values(shape, 8), eps


def by_rounding(x, gamma, beta, dy, eps):
    """How far rounding may move y, dx, dgamma and dbeta of each feature, (d,) each.

    The sums are taken in float64, what is kept has the format of x. A mean of n values is off by
    limit(float64, n, |x|), and so is x - mu, however little is left of it; over the root of
    var + eps that is an error of x_hat, once for mu and up to |x_hat| <= sqrt(n) times for var.
    """
    keep = partial(limit, x.dtype, 4)  # few factors, each rounded to the format of x
    x, dy = (np.moveaxis(v, 1, -1).reshape(-1, v.shape[1]).astype(float) for v in (x, dy))
    n, gamma, beta = len(x), np.abs(gamma).astype(float), np.abs(beta).astype(float)
    sd = np.sqrt(x.var(0) + eps)
    hat = np.abs(x - x.mean(0)).max(0) / sd
    steep, most = np.abs(dy).max(0), np.abs(dy).sum(0)
    off_hat = (1 + np.sqrt(n)) * limit(np.float64, n) * np.abs(x).max(0) / sd + keep() * hat
    off_dgamma = most * off_hat + limit(np.float64, n) * most * hat + keep() * most * hat
    off_dbeta = (limit(np.float64, n) + keep()) * most
    terms = steep + (hat * hat + 1) * most / n  # of dx, but for its slope gamma / sd
    off_terms = (off_hat * most * hat + hat * off_dgamma + off_dbeta) / n
    off_dx = gamma / sd * (off_terms + (off_hat + keep()) * terms)
    return [gamma * off_hat + keep() * (gamma * hat + beta), off_dx, off_dgamma, off_dbeta]


def assert_agrees_with_torch_in_float64(problem):
    expected = torch_batchnorm(*problem, dtype=torch.float64)
    names = ("y", "dx", "dgamma", "dbeta")
    for name, off, got, want in zip(
        names, by_rounding(*problem), ours(*problem), expected, strict=True
    ):
        over = axes(got) if got.ndim > 1 else ()
        tiny = np.finfo(got.dtype).tiny  # a product below it is rounded to a multiple of its own
        assert (np.abs(got - want).max(over) <= off + tiny).all(), name


@quick
@given(problems(np.float64))
def test_forward_and_three_gradients_agree_with_torch_in_float64(problem):
    assert_agrees_with_torch_in_float64(problem)


@quick
@given(problems(np.float32))
def test_forward_and_three_gradients_in_float32_agree_with_torch_in_float64(problem):
    assert_agrees_with_torch_in_float64(problem)


@both_dtypes
@all_shapes
def test_forward_and_three_gradients_agree_with_torch_in_the_same_dtype(shape, dtype):
    problem = make(shape, dtype)
    tolerance = rounding(problem[0])
    for got, want in zip(ours(*problem), torch_batchnorm(*problem), strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4, 1e6])
@both_dtypes
@all_shapes
def test_a_large_offset_costs_no_accuracy_and_never_more_than_in_torch(shape, dtype, offset):
    x, gamma, beta, dy = make(shape, offset=offset)
    x = np.round(x * 2**30) / 2**30  # so that x - offset is exact in float64
    problem = [v.astype(dtype) for v in (x, gamma, beta, dy)]
    wide = [v.astype(np.float64) for v in problem]
    expected = textbook(wide[0] - offset, *wide[1:])
    slope = np.abs(gamma).max() / np.sqrt(wide[0].var(axes(x)).min() + 1e-5)
    few_ulp = 4 * np.finfo(dtype).eps
    results = ours(*problem), torch_batchnorm(*problem), expected, [1, slope, 1, 1]
    for got, theirs, want, scale in zip(*results, strict=True):
        error, torchs = (gradcheck.relative_error(v, want, floor=scale) for v in (got, theirs))
        assert error <= max(torchs, few_ulp)
        assert error <= 2 * few_ulp


def test_float32_sums_over_many_samples_are_at_least_as_accurate_as_torch():
    problem = make((20_000, 2), np.float32)
    results = ours(*problem), torch_batchnorm(*problem), textbook(*problem)
    for got, theirs, want in zip(*results, strict=True):
        error, torchs = (gradcheck.relative_error(v, want) for v in (got, theirs))
        assert error <= max(torchs, 4 * np.finfo(np.float32).eps)
        assert error <= 8 * np.finfo(np.float32).eps


@both_dtypes
def test_shifting_the_whole_batch_changes_nothing(dtype):
    x, gamma, beta, dy = make((32, 5))
    x = np.round(x * 2**8) / 2**8  # so that x + 2**12 is exact in float32
    problem = [v.astype(dtype) for v in (gamma, beta, dy)]
    still, moved = ours(x.astype(dtype), *problem), ours((x + 2**12).astype(dtype), *problem)
    for a, b in zip(still, moved, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=20 * np.finfo(dtype).eps)


def test_scaling_the_batch_and_eps_with_it_leaves_y_and_divides_dx():
    x, gamma, beta, dy = make((16, 3, 2, 2))
    y, dx, dgamma, _ = ours(x, gamma, beta, dy, eps=1e-3)
    y7, dx7, dgamma7, _ = ours(7 * x, gamma, beta, dy, eps=49e-3)
    np.testing.assert_allclose(y7, y, atol=1e-13)
    np.testing.assert_allclose(dx7, dx / 7, atol=1e-14)
    np.testing.assert_allclose(dgamma7, dgamma, atol=1e-12)


@all_shapes
def test_x_hat_has_mean_0_and_variance_1_but_for_eps(shape):
    x, gamma, beta, _ = make(shape, offset=3.0)
    x_hat = forward(x, gamma, beta, eps=0.01)[1].x_hat
    var = x.var(axes(x))
    np.testing.assert_allclose(x_hat.mean(axes(x)), 0, atol=1e-14)
    np.testing.assert_allclose(x_hat.var(axes(x)), var / (var + 0.01), rtol=1e-12)


@all_shapes
def test_dx_is_orthogonal_to_1_and_up_to_eps_to_x_hat(shape):
    x, gamma, beta, dy = make(shape)
    for eps in (1e-10, 0.5):
        cache = forward(x, gamma, beta, eps)[1]
        dx, dgamma, _ = backward(dy, cache)
        var = x.var(axes(x))
        residue = gamma * dgamma * eps / (var + eps) ** 1.5
        np.testing.assert_allclose(dx.sum(axes(x)), 0, atol=1e-12)
        np.testing.assert_allclose((dx * cache.x_hat).sum(axes(x)), residue, atol=1e-11)


def test_two_samples_worked_by_hand():
    x, gamma, beta, dy = (np.array(v) for v in ([[4.0], [6.0]], [3.0], [0.5], [[1.0], [0.0]]))
    y, dx, dgamma, dbeta = ours(x, gamma, beta, dy, eps=1.0)  # mu 5, var 1, sqrt(1 + 1)
    r = 1 / np.sqrt(2)
    np.testing.assert_allclose(y, [[0.5 - 3 * r], [0.5 + 3 * r]], rtol=1e-14)
    np.testing.assert_allclose(dgamma, [-r], rtol=1e-14)
    np.testing.assert_allclose(dbeta, [1.0], rtol=1e-14)
    np.testing.assert_allclose(dx, [[3 * r / 4], [-3 * r / 4]], rtol=1e-14)


def test_a_convolution_is_normalised_per_channel_as_if_pixels_were_samples():
    x, gamma, beta, dy = make((4, 3, 5, 2), offset=2.0)
    as_rows = [np.moveaxis(v, 1, -1).reshape(-1, 3) for v in (x, dy)]
    y, dx, dgamma, dbeta = ours(x, gamma, beta, dy)
    rows = ours(as_rows[0], gamma, beta, as_rows[1])
    for image, flat in ((y, rows[0]), (dx, rows[1])):
        np.testing.assert_allclose(np.moveaxis(image, 1, -1).reshape(-1, 3), flat, atol=1e-13)
    np.testing.assert_allclose(dgamma, rows[2], atol=1e-12)
    np.testing.assert_allclose(dbeta, rows[3], atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (2, 2, 3, 2)], ids=str)
def test_all_three_gradients_agree_with_central_differences(shape):
    x, gamma, beta, dy = make(shape)
    dx, dgamma, dbeta = backward(dy, forward(x, gamma, beta)[1])
    gradcheck.check(lambda v: forward(v, gamma, beta)[0], x, dx, dy, tolerance=1e-8)
    gradcheck.check(lambda v: forward(x, v, beta)[0], gamma, dgamma, dy, tolerance=1e-8)
    gradcheck.check(lambda v: forward(x, gamma, v)[0], beta, dbeta, dy, tolerance=1e-8)


@all_shapes
def test_the_one_line_dx_is_the_staged_chain_rule_of_its_docstring(shape):
    problem = make(shape)
    for got, want in zip(ours(*problem), textbook(*problem), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)


@both_dtypes
@pytest.mark.parametrize("shape", [(7, 2), (3, 2, 2, 2)], ids=str)
def test_a_constant_feature_gives_beta_and_a_finite_gradient(shape, dtype):
    _, gamma, beta, dy = make(shape, dtype)
    y, dx, _, _ = ours(np.full(shape, 1234.1, dtype), gamma, beta, dy)
    np.testing.assert_allclose(y, np.broadcast_to(column(beta, dy), shape), rtol=0, atol=1e-12)
    expected = (dy - dy.mean(axes(dy), keepdims=True)) * column(gamma, dy) / np.sqrt(1e-5)
    np.testing.assert_allclose(dx, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@all_shapes
def test_results_have_the_dtype_and_shape_of_x(shape, dtype):
    x, gamma, beta, dy = make(shape, dtype)
    y, cache = forward(x, gamma.astype(float), beta, 1e-5)
    dx, dgamma, dbeta = backward(dy.astype(float), cache)
    per_feature = np.result_type(dtype, np.float32)
    for v in (y, dx, infer(x, gamma, beta, beta, np.abs(gamma))):
        assert (v.dtype, v.shape) == (dtype, shape)
    for v in (dgamma, dbeta, *batch_statistics(x)):
        assert (v.dtype, v.shape) == (per_feature, (shape[1],))


def test_float16_does_not_overflow_inside():
    x, gamma, beta, dy = make((64, 3), np.float16)
    x *= 5000
    for got, want in zip(ours(x, gamma, beta, dy), textbook(x, gamma, beta, dy), strict=True):
        assert gradcheck.relative_error(got, want) < 1e-3


def test_arguments_are_left_alone_and_the_cache_keeps_its_own_gamma():
    problem = make((6, 3))
    before = [v.copy() for v in problem]
    x, gamma, beta, dy = problem
    _, cache = forward(x, gamma, beta)
    first = backward(dy, cache)
    infer(x, gamma, beta, beta, gamma**2)
    for v, old in zip(problem, before, strict=True):
        np.testing.assert_array_equal(v, old)
    gamma *= 2
    x *= 2
    for again, old in zip(backward(dy, cache), first, strict=True):
        np.testing.assert_array_equal(again, old)


@all_shapes
def test_any_memory_layout_gives_the_same_result(shape):
    x, gamma, beta, dy = make(shape)
    expected = ours(x, gamma, beta, dy)
    strided = np.zeros((2 * shape[0], *shape[1:]))[::2]
    strided[...] = x
    for layout in (np.asfortranarray(x), strided):
        for got, want in zip(ours(layout, gamma, beta, dy), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@all_shapes
def test_batch_statistics_are_mean_and_biased_variance(shape):
    x = make(shape, offset=5.0)[0]
    mean, var = batch_statistics(x)
    np.testing.assert_allclose(mean, x.mean(axes(x)), rtol=1e-14)
    np.testing.assert_allclose(var, x.var(axes(x), ddof=0), rtol=1e-12)


@quick
@given(problems(np.float32), st.integers(0, 2**32 - 1))
def test_infer_agrees_with_torch_in_eval_mode(problem, seed):
    x, gamma, beta, _, eps = problem
    rng = np.random.default_rng(seed)
    mean, var = rng.normal(size=gamma.size), rng.exponential(size=gamma.size)
    tensors = [torch.tensor(v, dtype=torch.float64) for v in (x, mean, var, gamma, beta)]
    expected = torch.nn.functional.batch_norm(*tensors, training=False, eps=eps).numpy()
    np.testing.assert_allclose(
        infer(x, gamma, beta, mean, var, eps), expected, rtol=1e-6, atol=1e-6
    )
    wide = infer(x.astype(float), gamma, beta, mean, var, eps)
    np.testing.assert_allclose(wide, expected, rtol=1e-10, atol=1e-10)


def test_infer_with_the_statistics_of_the_batch_is_forward():
    x, gamma, beta, _ = make((8, 3, 2, 2))
    trained = forward(x, gamma, beta)[0]
    np.testing.assert_allclose(infer(x, gamma, beta, *batch_statistics(x)), trained, atol=1e-13)


def test_infer_treats_each_sample_alone():
    x, gamma, beta, _ = make((8, 3))
    mean, var = batch_statistics(x)
    whole = infer(x, gamma, beta, mean, var)
    for i in range(len(x)):
        np.testing.assert_array_equal(infer(x[i : i + 1], gamma, beta, mean, var), whole[i : i + 1])


def test_infer_in_float32_with_a_large_mean_is_at_least_as_accurate_as_torch():
    x, gamma, beta, _ = make((64, 8), np.float32, offset=1e4)
    mean, var = x.mean(0, dtype=np.float64), x.var(0, dtype=np.float64)
    wide = [v.astype(np.float64) for v in (x, gamma, beta)]
    expected = wide[1] * (wide[0] - mean) / np.sqrt(var + 1e-5) + wide[2]
    tensors = [torch.tensor(v, dtype=torch.float32) for v in (x, mean, var, gamma, beta)]
    theirs = torch.nn.functional.batch_norm(*tensors, training=False).numpy()
    error = gradcheck.relative_error(infer(x, gamma, beta, mean, var), expected)
    assert error <= gradcheck.relative_error(theirs, expected)
    assert error <= 2e-7


def batches(sizes, tail=(3,), dtype=np.float64):
    rng = np.random.default_rng(sum(sizes))
    return [(2 * rng.normal(size=(m, *tail)) + rng.normal()).astype(dtype) for m in sizes]


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.7, 1.0, None])
@pytest.mark.parametrize("tail", [(3,), (3, 2, 4)], ids=str)
@both_dtypes
def test_running_statistics_follow_torch_over_batches_of_different_size(momentum, tail, dtype):
    kind = torch.nn.BatchNorm1d if len(tail) == 1 else torch.nn.BatchNorm2d
    layer = kind(3, momentum=momentum, dtype=torch.from_numpy(np.empty(0, dtype)).dtype)
    stats = (
        RunningStats(3, "cumulative") if momentum is None else RunningStats(3, momentum=momentum)
    )
    for x in batches([8, 2, 5, 13], tail, dtype):
        layer(torch.from_numpy(x))
        stats.update(x)
        tolerance = rounding(x)
        np.testing.assert_allclose(stats.mean, layer.running_mean, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(stats.var, layer.running_var, rtol=tolerance, atol=tolerance)


def test_the_default_is_torchs_momentum_of_one_tenth():
    stats, layer = RunningStats(3), torch.nn.BatchNorm1d(3, dtype=torch.float64)
    for x in batches([4, 4]):
        layer(torch.from_numpy(x))
        stats.update(x)
    np.testing.assert_allclose(stats.mean, layer.running_mean, rtol=1e-13)
    np.testing.assert_allclose(stats.var, layer.running_var, rtol=1e-13)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9, 0.99, 1.0])
def test_keep_is_the_weight_of_the_old_value(keep):
    stats, mean, var = RunningStats(3, keep=keep), np.zeros(3), np.ones(3)
    for x in batches([6, 3, 9]):
        stats.update(x)
        mean = keep * mean + (1 - keep) * x.mean(0)
        var = keep * var + (1 - keep) * x.var(0, ddof=1)
    np.testing.assert_allclose(stats.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(stats.var, var, rtol=1e-13)


@pytest.mark.parametrize("tail", [(3,), (3, 2, 2)], ids=str)
def test_population_is_algorithm_2_for_batches_of_one_size(tail):
    stats, data = RunningStats(3, "population"), batches([5] * 7, tail)
    for x in data:
        stats.update(x)
    n, over = data[0].size // 3, axes(data[0])
    np.testing.assert_allclose(stats.mean, np.mean([x.mean(over) for x in data], 0), rtol=1e-12)
    biased = np.mean([x.var(over) for x in data], 0)
    np.testing.assert_allclose(stats.var, n / (n - 1) * biased, rtol=1e-12)


@quick
@given(st.lists(st.integers(2, 9), min_size=1, max_size=6))
def test_population_counts_every_value_once_whatever_the_batch_sizes(sizes):
    stats, data = RunningStats(3, "population"), batches(sizes)
    for x in data:
        stats.update(x)
    within = sum(((x - x.mean(0)) ** 2).sum(0) for x in data)
    np.testing.assert_allclose(stats.mean, np.concatenate(data).mean(0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(stats.var, within / (sum(sizes) - len(sizes)), rtol=1e-10)


def test_cumulative_counts_every_batch_once_and_so_differs_from_population():
    both, data = [RunningStats(3, e) for e in ("cumulative", "population")], batches([2, 50])
    for x in data:
        for stats in both:
            stats.update(x)
    cumulative, population = both
    np.testing.assert_allclose(cumulative.mean, np.mean([x.mean(0) for x in data], 0), rtol=1e-12)
    assert np.abs(cumulative.mean - population.mean).max() > 0.01


def test_running_statistics_of_float32_data_with_a_large_offset_stay_accurate():
    x = make((256, 8), np.float32, offset=1e4)[0]
    for stats in (RunningStats(8, momentum=1.0), RunningStats(8, "population")):
        stats.update(x)
        np.testing.assert_allclose(stats.mean, x.mean(0, dtype=float), rtol=0, atol=1e-7)
        np.testing.assert_allclose(stats.var, x.astype(float).var(0, ddof=1), rtol=1e-6)


def test_exponential_starts_at_mean_0_and_variance_1():
    stats = RunningStats(2)
    np.testing.assert_array_equal(stats.mean, [0, 0])
    np.testing.assert_array_equal(stats.var, [1, 1])


@pytest.mark.parametrize("estimator", ["cumulative", "population"])
@pytest.mark.parametrize("name", ["mean", "var"])
def test_averages_of_no_batch_are_an_error(estimator, name):
    with pytest.raises(ValueError, match=r"batches = 0.*>= 1.*update"):
        getattr(RunningStats(2, estimator), name)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_what_is_read_is_a_copy_and_stays(estimator):
    stats = RunningStats(3, estimator)
    first, second = batches([4, 6])
    stats.update(first)
    mean, var = stats.mean, stats.var
    kept = mean.copy(), var.copy()
    stats.update(second)
    np.testing.assert_array_equal(mean, kept[0])
    np.testing.assert_array_equal(var, kept[1])
    expected = stats.mean.copy()
    stats.mean[:] = 99
    np.testing.assert_array_equal(stats.mean, expected)


def with_value(shape, value):
    x = np.ones(shape)
    x.flat[-1] = value
    return x


BAD_BATCHES = {
    "one axis": (np.ones(3), ValueError, "(3,)", "(m, d) or (m, c, h, w)", "reshape"),
    "three axes": (np.ones((4, 3, 2)), ValueError, "(4, 3, 2)", "(m, d) or", "reshape"),
    "no sample": (np.ones((0, 3)), ValueError, "(0, 3)", ">= 1", "reshape"),
    "no feature": (np.ones((4, 0)), ValueError, "(4, 0)", ">= 1", "reshape"),
    "one sample": (np.ones((1, 3)), ValueError, "(1, 3)", ">= 2", "enlarge the batch, or infer"),
    "one pixel": (np.ones((1, 3, 1, 1)), ValueError, "(1, 3, 1, 1)", ">= 2", "enlarge"),
    "nan": (with_value((4, 3), np.nan), ValueError, "x[3, 2] is nan", "finite", "drop"),
    "inf": (
        with_value((2, 3, 2, 2), -np.inf),
        ValueError,
        "x[1, 2, 1, 1] is -inf",
        "finite",
        "drop",
    ),
    "integers": (np.ones((4, 3), dtype=int), TypeError, "int64", "floating", "astype(np.float32)"),
    "booleans": (np.ones((4, 3), dtype=bool), TypeError, "bool", "floating", "astype"),
    "complex": (np.ones((4, 3), dtype=complex), TypeError, "complex128", "floating", "astype"),
    "too large": (np.float32([[0] * 3, [1e30] * 3]), ValueError, "1e+30", "below 2e+19", "scale x"),
    "too large, float64": (
        with_value((4, 3), 1e200),
        ValueError,
        "1e+200",
        "below 1e+154",
        "scale",
    ),
}
bad_batches = pytest.mark.parametrize(
    ("x", "error", "fragments"),
    [(x, error, fragments) for x, error, *fragments in BAD_BATCHES.values()],
    ids=list(BAD_BATCHES),
)


def assert_refused(call, error, fragments):
    with pytest.raises(error) as caught:
        call()
    for fragment in fragments:
        assert fragment in str(caught.value)


@bad_batches
def test_a_bad_batch_is_refused_with_value_range_and_remedy(x, error, fragments):
    assert_refused(lambda: forward(x, np.ones(3), np.ones(3)), error, fragments)
    assert_refused(lambda: batch_statistics(x), error, fragments)


@bad_batches
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_failed_update_changes_nothing(x, error, fragments, estimator):
    stats, twin = RunningStats(3, estimator), RunningStats(3, estimator)
    first, second = batches([4, 6])
    stats.update(first)
    twin.update(first)
    assert_refused(lambda: stats.update(x), error, fragments)
    assert_refused(
        lambda: stats.update(np.ones((4, 2))), ValueError, ["(4, 2)", "must be 3", "new"]
    )
    assert stats.batches == 1
    for s in (stats, twin):
        s.update(second)
    np.testing.assert_array_equal(stats.mean, twin.mean)
    np.testing.assert_array_equal(stats.var, twin.var)


@pytest.mark.parametrize("name", ["gamma", "beta", "mean", "var"])
@pytest.mark.parametrize(
    ("value", "error", "fragments"),
    [
        (np.ones(2), ValueError, ["(2,)", "(3,)", "reshape"]),
        (np.ones((1, 3)), ValueError, ["(1, 3)", "(3,)", "reshape"]),
        (np.ones((3, 1, 1)), ValueError, ["(3, 1, 1)", "(3,)", "reshape"]),
        (1.0, ValueError, ["shape ()", "(3,)", "reshape"]),
        (with_value(3, np.inf), ValueError, ["[2] is inf", "finite"]),
        (np.ones(3, dtype=int), TypeError, ["int64", "floating", "astype"]),
    ],
    ids=["short", "row", "column", "scalar", "inf", "integers"],
)
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2, 2)], ids=str)
def test_a_bad_vector_is_refused_with_name_value_and_remedy(shape, name, value, error, fragments):
    vectors = {"gamma": np.ones(3), "beta": np.ones(3), "mean": np.ones(3), "var": np.ones(3)}
    vectors[name] = value
    assert_refused(lambda: infer(np.ones(shape), **vectors), error, [name, *fragments])
    if name in ("gamma", "beta"):
        vectors = {key: vectors[key] for key in ("gamma", "beta")}
        assert_refused(lambda: forward(np.ones(shape), **vectors), error, [name, *fragments])


@pytest.mark.parametrize("eps", [0, -1e-5, np.nan, np.inf, None, "1e-5"], ids=str)
def test_eps_must_be_a_finite_number_above_0(eps):
    one = np.ones(3)
    fragments = [f"eps = {eps!r}", "above 0", "1e-5"]
    assert_refused(lambda: forward(np.ones((4, 3)), one, one, eps), ValueError, fragments)
    assert_refused(lambda: infer(np.ones((4, 3)), one, one, one, one, eps), ValueError, fragments)


def test_infer_refuses_a_negative_variance_and_takes_zero():
    one = np.ones(2)
    negative, zero = np.array([1.0, -0.25]), np.array([1.0, 0.0])
    call = partial(infer, np.ones((1, 2)), one, one, one)
    assert_refused(lambda: call(negative), ValueError, ["-0.25", ">= 0", "log"])
    np.testing.assert_array_equal(call(zero), [[1.0, 1.0]])


@pytest.mark.parametrize("case", ["nan", "inf", "integers", "one axis"])
def test_infer_refuses_a_bad_batch(case):
    x, error, *fragments = BAD_BATCHES[case]
    one = np.ones(3)
    assert_refused(lambda: infer(x, one, one, one, one), error, fragments)


def test_infer_takes_a_single_sample():
    one = np.ones(3)
    assert infer(np.ones((1, 3, 1, 1)), one, one, one, one).shape == (1, 3, 1, 1)


@pytest.mark.parametrize(
    ("dy", "error", "fragments"),
    [
        (np.ones((3, 4)), ValueError, ["(3, 4)", "(4, 3)", "reshape"]),
        (np.ones(3), ValueError, ["(3,)", "(4, 3)", "reshape"]),
        (np.ones((1, 3)), ValueError, ["(1, 3)", "(4, 3)", "reshape"]),
        (with_value((4, 3), np.nan), ValueError, ["dy[3, 2] is nan", "finite"]),
        (np.ones((4, 3), dtype=int), TypeError, ["dy", "int64", "floating", "astype"]),
    ],
    ids=["transposed", "one axis", "broadcastable", "nan", "integers"],
)
def test_backward_refuses_a_bad_dy(dy, error, fragments):
    cache = forward(make((4, 3))[0], np.ones(3), np.ones(3))[1]
    assert_refused(lambda: backward(dy, cache), error, fragments)


def test_backward_refuses_what_forward_did_not_return():
    y = forward(make((4, 3))[0], np.ones(3), np.ones(3))
    assert_refused(lambda: backward(y[0], y), TypeError, ["tuple", "second result of forward"])


@pytest.mark.parametrize("weight", [-0.1, 1.1, np.nan, None, "0.1"], ids=str)
@pytest.mark.parametrize("name", ["momentum", "keep"])
def test_a_weight_outside_0_to_1_is_refused(name, weight):
    fragments = [f"{name} = {weight!r}", "[0, 1]", "estimator='cumulative'"]
    assert_refused(lambda: RunningStats(3, **{name: weight}), ValueError, fragments)


def test_both_conventions_at_once_are_refused():
    call = partial(RunningStats, 3, momentum=0.1, keep=0.9)
    assert_refused(call, ValueError, ["'momentum': 0.1", "'keep': 0.9", "one of the two"])


@pytest.mark.parametrize("estimator", ["cumulative", "population"])
@pytest.mark.parametrize("weight", [{"momentum": 0.1}, {"keep": 0.9}], ids=str)
def test_a_weight_that_would_be_ignored_is_refused(estimator, weight):
    call = partial(RunningStats, 3, estimator, **weight)
    assert_refused(call, ValueError, [str(weight), "'exponential'", "none"])


@pytest.mark.parametrize("d", [0, -1, 2.0, "3", None], ids=str)
def test_the_number_of_features_must_be_an_integer_above_0(d):
    assert_refused(lambda: RunningStats(d), ValueError, [f"d = {d!r}", ">= 1", "x.shape[1]"])


def test_an_unknown_estimator_is_refused_and_the_known_are_named():
    assert_refused(lambda: RunningStats(3, "ema"), ValueError, ["'ema'", *map(repr, ESTIMATORS)])


def test_public_names_are_few_and_documented():
    public = ["Cache", "RunningStats", "backward", "batch_statistics", "forward", "infer"]
    assert batchnorm.__all__ == public
    for name in public[1:]:
        assert re.search(r">>> ", getattr(batchnorm, name).__doc__)
