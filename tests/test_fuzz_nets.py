"""Any input for the networks: a documented error, or what PyTorch's own layers give."""

import copy
import math
from numbers import Real

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bnviz.maths import fold, trio
from bnviz.maths.broken import MISTAKES
from bnviz.maths.convnet import CNN, Conv, images
from bnviz.maths.nets import ACTIVATIONS, MLP, Activation, BatchNorm, initialise
from bnviz.maths.noisy import NoisyBatchNorm, add_noise
from bnviz.maths.reestimate import reestimate
from tests.fuzzing import JUNK, WHATEVER, answer, examples, few, floats, one_odd, steady, usable

WHOLE = st.integers(-3, 6)
SIZE = st.one_of(WHOLE, WHOLE, st.none(), st.booleans(), st.floats(), st.text(max_size=3))
DOUBLE = torch.float64


def is_size(n) -> bool:
    return type(n) is int and n >= 1


def is_seed(n) -> bool:
    number = isinstance(n, Real) and not isinstance(n, bool)
    return number and 0 <= n < 2**32 - 1 and n == int(n)


def close(a, b, scale=1.0):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * scale, equal_nan=True)


# --- what they are built from --------------------------------------------------------------------


@steady
@given(SIZE, st.one_of(st.floats(0, 1), JUNK), st.one_of(st.floats(0, 1), JUNK))
def test_a_layer_of_anything(features, eps, momentum):
    bn = answer(BatchNorm, features, eps, momentum)
    if bn is None:
        fine = all(type(v) is float for v in (eps, momentum)) and 0 < eps < math.inf
        assert not (is_size(features) and fine and 0 <= momentum <= 1)
        return
    assert is_size(features)
    assert 0 < bn.eps < math.inf
    assert 0 <= bn.momentum <= 1


@steady
@given(
    st.one_of(st.lists(st.integers(0, 3), max_size=4), st.lists(SIZE, max_size=4), JUNK),
    st.sampled_from(["before", "after", "before", "after", "middle", None]),
    st.sampled_from([*ACTIVATIONS, *ACTIVATIONS, "swish", ("relu",)]),
)
def test_networks_of_anything(sizes, placement, activation):
    right = placement in ("before", "after") and activation in ACTIVATIONS
    sizes = list(sizes) if isinstance(sizes, bytes) else sizes
    listed = isinstance(sizes, list) and all(map(is_size, sizes))
    for kind, few_enough in ((MLP, lambda n: n >= 2), (CNN, lambda n: 1 <= n <= 3)):
        net = answer(kind, sizes, norm=True, placement=placement, activation=activation)
        if kind is MLP and listed and len(sizes) == 2 and placement in ("before", "after"):
            continue  # no hidden layer, no activation
        assert (net is not None) == (listed and few_enough(len(sizes)) and right)


@steady
@given(SIZE, SIZE, SIZE)
def test_a_convolution_of_anything(inputs, channels, k):
    conv = answer(Conv, inputs, channels, k)
    assert (conv is not None) == all(map(is_size, (inputs, channels, k)))


@steady
@given(st.one_of(st.integers(0, 2**33), JUNK), st.one_of(st.floats(0, 9), JUNK))
def test_starting_values_of_anything(seed, scale):
    net = MLP((3, 2, 2), norm=True)
    values = answer(initialise, net, seed, scale)
    if values is None:
        number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        assert not (is_seed(seed) and number and 0 <= scale < 1e30)
        return
    assert is_seed(seed)
    assert values.keys() == net.state_dict().keys()
    if float(scale) < 1e30:
        assert all(v.isfinite().all() for v in values.values())
    assert answer(initialise, seed, 0) is None


NOISE = {"index": 1, "n_mu": 0.5, "n_sigma": 1.25, "r": 0.1}


@settings(steady, max_examples=examples(30))
@given(one_odd(NOISE, st.one_of(WHOLE, st.sampled_from([math.nan, math.inf, 0.9]), JUNK)))
def test_noise_of_anything(arguments):
    index, n_mu, n_sigma, r = arguments.values()
    layer = answer(NoisyBatchNorm, 2, index, n_mu=n_mu, n_sigma=n_sigma, r=r)
    if layer is None:
        fine = all(type(v) is float and math.isfinite(v) and v >= 0 for v in (n_mu, n_sigma, r))
        assert not (type(index) is int and 0 <= index < 2**29 and fine and n_sigma >= 1)
        return
    assert all(map(math.isfinite, (n_mu, n_sigma, r)))
    if max(n_mu, n_sigma, r) < 1e6:
        assert layer(torch.eye(2)).isfinite().all()


@steady
@given(st.one_of(WHOLE, JUNK), st.one_of(st.floats(), JUNK))
def test_a_net_that_cannot_take_noise_stays_as_it_is(seed, n_mu):
    net = MLP((3, 2, 2), norm=True)
    before = [layer.norm for layer in net.layers]
    if answer(add_noise, net, seed, n_mu=n_mu) is None:
        assert [layer.norm for layer in net.layers] == before
    else:
        assert all(isinstance(layer.norm, NoisyBatchNorm) for layer in net.layers)
    assert answer(add_noise, seed) is None


# --- what goes in --------------------------------------------------------------------------------

SHAPED = st.sampled_from([(4, 3), (1, 3), (4, 2), (2, 3, 2, 2), (1, 3, 1, 2), (2, 3, 4), (0, 3)])
BATCHES = SHAPED.flatmap(lambda shape: floats(shape, math.inf))


@settings(steady, max_examples=examples(40))
@given(st.one_of(floats((4, 3), math.inf), BATCHES, WHATEVER), st.booleans())
def test_batchnorm_of_anything_is_pytorchs(x, training):
    ours = BatchNorm(3).train(training)
    found = answer(ours, x)
    axes = (0, 3) if getattr(x, "ndim", 0) == 2 else (0, 3, 0, 0)
    fits = isinstance(x, torch.Tensor) and x.ndim in (2, 4) and x.shape[1:2] == (3,)
    fits = fits and x.dtype == torch.float32 and (usable(x, *axes) or not training)
    if found is None:
        assert not fits or (training and x.numel() < 6)
        assert ours.running_mean.tolist() == [0] * 3
        return
    assert fits
    theirs = (nn.BatchNorm1d if x.ndim == 2 else nn.BatchNorm2d)(3).train(training)
    columns = x.detach().transpose(0, 1).flatten(1)  # (3, n)
    for j, column in enumerate(columns):
        mine = found.transpose(0, 1)[j]
        if not column.isfinite().all() and training:
            assert mine.isnan().all()
        elif training and column.abs().max() > 1e6:
            pass  # squares lose digits, or overflow as the docstring says
        else:
            close(mine, theirs(x).detach().transpose(0, 1)[j], 1 + 1e3 * training)


@few
@given(floats((5, 3), 1e3))
def test_batchnorm_of_small_numbers_is_pytorchs_to_the_last_digits(x):
    ours, theirs = BatchNorm(3).double(), nn.BatchNorm1d(3).double()
    close(ours(x.double()), theirs(x.double()))
    close(ours.running_mean, theirs.running_mean)
    close(ours.running_var, theirs.running_var, 10)


@steady
@given(WHATEVER)
def test_an_activation_is_pytorchs(v):
    for name, right in zip(ACTIVATIONS, (torch.sigmoid, torch.tanh, torch.relu), strict=True):
        found = answer(Activation(name), v)
        if found is None:
            assert not (isinstance(v, torch.Tensor) and v.is_floating_point())
        else:
            close(found, right(v))


@steady
@given(st.one_of(BATCHES, WHATEVER))
def test_a_network_answers_what_fits_and_nothing_else(x):
    for net in (MLP((3, 4, 2), norm=True), add_noise(MLP((3, 4, 2), norm=True)), MLP((3, 2))):
        found = answer(net, x)
        if found is not None:
            assert usable(x, 0, 3)
            assert found.shape == (len(x), 2)
        else:
            assert not (usable(x, 0, 3) and x.dtype == torch.float32 and len(x) > 1)


@steady
@given(st.one_of(BATCHES, WHATEVER), st.booleans())
def test_noise_is_for_rows_of_features(x, training):
    found = answer(NoisyBatchNorm(3).train(training), x)
    rows = usable(x, 0, 3) and x.dtype == torch.float32
    assert (found is not None) == (rows and (len(x) > 1 or not training))


@steady
@given(st.one_of(floats((2, 64)), floats((32, 2)), floats((1, 8, 8)), WHATEVER))
def test_images_are_64_pixels_each(x):
    for function in (images, CNN((2,)).eval()):
        assert (answer(function, x) is not None) == (
            isinstance(x, torch.Tensor) and not x.is_complex() and x.ndim == 2 and len(x) > 0
            and x.shape[1] == 64
        )  # fmt: skip


@few
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_a_convolution_is_pytorchs(data, inputs, channels, k, bias):
    x = data.draw(floats((2, inputs, 4, data.draw(st.integers(1, 5)))))
    conv = Conv(inputs, channels, k, bias=bias)
    found = answer(conv, x)
    assert (found is not None) == (min(x.shape[2:]) >= k)
    if found is not None:
        close(found, F.conv2d(x, conv.weight, conv.bias), 10)
        x[0, 0, 0, 0] = math.nan
        assert not conv(x)[0].isfinite().any()
        close(conv(x)[1], found[1], 10)
    assert answer(conv, x.double()) is None


@few
@given(st.one_of(BATCHES, WHATEVER), st.sampled_from(list(MISTAKES)))
def test_even_a_broken_layer_refuses_another_shape(x, mistake):
    for training in (True, False):
        layer = MISTAKES[mistake](3, 0.1).train(training)
        found = answer(layer, x)
        assert found is None or (usable(x, 0, 3) and found.shape == x.shape)
        if found is None:
            assert not usable(x, 0, 3) or len(x) < 2
            assert layer.running_mean.eq(0).all()


# --- what is done to them ------------------------------------------------------------------------


@steady
@given(st.one_of(floats((2, 3)), WHATEVER), *[st.one_of(floats(2), floats(1), WHATEVER)] * 5)
def test_folded_weights_of_anything(weight, bias, gamma, beta, mean, var):
    found = answer(fold.folded_weights, weight, bias, gamma, beta, mean, var, 0.1)
    if found is not None:
        assert found[0].shape == weight.shape
        assert all(v.shape == weight.shape[:1] for v in (bias, gamma, beta, mean, var, found[1]))


@few
@given(st.data(), st.booleans(), st.floats(1e-6, 1.0))
def test_folding_is_a_layer_and_its_batchnorm(data, conv, eps):
    layer = (nn.Conv2d(2, 3, 2) if conv else nn.Linear(2, 3)).double()
    bn = (nn.BatchNorm2d if conv else nn.BatchNorm1d)(3, eps=eps).double()
    for values in (bn.weight.data, bn.bias.data, bn.running_mean):
        values.copy_(data.draw(floats(3)))
    bn.running_var.copy_(data.draw(floats(3)))
    x = data.draw(floats((2, 2, 3, 3) if conv else (2, 2))).double()
    layer.eval(), bn.eval()
    one = answer(fold.fold, layer, bn)
    if bn.running_var.min() < 0:
        assert one is None
    else:
        torch.testing.assert_close(one(x), bn(layer(x)), rtol=1e-7, atol=1e-7 / eps)


@steady
@given(JUNK, JUNK)
def test_junk_is_not_folded(layer, bn):
    assert answer(fold.fold, layer, bn) is None
    assert answer(fold.fold, nn.Linear(2, 3).eval(), bn) is None
    assert answer(fold.fold, layer, nn.BatchNorm1d(3).eval()) is None


@steady
@given(st.one_of(floats((4, 3)), BATCHES, WHATEVER), st.sampled_from([0.0, math.nan, math.inf]))
def test_reestimate_measures_or_leaves_all_as_it_was(x, ruin):
    net = MLP((3, 4, 2, 2), norm=True, activation="relu")
    net.layers[1].norm.running_mean += ruin  # of a run that diverged
    before = copy.deepcopy(dict(net.named_buffers()))
    try:
        reestimate(net, x)
    except (TypeError, ValueError):
        fits = usable(x, 2, 3) and x.dtype == torch.float32 and x.isfinite().all()
        assert not (fits and x.abs().max() < 1e17)  # beyond, a variance may not fit into float32
        assert net.training
        for name, buffer in net.named_buffers():
            torch.testing.assert_close(buffer, before[name], equal_nan=True)
        return
    first = net.layers[0]
    z = first.linear(x).detach().double()
    if x.abs().max() < 1e6:
        scale = 1 + float(z.abs().max())
        close(first.norm.running_mean.double(), z.mean(0), scale)
        close(first.norm.running_var.double(), z.var(0), scale**2)
        assert all(b.isfinite().all() for b in net.buffers())
    assert not net.training
    assert [float(layer.norm.momentum) for layer in net.layers] == [pytest.approx(0.1)] * 2
    assert answer(reestimate, x, x) is None


# --- the stack of three --------------------------------------------------------------------------


@few
@given(st.one_of(floats((3, 64)), floats((1, 64)), WHATEVER), st.integers(1, 4))
def test_the_stack_answers_what_fits_and_nothing_else(x, rows):
    p = trio.start(torch.tensor(1), torch.tensor(1.0))
    noise = trio.noise(rows, torch.tensor(1), torch.tensor(0), torch.tensor(1.0))
    found = answer(trio.forward, p, x, noise, torch.tensor(2.0))
    assert (found is not None) == (usable(x, 0, 64) and len(x) == rows > 1)
    if found is not None:
        y = torch.arange(rows)
        loss = trio.losses(found[0], y)
        right = torch.stack([F.cross_entropy(logits, y) for logits in found[0]])
        torch.testing.assert_close(loss, right)
    assert answer(trio.losses, x, torch.arange(rows)) is None
