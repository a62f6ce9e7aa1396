"""The chapter on smoothness: line search, deep linear net, slices, optimisers, noise of a batch.

Oracles: parabolas whose smoothness is known, autograd at one point after the other, torch.optim,
torch.nn.BatchNorm1d, and networks in training mode fed batch after batch.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from bnviz.experiments import get, load
from bnviz.experiments.landscapes import small_vgg
from bnviz.explorers import landscape, landscape_linear, loss_surface, regularisation
from bnviz.maths import prng, surface
from bnviz.maths.data import digits
from bnviz.maths.functional import part
from bnviz.maths.landscape import DeepLinear, call, in_double, line_search
from bnviz.maths.nets import MLP, Activation, initialise

SIZES = (64, 8, 8, 10)
RATIOS = torch.tensor([0.01, 1.0, 30.0], dtype=torch.float64)


def test_the_line_search_on_a_parabola_is_that_of_the_closed_form():
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    a = root @ root.T
    w = torch.randn(5, generator=generator, dtype=torch.float64)
    found = line_search(lambda v: 0.5 * v["w"] @ a @ v["w"], {"w": w}, 0.01, RATIOS)
    g = a @ w
    points = [w - r * 0.01 * g for r in RATIOS]
    torch.testing.assert_close(found["loss"], torch.stack([0.5 * p @ a @ p for p in points]))
    torch.testing.assert_close(found["change"], RATIOS * 0.01 * (a @ g).norm())
    torch.testing.assert_close(found["beta"], (a @ g).norm() / g.norm())
    torch.testing.assert_close(found["norm"], g.norm())
    assert found["beta"] <= torch.linalg.eigvalsh(a)[-1]


@pytest.mark.parametrize("norm", [False, True])
def test_the_line_search_is_autograd_at_one_point_after_the_other(norm):
    net = MLP(SIZES, norm=norm, activation="relu").double()
    net.load_state_dict(initialise(net, seed=1, scale=1.4))
    x, y = digits().x_train[:64].double(), digits().y_train[:64]
    values = {k: p.detach().clone() for k, p in net.named_parameters()}
    found = line_search(lambda v: F.cross_entropy(call(net, v, x), y), values, 0.1, RATIOS)
    w = parameters_to_vector(values.values())

    def look(r):
        vector_to_parameters(w - r * 0.1 * slope, net.parameters())
        loss = F.cross_entropy(net.train()(x), y)
        return loss.item(), parameters_to_vector(torch.autograd.grad(loss, [*net.parameters()]))

    slope = torch.zeros_like(w)
    here, slope = look(0)
    assert found["here"].item() == pytest.approx(here)
    seen = [look(r) for r in RATIOS]
    changes = [(g - slope).norm().item() for _, g in seen]
    assert found["loss"].tolist() == pytest.approx([loss for loss, _ in seen])
    assert found["change"].tolist() == pytest.approx(changes)
    ratios = [c / (r * 0.1 * slope.norm()).item() for c, r in zip(changes, RATIOS, strict=True)]
    assert found["beta"].item() == pytest.approx(max(ratios))


def test_the_deep_linear_net_is_a_stack_of_torchs_own_layers():
    net = DeepLinear(10, 4, norm=True).double()
    values = in_double(net.start(3))
    x = torch.randn(50, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = x
    for k, matrix in enumerate(values["matrices"]):
        expected = expected @ matrix.T
        if k < 3:
            expected = nn.BatchNorm1d(10, dtype=torch.float64)(expected)
    torch.testing.assert_close(call(net, values, x), expected)
    assert net.start(3)["matrices"].std().item() == pytest.approx(10**-0.5, rel=0.1)  # Glorot
    plain = call(DeepLinear(10, 4), {"matrices": values["matrices"]}, x)
    torch.testing.assert_close(plain, x @ torch.linalg.multi_dot([*values["matrices"].flip(0)]).T)
    with pytest.raises(ValueError, match="depth must be at least 2, got 1"):
        DeepLinear(10, 1)


@pytest.mark.parametrize("figure", [landscape.LANDSCAPE, landscape_linear.LANDSCAPE_LINEAR])
def test_a_figures_bands_hold_its_line_and_training_lowers_the_loss(figure):
    values = {"lr": 0.05} if figure is landscape.LANDSCAPE else {"lr": 0.0005}
    controls = figure.tensors(values)
    with torch.no_grad():
        state = figure.initial(torch.tensor(1.0), **controls)
        before = figure.observe(state, **controls)
        for number in range(15):
            rows = torch.arange(128) + 20 * number
            state, outputs = figure.step(state, rows, **controls)
        after = figure.observe(state, **controls)
    for name in ("plain", "bn"):
        assert before[f"{name}_line"][1:].min() == before[f"{name}_least"]
        assert before[f"{name}_line"][1:].max() == before[f"{name}_most"]
        assert before[f"{name}_change_line"][1:].max() == before[f"{name}_change_most"]
        assert after[f"{name}_line"][0] < before[f"{name}_line"][0]
        assert math.isfinite(outputs[f"{name}_loss"])


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_many_networks_at_once_have_the_loss_of_each(norm, activation):
    net = MLP(SIZES, norm=norm, activation=activation)
    x, y = digits().x_train[:32], digits().y_train[:32]
    starts = [initialise(net, seed) for seed in range(3)]
    names = [k for k, _ in net.named_parameters()]
    stacked = {k: torch.stack([s[k] for s in starts]) for k in names}
    found = surface.losses_of(stacked, x, y, Activation(activation).index)
    for start, loss in zip(starts, found, strict=True):
        net.load_state_dict(start)
        torch.testing.assert_close(loss, F.cross_entropy(net.train()(x), y))


def test_the_three_optimisers_are_those_of_torch():
    start = {"w": torch.tensor([[1.0, -2.0], [0.5, 3.0]])}
    curvature = torch.tensor([[1.0, 4.0], [0.2, 9.0]])
    lr = torch.tensor(0.05)
    own = [start["w"].clone().requires_grad_() for _ in range(3)]
    eps = surface.EPS
    theirs = (
        torch.optim.SGD([own[0]], lr=0.05),
        torch.optim.SGD([own[1]], lr=0.05 / 5, momentum=0.9),
        torch.optim.Adam([own[2]], lr=0.05 / 20, eps=eps),
    )
    w, m, s = surface.begin(start)
    for t in range(1, 8):
        gradient = {"w": curvature * w["w"]}
        w, m, s = surface.update(w, m, s, gradient, lr, torch.tensor(float(t)))
        for parameter, optimiser in zip(own, theirs, strict=True):
            optimiser.zero_grad()
            (0.5 * curvature * parameter.square()).sum().backward()
            optimiser.step()
    torch.testing.assert_close(w["w"], torch.stack([p.detach() for p in own]))


def test_a_slice_passes_through_its_three_points():
    net = MLP(SIZES, norm=True)
    x, y = digits().x_train[:32], digits().y_train[:32]
    names = [k for k, _ in net.named_parameters()]
    start, a, b = ({k: initialise(net, seed)[k] for k in names} for seed in range(3))

    def losses(values):
        return surface.losses_of(values, x, y, Activation("tanh").index)

    z = surface.slice_of(losses, start, a, b, torch.tensor([0.0, 0.5, 1.0]))
    for place, point in (((0, 0), start), ((0, 2), a), ((2, 0), b)):
        torch.testing.assert_close(z[place], losses(point))
    between = {k: start[k] + 0.5 * (a[k] - start[k]) + 0.5 * (b[k] - start[k]) for k in names}
    torch.testing.assert_close(z[1, 1], losses(between))


@pytest.mark.parametrize(
    ("height", "slope", "share"),
    [(2.3, 0.0, 1), (2.3, 0.49, 1), (2.3, 0.51, 0), (2.0, 0.0, 0), (9.0, 0.3, 1)],
)
def test_a_plateau_is_high_and_flat(height, slope, share):
    places = torch.linspace(-0.01, 0.01, 5)
    across = height + slope * places.expand(5, 5)
    for z in (across, across.T):
        assert surface.plateaus(z, 0.005).shape == (3, 3)
        assert surface.plateaus(z, 0.005).mean() == share


def test_marks_of_the_slice_stand_where_their_losses_are():
    figure = loss_surface.LOSS_SURFACE
    controls = figure.tensors({"extent": 1.0, "pair": "SGD, momentum", "activation": "tanh"})
    with torch.no_grad():
        state = figure.initial(torch.tensor(0.0), **controls)
        for number in range(3):
            state, _ = figure.step(state, torch.arange(40) + 40 * number, **controls)
        seen = figure.observe(state, **controls)
    assert seen["marks_x"].tolist() == [0.5, -0.5, -0.5]
    assert seen["marks_y"].tolist() == [-0.5, -0.5, 0.5]
    x, y = digits().x_train[:100], digits().y_train[:100]
    for name in ("plain", "bn"):
        ends = part(state, f"{name}.w")
        losses = surface.losses_of(ends, x, y, Activation("tanh").index)
        height = 10 ** seen[f"{name}_height"] * math.log(10)
        torch.testing.assert_close(height[5, 15], losses[0], rtol=1e-4, atol=1e-5)  # (1, 0): SGD
        torch.testing.assert_close(height[15, 5], losses[1], rtol=1e-4, atol=1e-5)  # (0, 1)


@pytest.mark.parametrize("batch", [2, 17, 128])
def test_the_dots_are_those_of_a_network_fed_batch_after_batch(batch):
    image, seed = 7, 3
    out = regularisation.REGULARISATION.outputs(batch=batch, image=image, seed=seed)
    data, net = digits(), regularisation.trained(True)
    draws, largest = regularisation.DRAWS, regularisation.LARGEST
    rows = (prng.uniform((draws, largest), torch.tensor(seed), 0) * 1437).long().clamp(0, 1436)
    values = {k: v.clone() for k, v in net.state_dict().items()}
    for k in (0, 20, draws - 1):
        company = data.x_train[rows[k, 1:batch]]
        logits = net.train()(torch.cat([data.x_test[image : image + 1], company]))
        net.load_state_dict(values)  # the running statistics have moved
        expected = torch.softmax(logits[0], 0)
        found = out["bn_p"].reshape(10, draws)[:, k]
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    net.eval()
    running = torch.softmax(net(data.x_test[image : image + 1])[0], 0)
    torch.testing.assert_close(out["running_p"], running)
    assert out["label"] == data.y_test[image]


def test_the_small_vgg_normalises_before_every_relu():
    plain, bn = small_vgg(False), small_vgg(True)
    x = torch.zeros(3, 1, 8, 8)
    assert plain(x).shape == bn(x + torch.randn(3, 1, 8, 8)).shape == (3, 10)
    kinds = [type(layer).__name__ for layer in bn]
    assert [kinds[k - 1] for k, kind in enumerate(kinds) if kind == "ReLU"] == ["BatchNorm"] * 4


@pytest.mark.parametrize("name", ["landscape-mlp", "landscape-cnn", "landscape-linear"])
def test_stored_smoothness_is_what_the_chapter_says(name):
    summary = load(name)["summary"]
    assert summary["seeds"] >= 5
    change, beta = (summary["smaller_with_bn"][f"{key} late"] for key in ("change", "beta"))
    if name == "landscape-linear":
        assert beta["lr 1e-03"] == [0, 6]
        assert beta["lr 1e-02"][0] == beta["lr 1e-02"][1] >= 4
        for rate in (0.001, 0.003, 0.01):
            product = summary["by_net"][f"lr {rate:.0e}, bn"]["late"]["beta"]["median"] * rate
            assert product == pytest.approx(2, abs=0.1)
    else:
        assert all(smaller == seeds for smaller, seeds in change.values())
        assert sum(seeds - smaller for smaller, seeds in beta.values()) <= 1


def test_one_cell_of_the_linear_experiment_is_what_is_stored():
    experiment, stored = get("landscape-linear"), load("landscape-linear")["rows"]
    cell = {"lr": 0.001, "net": "plain", "seed": 2}
    row = next(r for r in stored if cell.items() <= r.items())
    again = experiment.row(cell)
    assert again["loss_late"] == pytest.approx(row["loss_late"], rel=0.02)
    assert again["beta_early"] == pytest.approx(row["beta_early"], rel=0.02)
