"""Other people's samples: the operator of ONNX by its formula, and PyTorch's own module tests."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from bnviz.maths.batchnorm import RunningStats, batch_statistics, forward, infer
from bnviz.maths.nets import BatchNorm

# --- ONNX: BatchNormalization, version 15 ---------------------------------------------------------
# Its four node tests (package onnx, 31 MB, is not installed for them): x is (2, 3, 4, 5), epsilon
# is 1e-5 or 1e-2, training_mode 0 or 1, momentum the weight of the OLD value, running_var biased.


def onnx_cases(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    s, bias, mean = (rng.normal(size=3).astype(np.float32) for _ in range(3))
    return x, s, bias, mean, rng.random(3).astype(np.float32)


def onnx_formula(x, s, bias, mean, var, epsilon):
    """Y = (X - input_mean) / sqrt(input_var + epsilon) * scale + B."""
    s, bias, mean, var = (v.astype(float)[:, None, None] for v in (s, bias, mean, var))
    return (x - mean) / np.sqrt(var + epsilon) * s + bias


@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
def test_inference_is_onnxs(epsilon):
    x, s, bias, mean, var = onnx_cases()
    expected = onnx_formula(x, s, bias, mean, var, epsilon)
    np.testing.assert_allclose(
        infer(x, s, bias, mean, var, epsilon), expected, rtol=1e-4, atol=1e-5
    )
    layer = BatchNorm(3, eps=epsilon).eval()
    names = ("weight", "bias", "running_mean", "running_var")
    values = (torch.from_numpy(v) for v in (s, bias, mean, var))
    layer.load_state_dict(dict(zip(names, values, strict=True)))
    y = layer(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.9, 0.6])
@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
def test_training_is_onnxs_with_biased_running_variance(epsilon, momentum):
    x, s, bias, mean, var = onnx_cases(1)
    saved_mean, saved_var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    expected = onnx_formula(x, s, bias, saved_mean, saved_var, epsilon)
    np.testing.assert_allclose(forward(x, s, bias, epsilon)[0], expected, rtol=1e-4, atol=1e-5)
    stats = RunningStats(3, keep=momentum, variance="biased")
    stats.update(x)
    # ours start at 0 and 1; theirs at what they are given
    output_mean = stats.mean + momentum * mean
    output_var = stats.var + momentum * (var - 1)
    np.testing.assert_allclose(
        output_mean, momentum * mean + (1 - momentum) * saved_mean, rtol=1e-5
    )
    np.testing.assert_allclose(output_var, momentum * var + (1 - momentum) * saved_var, rtol=1e-5)


# --- the choice of variance -----------------------------------------------------------------------


def batches(sizes):
    rng = np.random.default_rng(3)
    return [rng.normal(2, 3, size=(m, 4)) for m in sizes]


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("sizes", [[8, 8, 8], [2, 9, 5]], ids=str)
def test_each_estimator_takes_the_variance_that_it_is_told(sizes, ddof):
    data, choice = batches(sizes), {"variance": ("biased", "unbiased")[ddof]}
    each = [x.var(0, ddof=ddof) for x in data]
    expected = np.ones(4)
    for var in each:
        expected = 0.7 * expected + 0.3 * var
    of_values = sum(x.var(0) * len(x) for x in data) / sum(len(x) - ddof for x in data)
    wanted = {"exponential": expected, "cumulative": np.mean(each, 0), "population": of_values}
    for estimator, var in wanted.items():
        options = {"momentum": 0.3} if estimator == "exponential" else {}
        stats = RunningStats(4, estimator, **options, **choice)
        for x in data:
            stats.update(x)
        np.testing.assert_allclose(stats.var, var)


def test_unbiased_is_the_default_as_in_pytorch():
    stats, layer, (x,) = RunningStats(4), nn.BatchNorm1d(4).double(), batches([5])
    stats.update(x)
    layer(torch.from_numpy(x))
    np.testing.assert_allclose(stats.var, layer.running_var)
    assert stats.variance == "unbiased"


@pytest.mark.parametrize("variance", ["population", None, True])
def test_another_variance_is_refused_and_the_two_are_named(variance):
    with pytest.raises(ValueError, match=r"'unbiased' \(PyTorch\) or 'biased' \(Keras, ONNX\)"):
        RunningStats(3, variance=variance)


# --- PyTorch's own samples ------------------------------------------------------------------------

KINDS = ("nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d")
# PyTorch's test modules change PyTorch when they are imported, and want a package for their classes
SAMPLES = """
import sys, types, unittest
import torch
stub = types.ModuleType("expecttest")
stub.TestCase = unittest.TestCase
sys.modules.setdefault("expecttest", stub)
from torch.testing._internal.common_modules import module_db
torch.manual_seed(0)
options = {"device": "cpu", "dtype": torch.float64, "requires_grad": False}
samples = [
    ((info.name, training), s.desc, s.constructor_input.args, s.constructor_input.kwargs,
     s.forward_input.args[0])
    for info in module_db if info.name.startswith("nn.BatchNorm")
    for training in (True, False)
    for s in info.module_inputs_func(info, **options, training=training)
]
torch.save(samples, sys.argv[1])
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """What PyTorch tests its modules with: which, what it is, arguments, options, its input."""
    path = tmp_path_factory.mktemp("samples") / "samples.pt"
    subprocess.run([sys.executable, "-c", SAMPLES, str(path)], check=True, capture_output=True)
    return torch.load(path)


def four_axes(x):
    """(m, c, l) and (m, c, d, h, w) in the (m, c, h, w) that means the same."""
    return {3: lambda: x.unsqueeze(-1), 5: lambda: x.flatten(2, 3)}.get(x.ndim, lambda: x)()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_pytorchs_own_samples(samples, name, training):
    tried = 0
    for which, words, args, options, x in samples:
        if which != (name, training):
            continue
        kind = getattr(nn, name.removeprefix("nn."))
        theirs = kind(*args, **options).double().train(training)
        ours = BatchNorm(*args, **options).double().train(training)
        if not x.numel():
            if training:
                with pytest.raises(ValueError, match="at least 2 values"):
                    ours(four_axes(x))
            continue
        leaves = [x.clone().requires_grad_() for _ in range(2)]
        y, expected = ours(four_axes(leaves[0])).reshape(x.shape), theirs(leaves[1])
        dy = torch.randn_like(x)
        for output in (y, expected):
            (output * dy).sum().backward()
        torch.testing.assert_close(y, expected, msg=words)
        torch.testing.assert_close(leaves[0].grad, leaves[1].grad)
        if theirs.track_running_stats:
            torch.testing.assert_close(ours.running_mean, theirs.running_mean)
            torch.testing.assert_close(ours.running_var, theirs.running_var)
        by_numpy(four_axes(x).numpy(), theirs, four_axes(expected).detach().numpy(), training)
        tried += 1
    assert tried >= 6


def by_numpy(x, layer, expected, training):
    """The same with `batchnorm`."""
    d = x.shape[1]
    gamma = np.ones(d) if layer.weight is None else layer.weight.detach().numpy()
    beta = np.zeros(d) if layer.bias is None else layer.bias.detach().numpy()
    if training or not layer.track_running_stats:
        y, _ = forward(x, gamma, beta, layer.eps)
        stats = RunningStats(d, "cumulative") if layer.momentum is None else None
        stats = stats or RunningStats(d, momentum=layer.momentum)
        stats.update(x)
        if layer.track_running_stats:
            np.testing.assert_allclose(stats.mean, layer.running_mean)
            np.testing.assert_allclose(stats.var, layer.running_var)
        np.testing.assert_allclose(batch_statistics(x)[0], x.swapaxes(0, 1).reshape(d, -1).mean(1))
    else:
        y = infer(x, gamma, beta, layer.running_mean.numpy(), layer.running_var.numpy(), layer.eps)
    np.testing.assert_allclose(y, expected, rtol=1e-10, atol=1e-12)
