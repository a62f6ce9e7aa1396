"""Any input for training and for the shape of the loss: a documented error, or right numbers."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from bnviz.maths import landscape, numpy_net, surface
from bnviz.maths.data import Split, clouds
from bnviz.maths.nets import MLP, Activation, initialise
from bnviz.maths.train import DivergenceError, train
from tests.fuzzing import (
    ANYTHING,
    JUNK,
    TENSORS,
    WHATEVER,
    answer,
    examples,
    few,
    floats,
    plain,
    steady,
    usable,
)

COUNT = st.one_of(st.integers(-2, 5), JUNK)
NUMBER = st.one_of(st.floats(-9, 9), JUNK)


# --- training ------------------------------------------------------------------------------------


TRAINING = {"steps": 3, "batch_size": 4, "lr": 0.5, "seed": 0}


@settings(steady, max_examples=examples(30))
@given(
    st.sampled_from(list(TRAINING)),
    st.one_of(st.integers(-2, 9), NUMBER, st.sampled_from([math.nan, math.inf, 1e30])),
    st.sampled_from([0.0, 0.0, 0.0, math.nan, math.inf]),
)
def test_training_with_anything(name, value, pixel):
    options = TRAINING | {name: value}
    steps, batch_size, lr, seed = options.values()
    if type(steps) is int and steps > 9:
        return
    x, y = clouds(4, seed=1)
    x[3, 0] += pixel
    net = MLP((2, 3, 2), norm=True)
    net.load_state_dict(initialise(net, 0))
    before = copy.deepcopy(net.state_dict())
    try:
        losses = answer(train, net, Split(x, y, x, y), **options)
    except DivergenceError as error:
        losses = error.losses
        assert lr > 1e3
    lr = 1.0 if lr is True else lr  # as good as 1
    fits = type(steps) is int and steps >= 0 and type(batch_size) is int and 2 <= batch_size <= 8
    fits = fits and plain(lr) and lr > 0 and plain(seed) and 0 <= seed < 2**32 - 1
    assert (losses is not None) == (fits and seed == int(seed) and pixel == 0)
    if losses is None:
        for key, value in net.state_dict().items():
            torch.testing.assert_close(value, before[key])


def network(width: int, classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    p = {"W1": rng.standard_normal((2, width)), "gamma": np.ones(width), "beta": np.ones(width)}
    return p | {"W2": rng.standard_normal((width, classes)), "b2": np.zeros(classes)}


NEAR = st.sampled_from([(3,), (1,), (2,), (2, 3), (3, 2), (1, 3), (3, 1), (4, 2), (4,), (1, 2)])
ARRAYS = st.one_of(ANYTHING, NEAR.flatmap(lambda shape: arrays(float, shape)))


@settings(steady, max_examples=examples(40))
@given(st.sampled_from(["W1", "gamma", "beta", "W2", "b2", "b3", "x", "labels"]), ARRAYS)
def test_a_numpy_network_of_anything(name, value):
    parts = network(3, 2) | {"x": np.arange(8.0).reshape(4, 2) ** 2, "labels": np.arange(4) % 2}
    fits = name != "b3" and value.shape == parts[name].shape and np.isfinite(value).all()
    parts[name] = value
    x, labels = parts.pop("x"), parts.pop("labels")
    with np.errstate(all="ignore"):
        found = answer(numpy_net.loss_and_gradients, parts, x, labels)
    if found is not None:
        assert fits or name in ("x", "labels")
        assert labels.shape == (len(x),)
        assert all(found[1][k].shape == parts[k].shape for k in parts)
        assert np.isfinite(found[0]) or np.abs(value).max() > 1e100


@few
@given(st.integers(0, 99), st.lists(st.integers(-2, 3), min_size=4, max_size=4))
def test_a_numpy_networks_loss_is_torchs_for_labels_that_are_classes(seed, labels):
    params, x = network(3, 2, seed), np.arange(8.0).reshape(4, 2) ** 2
    found = answer(numpy_net.loss_and_gradients, params, x, np.array(labels))
    assert (found is not None) == (set(labels) <= {0, 1})
    if found is not None:
        p = {k: torch.tensor(v, requires_grad=True) for k, v in params.items()}
        v = F.batch_norm(torch.tensor(x) @ p["W1"], None, None, p["gamma"], p["beta"], True)
        loss = F.cross_entropy(torch.relu(v) @ p["W2"] + p["b2"], torch.tensor(labels))
        loss.backward()
        assert float(found[0]) == pytest.approx(loss.item())
        for k, gradient in found[1].items():
            np.testing.assert_allclose(gradient, p[k].grad, atol=1e-9)


@steady
@given(NUMBER)
def test_a_numpy_network_trains_at_rates_above_0(lr):
    rows = [np.arange(4)]
    found = answer(
        numpy_net.train, network(3, 2), np.eye(4, 2), np.array([0, 1, 0, 1]), rows, lr=lr
    )
    assert found is not None or not (plain(lr) and 0 < lr < 2**60)
    assert found is None or 0 < lr < math.inf


# --- the loss's shape ----------------------------------------------------------------------------


def parabola(values):
    return (torch.tensor([1.0, 3.0]) * values["w"].square()).sum()


@steady
@given(st.one_of(floats(2), WHATEVER), NUMBER, st.one_of(floats(3), WHATEVER))
def test_a_line_search_along_anything(w, lr, ratios):
    values = {"w": w if isinstance(w, torch.Tensor) and w.shape == (2,) else torch.ones(2)}
    found = answer(landscape.line_search, parabola, values, lr, ratios)
    fine = usable(ratios, 0) and plain(lr) and lr > 0 and values["w"].is_floating_point()
    assert (found is not None) == fine


@few
@given(floats(2), st.floats(0.1, 3), st.lists(st.floats(0.1, 3), min_size=1, max_size=4))
def test_a_line_search_on_a_parabola(w, lr, ratios):
    w, stretch = w.double() + 0.1, torch.tensor([1.0, 3.0]).double()
    found = landscape.line_search(parabola, {"w": w}, lr, torch.tensor(ratios).double())
    slope = 2 * stretch * w
    steps = lr * torch.tensor(ratios).double()[:, None] * slope  # (n, 2)
    right = (stretch * (w - steps).square()).sum(1)
    torch.testing.assert_close(found["loss"], right)
    if slope.norm() > 1e-3:
        beta = (2 * stretch * slope).norm() / slope.norm()  # the same at any distance
        torch.testing.assert_close(found["beta"], beta, rtol=1e-4, atol=0)


@settings(steady, max_examples=examples(40))
@given(
    st.one_of(st.just(2), COUNT),
    st.one_of(st.just(3), COUNT),
    st.booleans(),
    st.one_of(floats((3, 2)), floats((1, 2)), WHATEVER),
)
def test_a_deep_linear_network_of_anything(width, depth, norm, x):
    if any(type(n) is int and n > 99 for n in (width, depth)):
        return
    net = answer(landscape.DeepLinear, width, depth, norm=norm)
    right = all(type(n) is int for n in (width, depth)) and width >= 1 and depth >= 2
    assert (net is not None) == right
    if net is not None:
        found = answer(net, x)
        good = usable(x, 0, width) and x.dtype == torch.float32 and (len(x) > 1 or not norm)
        assert (found is not None) == good
    assert answer(landscape.DeepLinear(2, 2).start, width, "1") is None
    assert answer(landscape.DeepLinear(2, 2, norm=True), torch.ones(1, 2)) is None


@steady
@given(st.one_of(floats((5, 5)), floats((2, 2)), floats((3, 4)), WHATEVER), NUMBER)
def test_plateaus_of_anything(z, spacing):
    found = answer(surface.plateaus, z, spacing)
    square = usable(z, 0, 0) and z.shape[0] == z.shape[1] >= 3
    assert (found is not None) == (square and plain(spacing) and spacing > 0)


LOSSES = st.sampled_from([0.0, 2.0, 2.2, 2.5, 2.8, 3.2, math.nan, math.inf])
GRIDS = arrays(np.float32, (4, 4), elements=LOSSES).map(torch.from_numpy)


@settings(steady, max_examples=examples(30))
@given(GRIDS, st.floats(0.1, 3))
def test_plateaus_as_python_counts_them(z, spacing):
    found = surface.plateaus(z, spacing)
    rows = z.double().tolist()
    for i in (1, 2):
        for j in (1, 2):
            across = (rows[i][j + 1] - rows[i][j - 1]) / (2 * spacing)
            along = (rows[i + 1][j] - rows[i - 1][j]) / (2 * spacing)
            slope = math.hypot(across, along)
            if math.isnan(slope) or abs(slope - surface.SLOPE) > 1e-4:
                expected = slope < surface.SLOPE and rows[i][j] > surface.HIGH
                assert found[i - 1, j - 1] == float(expected)


@steady
@given(*[st.one_of(floats(2), WHATEVER)] * 4)
def test_a_slice_between_anything(start, a, b, places):
    points = [{"w": v if isinstance(v, torch.Tensor) else torch.ones(1)} for v in (start, a, b)]

    def losses(values):
        return values["w"].square().reshape(len(values["w"]), -1).sum(1)

    found = answer(surface.slice_of, losses, *points, places)
    same = len({tuple(p["w"].shape) for p in points}) == 1
    assert found is None or (same and usable(places, 0))
    w0, wa, wb = (p["w"] for p in points)
    if found is not None and all(
        w.dtype == torch.float32 and w.abs().lt(99).all() for w in (w0, wa, wb)
    ):
        for i, y in enumerate(places.tolist()):
            for j, x in enumerate(places.tolist()):
                if max(abs(x), abs(y)) < 99:
                    point = w0.double() + x * (wa - w0).double() + y * (wb - w0).double()
                    assert float(found[i, j]) == pytest.approx(
                        float(point.square().sum()), rel=1e-2, abs=1.0
                    )


@few
@given(floats(2), floats(2), floats(2), floats(3))
def test_a_slice_goes_through_its_points(w0, wa, wb, places):
    points = ({"w": w} for w in (w0, wa, wb))
    found = surface.slice_of(lambda v: v["w"].square().sum(1), *points, places)
    for i, y in enumerate(places):
        for j, x in enumerate(places):
            right = (w0 + x * (wa - w0) + y * (wb - w0)).square().sum()
            torch.testing.assert_close(found[i, j], right, rtol=1e-4, atol=1e-3)


@few
@given(floats((3, 2)), st.floats(0.0, 2.0))
def test_a_first_step_is_that_of_torchs_optimisers(gradient, lr):
    start = surface.begin({"w": torch.ones(2)})
    found = surface.update(*start, {"w": gradient}, lr, 1)[0]["w"]
    assert answer(surface.update, *start, {"w": gradient}, lr, 0) is None
    for k, make in enumerate(
        (
            lambda w: torch.optim.SGD(w, lr=lr),
            lambda w: torch.optim.SGD(w, lr=lr / 5, momentum=0.9),
            lambda w: torch.optim.Adam(w, lr=lr / 20, eps=1e-4),
        )
    ):
        w = torch.ones(2, requires_grad=True)
        w.grad = gradient[k].clone()
        make([w]).step()
        torch.testing.assert_close(found[k], w.detach(), rtol=1e-4, atol=1e-4)


@few
@given(st.one_of(floats(2), TENSORS), NUMBER, NUMBER)
def test_a_step_of_three_optimisers(gradient, lr, t):
    w, m, s = surface.begin({"w": torch.ones(2)})
    tall = {"w": gradient.expand(3, 2).clone() if gradient.shape == (2,) else gradient}
    found = answer(surface.update, w, m, s, tall, lr, t)
    if found is None:
        assert tall["w"].shape != (3, 2) or not (plain(lr) and plain(t) and lr >= 0 and t >= 1)
        return
    g = gradient.double() if not gradient.is_complex() else None
    if g is not None and tall["w"].isfinite().all() and g.abs().max() < 99 and lr < 99 and t < 99:
        sgd = torch.ones(2).double() - lr * g
        torch.testing.assert_close(found[0]["w"][0].double(), sgd, rtol=1e-4, atol=1e-3)


@settings(steady, max_examples=examples(30))
@given(st.one_of(floats((3, 2)), WHATEVER), st.one_of(st.just(torch.tensor([0, 1, 1])), WHATEVER))
def test_losses_of_many_networks(x, y):
    net = MLP((2, 3, 2), norm=True, activation="tanh")
    values = {k: v.detach()[None] for k, v in net.named_parameters()}
    whole = isinstance(y, torch.Tensor) and y.dtype == torch.int64
    if whole and y.numel() and not (y.min() >= 0 and y.max() < 2):
        return  # not checked, says the docstring
    if isinstance(y, torch.Tensor) and not whole:
        return
    found = answer(surface.losses_of, values, x, y, Activation("tanh").index)
    if found is not None:
        assert usable(x, 0, 2)
        right = F.cross_entropy(net(x), y) if len(x) > 1 and x.dtype == torch.float32 else found[0]
        torch.testing.assert_close(found[0], right, rtol=1e-3, atol=1e-3, equal_nan=True)
