"""The live figures of the chapter on benefits, against torch's own layers and closed forms."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnviz import explorers
from bnviz.experiments import load
from bnviz.explorers import init_scale, learning_rate, weight_scale
from bnviz.maths.data import digits
from bnviz.maths.nets import initialise
from bnviz.maths.prng import Shuffler
from bnviz.templates.weight_scale import FACTORS

# --- weight-scale --------------------------------------------------------------------------------


def torch_layer(a: float, eps: float, bn: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, dL/du, dL/d(aW) of y = BN((aW)u) by torch.nn, in float64."""
    u, w, upstream = weight_scale.layer()
    u, weight = u.clone().requires_grad_(), (a * w).requires_grad_()
    z = F.linear(u, weight)
    norm = nn.BatchNorm1d(len(w), eps=eps, affine=False, dtype=torch.float64)
    y = norm(z) if bn else z
    return y.detach(), *torch.autograd.grad(y, (u, weight), upstream)


@pytest.mark.parametrize("a", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("eps", [1e-8, 1e-2])
def test_outputs_and_gradients_are_those_of_torch_layers(a, eps):
    found = explorers.get("weight-scale").outputs(a=a, eps=eps)
    a, eps = (float(torch.tensor(v, dtype=torch.float32)) for v in (a, eps))  # as the figure gets
    for name, bn in (("plain", False), ("bn", True)):
        y, du, dw = torch_layer(a, eps, bn)
        y_1, du_1, dw_1 = torch_layer(1.0, eps, bn)
        torch.testing.assert_close(found[f"{name}_y"].double(), y[:, 0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found[f"{name}_x"].double(), y_1[:, 0], rtol=1e-5, atol=1e-6)
        for side, now, one in (("du", du, du_1), ("dw", dw, dw_1)):
            ratio = found[f"{name}_{side}_ratio"].item()
            assert ratio == pytest.approx((now.norm() / one.norm()).item(), rel=1e-5)


@pytest.mark.parametrize("eps", [1e-8, 1e-5, 1.0])
def test_the_residue_follows_the_closed_form(eps):
    found = explorers.get("weight-scale").outputs(eps=eps)
    torch.testing.assert_close(found["output_residue"], found["predicted"], rtol=1e-4, atol=1e-4)
    assert found["output_residue"].max() > -9  # and is not all floor


def test_without_bn_the_layer_is_linear_in_a():
    found = explorers.get("weight-scale").outputs(a=10.0)
    log_a = torch.log10(torch.tensor(FACTORS))
    torch.testing.assert_close(found["plain_du"], log_a, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["plain_dw"], torch.zeros(len(FACTORS)), rtol=0, atol=1e-6)


# --- init-scale ----------------------------------------------------------------------------------


def shallow(scale: float, activation: str, depth: int, bn: bool, seed: int = 0):
    """Signals and gradients of a network that ends at `depth`, by torch's layers and autograd."""
    data = digits()
    x, y = data.x_train[: init_scale.EXAMPLES].double(), data.y_train[: init_scale.EXAMPLES]
    *hidden, head = init_scale.weights(torch.tensor(float(seed)))
    g = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[activation]
    scale, h, hs, ws = float(torch.tensor(scale)), x, [], []
    for w in hidden[:depth]:
        ws.append((scale * w).requires_grad_())
        z = F.linear(h, ws[-1])
        h = g(F.batch_norm(z, None, None, training=True, eps=init_scale.EPS) if bn else z)
        hs.append(h)
    loss = F.cross_entropy(F.linear(h, head), y)
    gradients = torch.autograd.grad(loss, [*hs, *ws])
    return hs, gradients[:depth], ws, gradients[depth:]


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize(("scale", "depth"), [(1.0, 3), (2.0, 12)])
def test_a_masked_network_is_a_shallow_one(activation, scale, depth):
    found = explorers.get("init-scale").outputs(scale=scale, activation=activation, depth=depth)
    for name, bn in (("plain", False), ("bn", True)):
        hs, dhs, ws, dws = shallow(scale, activation, depth, bn)
        m = init_scale.EXAMPLES
        expected = {
            "signal": [h.var(0, correction=0).mean().sqrt() for h in hs],
            "gradient": [m * g.square().mean().sqrt() for g in dhs],
            "weight": [g.square().mean().sqrt() for g in dws],
            "update": [
                init_scale.RATE * g.square().mean().sqrt() / w.square().mean().sqrt()
                for w, g in zip(ws, dws, strict=True)
            ],
        }
        for what, values in expected.items():
            ours = found[f"{name}_{what}"]
            theirs = torch.stack(values).detach().log10().float()
            torch.testing.assert_close(ours[:depth], theirs, rtol=1e-4, atol=1e-4)
            assert ours[depth:].isnan().all()


def test_weights_have_mean_0_and_variance_1_over_fan_in():
    for w in init_scale.weights(torch.tensor(3.0)):
        n = w.numel()
        assert abs(w.mean()) < 4 * (w.shape[1] * n) ** -0.5
        assert w.var().item() * w.shape[1] == pytest.approx(1, abs=4 * n**-0.5)


def test_with_bn_the_signal_ignores_the_scale_and_the_weight_gradient_divides_by_it():
    figure = explorers.get("init-scale")
    small, large = (figure.outputs(scale=s, activation="relu", depth=8) for s in (0.5, 4.0))
    for key in ("bn_signal", "bn_gradient"):
        torch.testing.assert_close(small[key][:8], large[key][:8], rtol=0, atol=5e-3)
    ratio = small["bn_weight"][:8] - large["bn_weight"][:8]  # log10 of 4 / 0.5
    torch.testing.assert_close(ratio, torch.full((8,), 0.90309), rtol=0, atol=5e-3)
    assert small["plain_signal"][7] - large["plain_signal"][7] < -7  # 8 layers of 0.9 decades


# --- learning-rate -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "bn"])
def test_steps_are_those_of_torch(name):
    figure = explorers.get("learning-rate")
    controls = figure.tensors({"lr": 0.3, "activation": "relu"})
    state = figure.initial(torch.tensor(2.0), **controls)
    layers, sizes = [], learning_rate.SIZES
    for a, b in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(a, b, bias=name == "plain")]
        layers += [nn.BatchNorm1d(b)] if name == "bn" else []
        layers += [nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(*sizes[-2:]))
    start = initialise(learning_rate._net(name), 2)
    names = [k for k, _ in learning_rate._net(name).named_parameters()]
    with torch.no_grad():
        for parameter, key in zip(net.parameters(), names, strict=True):
            parameter.copy_(start[key])
    optimiser, data = torch.optim.SGD(net.parameters(), lr=0.3), digits()
    shuffler = Shuffler(figure.rows, 2)
    for _ in range(20):
        rows = shuffler.take(32)
        loss = F.cross_entropy(net(data.x_train[rows]), data.y_train[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        state, outputs = figure.step(state, rows, **controls)
        assert outputs[f"{name}_loss"].item() == pytest.approx(loss.item(), abs=1e-4)
    found = figure.observe(state, **controls)[f"{name}_test"].item()
    hits = (net.eval()(data.x_test).argmax(1) == data.y_test).float().mean().item()
    assert found == pytest.approx(hits, abs=2.5 / 360)


def test_only_the_chosen_activations_stored_runs_are_drawn():
    figure = explorers.get("learning-rate")
    for chosen in ("sigmoid", "tanh", "relu"):
        controls = figure.tensors({"activation": chosen})
        found = figure.observe(figure.initial(torch.tensor(0.0), **controls), **controls)
        for other in ("sigmoid", "tanh", "relu"):
            left, right = figure.figure["layout"]["xaxis3"]["range"]
            drawn = (left < found[f"{other}_rates"]) & (found[f"{other}_rates"] < right)
            assert drawn.all() if other == chosen else not drawn.any()


def test_the_stored_runs_in_the_figure_are_those_of_the_experiment():
    result = load("learning-rate")
    traces = {t["uid"]: t for t in explorers.get("learning-rate").figure["data"]}
    for activation in ("sigmoid", "tanh", "relu"):
        for net in ("plain", "bn"):
            for k, lr in enumerate(result["summary"]["rates"]):
                runs = [
                    r["accuracy"]
                    for r in result["rows"]
                    if (r["activation"], r["net"], r["lr"]) == (activation, net, lr)
                ]
                assert traces[f"{activation}-{net}-median"]["y"][k] == np.median(runs)
                assert traces[f"{activation}-{net}-min"]["y"][k] == min(runs)
    assert 10 ** np.array(learning_rate.RATES) == pytest.approx(
        result["summary"]["rates"], rel=1e-3
    )
