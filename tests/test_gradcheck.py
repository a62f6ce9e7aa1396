"""bnviz.maths.gradcheck finds right gradients right and wrong ones wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bnviz.maths import gradcheck
from bnviz.maths.gradcheck import check, numerical_gradient, relative_error
from tests.fuzzing import examples

quick = settings(derandomize=True, deadline=None, max_examples=examples(6))
numbers = st.floats(-3, 3, allow_subnormal=False)
small_arrays = arrays(np.float64, array_shapes(max_dims=4, max_side=3), elements=numbers)


def smooth(x):
    return np.sin(x) * np.exp(x / 2)


def smooth_gradient(x):
    return np.exp(x / 2) * (np.cos(x) + np.sin(x) / 2)


@quick
@given(small_arrays)
def test_the_gradient_of_a_scalar_function_is_found_for_any_shape(x):
    found = numerical_gradient(lambda v: smooth(v).sum(), x)
    np.testing.assert_allclose(found, smooth_gradient(x), rtol=0, atol=1e-8)


@quick
@given(small_arrays, st.integers(0, 99))
def test_an_upstream_gradient_weighs_the_outputs(x, seed):
    dy = np.random.default_rng(seed).normal(size=x.shape)
    found = numerical_gradient(smooth, x, dy=dy)
    np.testing.assert_allclose(found, dy * smooth_gradient(x), rtol=0, atol=1e-8)


def test_outputs_that_mix_inputs_agree_with_autograd():
    rng = np.random.default_rng(0)
    x, w, dy = rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    leaf = torch.tensor(x, requires_grad=True)
    torch.softmax(leaf @ torch.tensor(w), 1).backward(torch.tensor(dy))

    def softmax(v):
        e = np.exp(v @ w)
        return e / e.sum(1, keepdims=True)

    assert relative_error(numerical_gradient(softmax, x, dy=dy), leaf.grad) < 1e-8


def test_differences_are_central_so_a_parabola_is_exact_for_any_h():
    found = numerical_gradient(lambda x: (x**2).sum(), np.array([3.0, -1.0]), h=0.5)
    np.testing.assert_allclose(found, [6, -2], rtol=1e-12)


def test_the_step_is_what_float64_made_of_it():
    x = np.array([12345.678])
    assert numerical_gradient(lambda v: v.sum(), x, h=1e-9) == pytest.approx(1, abs=1e-12)


def test_float32_is_computed_in_float64():
    seen = []

    def f(x):
        seen.append(x.dtype)
        return smooth(x).sum()

    x = np.array([0.3, -2.0], dtype=np.float32)
    found = numerical_gradient(f, x)
    assert set(seen) == {found.dtype} == {np.dtype(np.float64)}
    np.testing.assert_allclose(found, smooth_gradient(x.astype(float)), atol=1e-8)


def test_a_function_that_writes_into_its_argument_does_no_harm():
    def f(x):
        x *= x
        return x.sum()

    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(numerical_gradient(f, x), [2, 4, 6], rtol=1e-9)
    np.testing.assert_array_equal(x, [1, 2, 3])


@quick
@given(small_arrays)
def test_relative_error_is_0_for_equal_2_for_opposite_and_symmetric(a):
    assert relative_error(a, a) == 0
    assert relative_error(a, -a) == (2 if a.any() else 0)
    b = a + 1
    assert relative_error(a, b) == relative_error(b, a) == relative_error(4 * a, 4 * b)


def test_relative_error_uses_one_scale_so_values_near_0_do_no_harm():
    assert relative_error([1e-9, 100.0], [0.0, 100.0]) == pytest.approx(1e-11)


def test_floor_makes_rounding_noise_count_as_nothing():
    assert relative_error([1e-12], [-1e-12]) == 2
    assert relative_error([1e-12], [-1e-12], floor=1.0) == pytest.approx(2e-12)


def test_check_accepts_the_right_gradient_and_returns_its_error():
    x = np.array([[0.1, 0.7], [-1.0, 2.0]])
    assert 0 <= check(lambda v: smooth(v).sum(), x, smooth_gradient(x)) < 1e-9
    assert 0 <= check(smooth, x, 2 * smooth_gradient(x), np.full((2, 2), 2.0)) < 1e-9


@pytest.mark.parametrize("wrong", [1e-5, -0.5, np.inf])
def test_check_refuses_one_wrong_value_and_names_its_place(wrong):
    x = np.array([[0.1, 0.7], [-1.0, 2.0]])
    gradient = smooth_gradient(x)
    gradient[1, 0] += wrong
    error, text = (ValueError, "inf") if np.isinf(wrong) else (AssertionError, r"at \[1, 0\]")
    with pytest.raises(error, match=text):
        check(lambda v: smooth(v).sum(), x, gradient)


def test_check_takes_a_gradient_of_zero_with_a_floor():
    x = np.linspace(0.1, 5, 20)

    def one(v):  # but for rounding
        return np.sin(v) ** 2 + np.cos(v) ** 2

    dy = np.full(20, 1e3)
    with pytest.raises(AssertionError, match="relative error 1 >"):
        check(one, x, np.zeros(20), dy)
    assert check(one, x, np.zeros(20), dy, floor=1.0) < 1e-6


def test_check_takes_another_step_and_tolerance():
    x = np.array([1.0])
    assert check(lambda v: (v**3).sum(), x, 3 * x**2, h=0.1, tolerance=0.0034) > 0.0033
    with pytest.raises(AssertionError, match=r"> 0\.0033"):
        check(lambda v: (v**3).sum(), x, 3 * x**2, h=0.1, tolerance=0.0033)
    with pytest.raises(AssertionError, match=r"0\.0033 > 1e-06"):
        check(lambda v: (v**3).sum(), x, 3 * x**2, h=0.1)


@pytest.mark.parametrize("h", [0, -1e-5, np.nan, np.inf, None, "1e-5"], ids=str)
def test_a_step_that_is_no_finite_number_above_0_is_refused(h):
    with pytest.raises(ValueError, match=f"h = {h!r} must be .* above 0: use e.g. 1e-5"):
        numerical_gradient(np.sum, np.ones(2), h)


def test_a_step_lost_in_rounding_is_refused():
    with pytest.raises(ValueError, match=r"h = 1e-05 is lost beside x\[1\] = 1e\+16: use a larger"):
        numerical_gradient(np.sum, np.array([1.0, 1e16]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_of_x_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=rf"x\[0\] = {value}, must be finite"):
        numerical_gradient(np.sum, np.array([value]))


def test_integers_are_refused_with_the_remedy():
    with pytest.raises(TypeError, match=r"x is int64, must be floating: use x\.astype"):
        numerical_gradient(np.sum, np.ones(2, dtype=int))


def test_many_outputs_without_dy_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\), must be a scalar: pass dy"):
        numerical_gradient(smooth, np.ones((2, 3)))


def test_dy_must_have_the_shape_of_the_output():
    with pytest.raises(ValueError, match=r"dy has shape \(3,\), must be \(2, 3\)"):
        numerical_gradient(smooth, np.ones((2, 3)), dy=np.ones(3))


@pytest.mark.parametrize("dy", [None, np.ones(2)], ids=["scalar", "dy"])
def test_a_function_value_that_is_not_finite_is_refused(dy):
    f = (lambda v: v * np.inf) if dy is not None else (lambda v: v.sum() * np.nan)
    with pytest.raises(ValueError, match="must be finite near x"):
        numerical_gradient(f, np.ones(2), dy=dy)


def test_a_dy_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="must be finite near x"):
        numerical_gradient(smooth, np.ones(2), dy=np.array([1.0, np.nan]))


@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([[1.0]], [1.0]), ([], [])], ids=str)
def test_relative_error_refuses_shapes_that_differ_or_are_empty(a, b):
    with pytest.raises(ValueError, match="must be equal and not empty"):
        relative_error(a, b)


@pytest.mark.parametrize("order", [1, -1])
def test_relative_error_refuses_nan_on_either_side(order):
    a, b = [[1.0, 2.0], [1.0, np.nan]][::order]
    with pytest.raises(ValueError, match="must be finite"):
        relative_error(a, b)


def test_public_names_are_few():
    assert gradcheck.__all__ == ["check", "numerical_gradient", "relative_error"]


# --- losses that see nothing ----------------------------------------------------------------------


def normalised(v):
    return (v - v.mean(0)) / np.sqrt(v.var(0) + 1e-5)


def right(x, dy):
    x_hat, inv_std = normalised(x), 1 / np.sqrt(x.var(0) + 1e-5)
    return inv_std * (dy - dy.mean(0) - x_hat * (dy * x_hat).mean(0))


def without_variance(x, dy):
    return (dy - dy.mean(0)) / np.sqrt(x.var(0) + 1e-5)


X = np.random.default_rng(0).normal(size=(6, 3))
BLIND = {
    "sum": (lambda v: normalised(v).sum(), None),
    "mean": (lambda v: normalised(v).mean(), None),
    "ones": (normalised, np.ones((6, 3))),
    "a number per feature": (normalised, np.ones((6, 1)) * [1.0, 2.0, -3.0]),
}


@pytest.mark.parametrize("floor", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("gradient", [right, without_variance])
@pytest.mark.parametrize("loss", BLIND)
def test_the_sum_of_what_bn_gives_checks_nothing_and_the_check_says_so(loss, gradient, floor):
    f, dy = BLIND[loss]
    mine = gradient(X, np.ones((6, 3)) if dy is None else dy)
    with pytest.raises(AssertionError, match=r"differences are 0 up to rounding.*random numbers"):
        check(f, X, mine, dy, floor=floor)


@pytest.mark.parametrize("floor", [0.0, 1.0])
def test_random_numbers_tell_the_right_gradient_from_the_wrong_one(floor):
    dy = np.random.default_rng(1).normal(size=X.shape)
    assert check(normalised, X, right(X, dy), dy, floor=floor) < 1e-6
    with pytest.raises(AssertionError, match=r"at \[\d, \d\] the gradient is [^;]*$"):
        check(normalised, X, without_variance(X, dy), dy, floor=floor)
