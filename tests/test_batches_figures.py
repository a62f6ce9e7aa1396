"""The live figures of the chapter on the batch, and their mathematics, against torch and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from bnviz import explorers
from bnviz.experiments import company, get, load
from bnviz.explorers import batch_noise, shared_cells
from bnviz.maths import devices, noise
from bnviz.maths.data import digits
from bnviz.maths.nets import initialise
from bnviz.maths.prng import Shuffler
from bnviz.maths.relatives import KINDS, BlockNet, Relative, moments_of


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- relatives -----------------------------------------------------------------------------------

TORCH = {
    "batch": lambda x: F.batch_norm(x, None, None, training=True),
    "layer": lambda x: F.layer_norm(x, x.shape[1:]),
    "group": lambda x: F.group_norm(x, 3),
    "instance": F.instance_norm,
}


@pytest.mark.parametrize("kind", TORCH)
def test_the_company_is_that_of_torch(kind):
    x = 2 + 3 * normal(5, 6, 4)
    mean, var = moments_of(x, kind, groups=3)
    ours = (x - mean) * torch.rsqrt(var + 1e-5)
    torch.testing.assert_close(ours, TORCH[kind](x), rtol=0, atol=1e-12)


def test_what_no_normaliser_takes_is_refused_in_words():
    with pytest.raises(ValueError, match="4 groups do not divide 6 channels"):
        moments_of(normal(2, 6), "group", groups=4)
    with pytest.raises(ValueError, match="unknown kind 'none'"):
        moments_of(normal(2, 6), "none")
    with pytest.raises(ValueError, match=r"expected \(m, c\) or \(m, c, p\)"):
        moments_of(normal(2, 6, 1, 1), "layer")
    with pytest.raises(ValueError, match="unknown kind 'bn'"):
        Relative("bn", 6)
    with pytest.raises(TypeError):
        moments_of(torch.ones(2, 6, dtype=torch.int64), "layer")


@pytest.mark.parametrize("shape", [(7, 3), (7, 3, 4)])
def test_the_batch_kind_is_torchs_batchnorm_running_values_included(shape):
    ours, theirs = Relative("batch", 3).double(), nn.BatchNorm1d(3).double()
    for seed in range(3):
        x = 1 + 2 * normal(*shape, seed=seed)
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-6)
    x = normal(*shape, seed=9)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-6, atol=1e-6)


def test_a_batch_of_one_gives_beta_and_in_a_convolution_what_instance_normalisation_gives():
    layer = Relative("batch", 3).double()
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([1.0, -2.0, 0.5]))
    assert layer(normal(1, 3)).equal(layer.bias[None])
    assert layer.running_var.tolist() == pytest.approx([0.9] * 3)  # towards 0, not NaN
    x = normal(1, 3, 8)
    torch.testing.assert_close(
        Relative("batch", 3).double()(x), Relative("instance", 3).double()(x)
    )


# --- normalisers ---------------------------------------------------------------------------------


class Blocks(nn.Module):
    """The figure's network from torch.nn's own layers, a real strided convolution included."""

    def __init__(self, kind: str):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 2, stride=2, bias=False)
        self.full = nn.Linear(128, 32, bias=False)
        self.head = nn.Linear(32, 10)
        self.norm1 = {
            "none": lambda: _Bias((8, 1, 1)),
            "batch": lambda: nn.BatchNorm2d(8),
            "layer": lambda: nn.GroupNorm(1, 8),
            "group": lambda: nn.GroupNorm(4, 8),
            "instance": lambda: nn.InstanceNorm2d(8, affine=True),
        }[kind]()
        self.norm2 = {
            "none": lambda: _Bias((32,)),
            "batch": lambda: nn.BatchNorm1d(32),
            "layer": lambda: nn.LayerNorm(32),
            "group": lambda: nn.GroupNorm(4, 32),
            "instance": lambda: _Bias((32,)),
        }[kind]()

    def forward(self, x):
        h = torch.relu(self.norm1(self.conv(x.reshape(-1, 1, 8, 8))))
        return self.head(torch.relu(self.norm2(self.full(h.flatten(1)))))


class _Bias(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        return x + self.bias


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [5, 64])
def test_steps_are_those_of_torch(kind, batch):
    figure = explorers.get("normalisers")
    controls = figure.tensors({"batch": figure.controls[0].nearest(batch)})
    state = figure.initial(torch.tensor(2.0), **controls)
    net, start = Blocks(kind), initialise(BlockNet("none"), 2)
    with torch.no_grad():
        net.conv.weight.copy_(start["conv.weight"].reshape(8, 1, 2, 2))
        net.full.weight.copy_(start["full.weight"])
        net.head.weight.copy_(start["head.weight"])
        net.head.bias.zero_()
    optimiser, data = torch.optim.SGD(net.parameters(), lr=0.1), digits()
    shuffler = Shuffler(figure.rows, 2)
    for _ in range(12):
        rows = shuffler.take(batch)
        loss = F.cross_entropy(net(data.x_train[rows]), data.y_train[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        state, outputs = figure.step(state, rows, **controls)
        assert outputs[f"{kind}_loss"].item() == pytest.approx(loss.item(), abs=2e-4)
    found = figure.observe(state, **controls)[f"{kind}_test"].item()
    hits = (net.eval()(data.x_test).argmax(1) == data.y_test).float().mean().item()
    assert found == pytest.approx(hits, abs=3.5 / 360)


def test_in_a_batch_of_one_bn_alone_loses_the_example():
    figure = explorers.get("normalisers")
    controls = figure.tensors({"batch": 1.0})
    state = figure.initial(torch.tensor(0.0), **controls)
    _, outputs = figure.step(state, torch.tensor([7]), **controls)
    assert outputs["batch2_std"] == 0
    for kind in ("layer", "group"):
        assert outputs[f"{kind}2_std"] == pytest.approx(1, abs=1e-3)
    assert outputs["batch1_density"].equal(outputs["instance1_density"])
    assert all(value.isfinite().all() for value in outputs.values())


# --- shared-cells --------------------------------------------------------------------------------

LIBRARY = (
    lambda x: F.batch_norm(x, None, None, training=True),
    lambda x: F.layer_norm(x, x.shape[1:]),
    lambda x: F.group_norm(x, shared_cells.GROUPS),
    F.instance_norm,
)


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("cell", [(1, 1, 1), (2, 3, 2), (4, 4, 4)])
@pytest.mark.parametrize("changed", [1, 2])
def test_the_chosen_output_is_that_of_the_library(kind, cell, changed):
    figure = explorers.get("shared-cells")
    name = figure.controls[0].options[kind]
    example, channel, place = cell
    found = figure.outputs(
        kind=name, example=example, channel=channel, place=place, changed=changed, change=2.5
    )
    x = shared_cells.cells().double().clone()
    before = LIBRARY[kind](x)[example - 1, channel - 1, place - 1].item()
    x[changed - 1, channel - 1, place - 1] += 2.5
    after = LIBRARY[kind](x)[example - 1, channel - 1, place - 1].item()
    assert found["output"].item() == pytest.approx(after, abs=1e-5)
    assert found["moved"].item() == pytest.approx(after - before, abs=1e-5)
    if kind and changed != example:
        assert found["moved"] == 0


def test_as_many_cells_light_up_as_share_the_mean():
    figure = explorers.get("shared-cells")
    for kind, count in zip(figure.controls[0].options, (16, 16, 8, 4), strict=True):
        found = figure.outputs(kind=kind)
        assert found["values"] == count == found["strong"].isfinite().sum()
        assert found["pale"].isfinite().sum() == 64 - count
        assert found["examples"] == (4 if count == 16 and "batch" in kind else 1)


def test_the_frames_stand_where_their_values_do():
    figure, x = explorers.get("shared-cells"), shared_cells.cells()
    for cell in ((1, 1, 1), (2, 3, 2), (3, 2, 3), (4, 4, 4)):
        example, channel, place = cell
        found = figure.outputs(kind="instance", example=example, channel=channel, place=place)
        value = x[example - 1, channel - 1, place - 1].item()
        corners = found["chosen_x"][:4].mean(), found["chosen_y"][:4].mean()
        column, row = (round(c.item()) for c in corners)
        assert found["strong"][row, column].item() == pytest.approx(value, abs=1e-6)


# --- batch-noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2, 4, 5, 8, 100])
def test_the_theory_is_that_of_scipys_distributions(m):
    chi = stats.chi(m - 1)  # sqrt(m) sigma_B for Gaussian values of variance 1
    assert noise.mean(m) == (0, pytest.approx(m**-0.5))
    middle, spread = noise.deviation(m)
    assert (middle, spread) == pytest.approx((chi.mean() / m**0.5, chi.std() / m**0.5), rel=1e-6)
    middle, spread = noise.inverse_deviation(m)
    if m > 3:
        inverse = stats.invgamma((m - 1) / 2, scale=m / 2)  # of 1 / sigma_B^2
        assert middle**2 + spread**2 == pytest.approx(inverse.mean(), rel=1e-6)
        assert middle == pytest.approx(math.sqrt(m) * chi.expect(lambda r: 1 / r), rel=1e-4)
    else:
        assert spread == math.inf


def test_no_batch_is_smaller_than_two():
    for law in (noise.mean, noise.deviation, noise.inverse_deviation):
        with pytest.raises(ValueError, match=">= 2, got 1"):
            law(1)


@pytest.mark.parametrize("data", batch_noise.DATA)
@pytest.mark.parametrize(("batch", "group"), [(64, 8), (2, 256), (256, 2)])
def test_a_group_is_a_part_of_its_batch(data, batch, group):
    found = explorers.get("batch-noise").outputs(batch=batch, group=group, data=data, draw=3)
    v = batch_noise.values(torch.tensor(float(data != "Gaussian")), torch.tensor(3.0)).double()
    g = min(batch, group)
    assert found["group_size"] == g
    for size, which in ((batch, "batch"), (g, "group")):
        var, mu = torch.var_mean(v[:, :size], 1, correction=0)
        for name, values in (
            ("mu", mu), ("sigma", var.sqrt()),
            ("inverse", torch.rsqrt(var + 1e-5).clamp(max=4)),  # as the sentence says
        ):  # fmt: skip
            spread = values.std(correction=0).item()
            assert found[f"{name}_{which}_std"].item() == pytest.approx(spread, rel=2e-3)


def test_the_clouds_scatter_as_the_lines_say():
    """The spread of n batches is off by a share of 1 / sqrt(2 n), for Gaussian statistics; four of
    these deviations are allowed."""
    figure, draws = explorers.get("batch-noise"), range(8)
    allowed = 4 / math.sqrt(2 * len(draws) * (batch_noise.BATCHES - 1))
    for m in (8, 32, 256):
        found = [figure.outputs(batch=m, group=m, draw=draw) for draw in draws]
        for name, law in (("mu", noise.mean), ("sigma", noise.deviation)):
            squares = [f[f"{name}_batch_std"].item() ** 2 for f in found]
            measured = math.sqrt(sum(squares) / len(squares))
            assert measured == pytest.approx(law(m)[1], rel=allowed)


# --- devices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[7, 5], [1, 8, 3]])
def test_processes_compute_one_batch(sizes):
    x, dy, weight, bias = normal(12, 4) + 3, normal(12, 4, seed=1), normal(4), normal(4, seed=2)
    parts = [list(v.split(sizes)) for v in (x, dy)]
    found = devices.run(devices.forward_backward, len(sizes), *parts, weight, bias)
    norm = nn.BatchNorm1d(4, dtype=torch.float64)
    norm.load_state_dict({"weight": weight, "bias": bias}, strict=False)
    whole = x.clone().requires_grad_()
    y = norm(whole)
    dx, dw, db = torch.autograd.grad(y, (whole, norm.weight, norm.bias), dy)
    for name, expected in (("y", y), ("dx", dx)):
        ours = torch.cat([f[name] for f in found])
        torch.testing.assert_close(ours, expected.detach(), rtol=0, atol=1e-12)
    for name, expected in (("weight", dw), ("bias", db)):
        torch.testing.assert_close(sum(f[name] for f in found), expected, rtol=0, atol=1e-12)


def test_no_device_is_refused():
    with pytest.raises(ValueError, match="devices must be"):
        devices.run(devices.forward_backward, 0)


# --- stored experiments --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("mates", ["fixed", "fresh"])
def test_a_probe_again(norm, mates):
    cell = {"norm": norm, "size": 4, "mates": mates, "seed": 0}
    (stored,) = (r for r in load("batch-mates")["rows"] if all(r[k] == cell[k] for k in cell))
    assert get("batch-mates").row(cell)["accuracy"] == pytest.approx(stored["accuracy"], abs=0.02)


def test_devices_that_hold_one_class_learn_nothing_with_statistics_of_their_own():
    cell = {"order": "one class", "seed": 0, "steps": 40}
    rows = {n: company.run_sorted({**cell, "norm": n}) for n in ("bn, own", "bn, shared", "group")}
    assert rows["bn, own"]["loss"] == pytest.approx(math.log(10), abs=0.2)
    assert max(rows["bn, shared"]["loss"], rows["group"]["loss"]) < 1.5  # of 2.3


def test_each_device_gets_the_classes_that_it_should():
    y, generator = digits().y_train, torch.Generator().manual_seed(0)
    for order, count in (("shuffled", 6), ("two classes", 2), ("one class", 1)):
        rows = company._rows(order, generator).reshape(company.DEVICES, company.EACH)
        kinds = [y[local].unique().numel() for local in rows]
        assert min(kinds) >= count if order == "shuffled" else set(kinds) == {count}
        assert len(set(rows.flatten().tolist())) == rows.numel() or order == "two classes"


@pytest.mark.parametrize(("kind", "batch", "least"), [("group", 2, 0.85), ("batch", 32, 0.9)])
def test_a_tuned_run_again(kind, batch, least):
    """One seed to half the budget: it lands where the stored ones did, to some images."""
    contest = get(f"normalised-batch-{batch}")
    result = load(contest.name)["summary"][kind][str(contest.budgets[0])]
    run = contest.run(
        {"kind": kind, "batch": batch, "lr": result["chosen"]["lr"], "seed": 0,
         "steps": (contest.budgets[0],)}
    )  # fmt: skip
    assert least < run["test"][-1] == pytest.approx(result["test"][0], abs=0.04)
    assert np.median(result["test"]) == pytest.approx(result["median"], abs=1e-3)
