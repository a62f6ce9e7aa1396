"""numpy_net: torch computes the same loss and gradients; a wrong backward pass is noticed."""

import numpy as np
import pytest
import torch

from bnviz.maths import batchnorm, gradcheck, numpy_net


@pytest.fixture
def case():
    rng = np.random.default_rng(5)
    params = {
        "W1": rng.standard_normal((6, 5)),
        "gamma": rng.uniform(0.5, 2, 5),
        "beta": rng.standard_normal(5),
        "W2": rng.standard_normal((5, 3)),
        "b2": rng.standard_normal(3),
    }
    return params, rng.standard_normal((12, 6)), rng.integers(0, 3, 12)


def twin(params):
    """The same network from torch's own layers, float64."""
    first = torch.nn.Linear(*params["W1"].shape, bias=False)
    bn = torch.nn.BatchNorm1d(len(params["gamma"]), eps=1e-5)
    head = torch.nn.Linear(*params["W2"].shape)
    net = torch.nn.Sequential(first, bn, torch.nn.ReLU(), head).double()
    values = (params["W1"].T, params["gamma"], params["beta"], params["W2"].T, params["b2"])
    for parameter, value in zip(net.parameters(), values, strict=True):
        parameter.data = torch.tensor(value)
    return net


def test_loss_and_gradients_are_those_of_torch(case):
    params, x, labels = case
    net = twin(params)
    wanted = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(labels))
    wanted.backward()
    loss, gradients = numpy_net.loss_and_gradients(params, x, labels)
    assert loss == pytest.approx(wanted.item(), rel=1e-13)
    assert list(gradients) == list(params)
    for (name, gradient), parameter in zip(gradients.items(), net.parameters(), strict=True):
        theirs = parameter.grad.numpy()
        theirs = theirs.T if theirs.ndim == 2 else theirs
        np.testing.assert_allclose(gradient, theirs, rtol=1e-10, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("name", ["W1", "gamma", "beta", "W2", "b2"])
def test_each_gradient_agrees_with_central_differences(case, name):
    params, x, labels = case

    def loss(value):
        return numpy_net.loss_and_gradients({**params, name: value}, x, labels)[0]

    _, gradients = numpy_net.loss_and_gradients(params, x, labels)
    gradcheck.check(loss, params[name], gradients[name])


def test_the_backward_pass_that_is_handed_in_is_used(case):
    params, x, labels = case

    def doubled(dy, cache):
        return tuple(2 * g for g in batchnorm.backward(dy, cache))

    _, one = numpy_net.loss_and_gradients(params, x, labels)
    _, two = numpy_net.loss_and_gradients(params, x, labels, doubled)
    for name in params:
        factor = 2 if name in ("W1", "gamma", "beta") else 1
        np.testing.assert_allclose(two[name], factor * one[name], err_msg=name)


def test_training_follows_torch_and_leaves_its_arguments_alone(case):
    params, x, labels = case
    before = {name: value.copy() for name, value in params.items()}
    rng = np.random.default_rng(0)
    batches = [rng.permutation(12)[:6] for _ in range(40)]
    losses, trained = numpy_net.train(params, x, labels, batches, lr=0.1)
    net = twin(params)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for rows, ours in zip(batches, losses, strict=True):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            net(torch.tensor(x[rows])), torch.tensor(labels[rows])
        )
        loss.backward()
        optimiser.step()
        assert ours == pytest.approx(loss.item(), rel=1e-10)
    np.testing.assert_allclose(trained["W1"].T, net[0].weight.detach(), rtol=1e-9)
    assert all(np.array_equal(params[name], before[name]) for name in params)


def test_wrong_arguments_are_refused(case):
    params, x, labels = case
    with pytest.raises(ValueError, match="11 labels for 12 rows"):
        numpy_net.loss_and_gradients(params, x, labels[:11])
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got 0"):
        numpy_net.train(params, x, labels, [], lr=0)
