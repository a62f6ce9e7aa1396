"""Any input for training and for the shape of the loss: a documented error, or right numbers."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from bnviz import landscape, numpy_net, surface
from bnviz.data import Split, clouds
from bnviz.nets import MLP, Activation, initialise
from bnviz.train import DivergenceError, train
from tests.fuzzing import (
    ANYTHING,
    JUNK,
    TENSORS,
    WHATEVER,
    answer,
    few,
    floats,
    plain,
    steady,
    usable,
)

COUNT = st.one_of(st.integers(-2, 5), JUNK)
NUMBER = st.one_of(st.floats(-9, 9), JUNK)


# --- training ------------------------------------------------------------------------------------


@few
@given(COUNT, COUNT, NUMBER, st.one_of(st.integers(0, 9), JUNK), st.booleans())
def test_training_with_anything(steps, batch_size, lr, seed, spoilt):
    if type(steps) is int and steps > 9:
        return
    x, y = clouds(4, seed=1)
    x[3, 0] = math.nan if spoilt else x[3, 0]
    net = MLP((2, 3, 2), norm=True)
    net.load_state_dict(initialise(net, 0))
    before = copy.deepcopy(net.state_dict())
    options = {"steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed}
    try:
        losses = answer(train, net, Split(x, y, x, y), **options)
    except DivergenceError as error:
        losses = error.losses
        assert abs(lr) > 1e3
    if losses is None:
        for name, value in net.state_dict().items():
            torch.testing.assert_close(value, before[name])
        fits = type(batch_size) is int and 2 <= batch_size <= 8 and plain(lr) and lr > 0
        fits = fits and type(steps) is int and steps >= 0 and type(seed) is int
        assert not fits or spoilt or not 0 <= seed < 2**32 - 1 or lr > 1e30
        return
    assert not spoilt
    assert len(losses) <= steps
    assert 2 <= batch_size <= 8 or steps == 0


def network(width: int, classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    p = {"W1": rng.standard_normal((2, width)), "gamma": np.ones(width), "beta": np.ones(width)}
    return p | {"W2": rng.standard_normal((width, classes)), "b2": np.zeros(classes)}


@steady
@given(ANYTHING, ANYTHING, st.sampled_from(["W1", "gamma", "beta", "W2", "b2", "b3", None]))
def test_a_numpy_network_of_anything(value, labels, name):
    params = network(3, 2)
    x = np.arange(8.0).reshape(4, 2) ** 2
    if name is None:
        x = value
    else:
        params[name] = value
    found = answer(numpy_net.loss_and_gradients, params, x, labels)
    if found is not None:
        assert name != "b3"
        assert labels.shape == (len(x),)
        loss, gradients = found
        assert np.isfinite(loss) or np.abs(value).max() > 1e100
        assert all(gradients[k].shape == params[k].shape for k in params)


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
    if found is None or not (lr > 1e-3 and (ratios > 1e-3).all() and (ratios < 9).all()):
        return
    v, stretch = values["w"].double(), torch.tensor([1.0, 3.0]).double()
    if v.isfinite().all() and 1e-3 < v.abs().max() < 1e6:
        steps = ratios.double()[:, None] * lr * 2 * stretch * v  # (n, 2)
        right = (stretch * (v - steps).square()).sum(1)
        size = float(right.max() + (stretch * v.square()).sum())
        rough = 1e-5 if values["w"].dtype != torch.float16 else math.inf
        torch.testing.assert_close(found["loss"].double(), right, rtol=1e-4, atol=rough * size)
        if rough < 1 and lr > 0.1:  # shorter steps drown in float32
            assert 1.9 < found["beta"] < 6.1  # the curvatures are 2 and 6


@steady
@given(COUNT, COUNT, st.booleans(), st.one_of(floats((3, 2)), floats((1, 2)), WHATEVER))
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


@steady
@given(st.one_of(floats((5, 5)), floats((2, 2)), floats((3, 4)), WHATEVER), NUMBER)
def test_plateaus_of_anything(z, spacing):
    found = answer(surface.plateaus, z, spacing)
    square = usable(z, 0, 0) and z.shape[0] == z.shape[1] >= 3
    assert (found is not None) == (square and plain(spacing) and spacing > 0)


@few
@given(floats((4, 4), math.inf), st.floats(0.1, 3))
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


@few
@given(st.one_of(floats((3, 2)), WHATEVER), st.one_of(st.just(torch.tensor([0, 1, 1])), WHATEVER))
def test_losses_of_many_networks(x, y):
    net = MLP((2, 3, 2), norm=True, activation="tanh")
    values = {k: v.detach()[None] for k, v in net.named_parameters()}
    whole = isinstance(y, torch.Tensor) and y.dtype == torch.int64
    if whole and y.numel() and not (y.min() >= 0 and y.max() < 2):
        return  # not checked, says the docstring
    if isinstance(y, torch.Tensor) and not whole:
        return
    found = answer(surface.losses_of, values, x, y, Activation("tanh"))
    if found is not None:
        assert usable(x, 0, 2)
        right = F.cross_entropy(net(x), y) if len(x) > 1 and x.dtype == torch.float32 else found[0]
        torch.testing.assert_close(found[0], right, rtol=1e-3, atol=1e-3, equal_nan=True)
