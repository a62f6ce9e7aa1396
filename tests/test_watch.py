"""`bnviz.watch` on networks of other people, against what plain PyTorch says of the same step."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

import bnviz
from bnviz.watching.bins import BINS, Bins
from bnviz.watching.flat import flat_intervals
from bnviz.watching.log import Log
from bnviz.watching.reading import SAMPLE, sample
from tests.networks import KINDS, batch_for, make


def loss_of(net, x, y):
    out = net(**x) if isinstance(x, dict) else net(x)
    logits = out["logits"] if isinstance(out, dict) else out
    return cross_entropy(logits.float(), y)


def fit(net, kind, steps, lr=0.1, **batches):
    """Plain training, another batch at each step."""
    optimiser = torch.optim.SGD(net.parameters(), lr)
    for k in range(steps):
        x, y = batch_for(kind, seed=k, **batches)
        optimiser.zero_grad()
        loss_of(net, x, y).backward()
        optimiser.step()


def inputs_in_a_step(net, kind, name):
    """What enters a layer in one training pass of a copy, and the gradients there; by plain hooks.

    A copy of each tensor, as the layer may change it in place.
    """
    net = copy.deepcopy(net).train()
    seen, gradients = [], []

    def look(module, args, kwargs):
        (v,) = (*args, *kwargs.values())
        seen.append(v.detach().clone())
        v.register_hook(lambda g: gradients.append(g.clone()))

    net.get_submodule(name).register_forward_pre_hook(look, with_kwargs=True)
    loss_of(net, *batch_for(kind, seed=0)).backward()
    return seen, gradients


EPS = {torch.float32: 2**-23, torch.bfloat16: 2**-23}  # all is summed in float32 or better


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_recorded_is_what_enters_the_layer(kind):
    net = make(kind)
    before = copy.deepcopy(net)
    with bnviz.watch(net, every=1) as log:
        fit(net, kind, 1)
    assert len(log.layers) >= 2
    for name, layer in log.layers.items():
        seen, gradients = inputs_in_a_step(before, kind, name)
        v = torch.cat([s.reshape(-1) for s in seen]).double()
        g = torch.cat([s.reshape(-1) for s in gradients]).double()
        row = {key: column[0] for key, column in layer.columns.items()}
        assert row["calls"] == len(seen)
        assert row["n"] == len(v) <= SAMPLE
        assert row["mean"] == pytest.approx(v.mean().item(), abs=1e-12 + 1e-9 * v.abs().max())
        assert row["std"] == pytest.approx(v.std(correction=0).item(), rel=1e-9)
        assert row["gradient"] == pytest.approx(g.square().mean().sqrt().item(), rel=1e-9)
        counts = np.histogram(v.numpy(), BINS, (layer.bins.low, layer.bins.high))[0]
        # a value on an edge may fall into either bin
        assert np.abs(layer.bins.rows[0] - counts).sum() <= 2 + 0.01 * len(v)
        assert layer.bins.rows[0].sum() + sum(layer.bins.outside[0]) == len(v)


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_to_the_last_bit(kind):
    plain, watched = make(kind), make(kind)
    fit(plain, kind, 12)
    with bnviz.watch(watched, every=3) as log:
        fit(watched, kind, 12)
    assert log.steps == [1, 4, 7, 10]
    for a, b in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_are_gone_afterwards(kind):
    net = make(kind)
    with pytest.raises(ZeroDivisionError), bnviz.watch(net, every=1):
        fit(net, kind, 2, broken=1 / 0)
    for module in net.modules():
        assert not module._forward_pre_hooks
        assert not module._forward_hooks
        assert not module._backward_hooks
    from torch.optim import optimizer

    assert not optimizer._global_optimizer_pre_hooks
    assert not optimizer._global_optimizer_post_hooks


def test_batch_norm_against_its_running_values():
    net = make("mlp")
    fit(net, "mlp", 5)
    held = net[1].running_mean.double(), net[1].running_var.double()
    seen, _ = inputs_in_a_step(net, "mlp", "1")
    with bnviz.watch(net, every=1) as log:
        fit(net, "mlp", 1)
    x = seen[0].double()
    eps = net[1].eps
    away = (x.mean(0) - held[0]) / (held[1] + eps).sqrt()
    ratio = (x.var(0) + eps) / (held[1] + eps)
    row = {key: column[0] for key, column in log["1"].columns.items()}
    assert row["batch"] == 32
    # float32 over 32 values of size one
    assert row["mean_gap"] == pytest.approx(away.square().mean().sqrt().item(), rel=32 * 2**-23)
    assert row["var_ratio"] == pytest.approx(ratio.log().mean().exp().item(), rel=32 * 2**-23)
    assert row["frozen"] == 0


def test_flat_and_dead_units():
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        net[0].bias.copy_(torch.tensor([-100.0, -100.0, 100.0, 0.0]))
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.3, -0.2]])
    expected = (net[0](x) <= 0).float()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    with bnviz.watch(net) as log:
        net(x).sum().backward()
        optimiser.step()
    row = {key: column[0] for key, column in log["1"].columns.items()}
    assert row["flat"] == pytest.approx(expected.mean().item())
    assert row["dead"] == pytest.approx(expected.prod(0).mean().item())


@pytest.mark.parametrize("activation", [nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.Hardtanh(), nn.ELU(),
                                        nn.GELU(), nn.Softplus(), nn.ReLU6()])  # fmt: skip
def test_flat_is_a_tenth_of_the_largest_slope(activation):
    at = torch.linspace(-12, 12, 4001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activation(at).sum(), at)
    inside = torch.zeros(len(at), dtype=torch.bool)
    for low, high in flat_intervals(activation):
        inside |= (at >= low) & (at <= high)
    # the grid behind it has steps of 0.0025, and GELU's turning point is no region
    wrong = inside != (slope.abs() < 0.1 * slope.abs().max())
    assert wrong.float().mean() < 0.02


def test_of_each_weight_the_size_the_gradient_and_the_update():
    net = make("mlp")
    before = {name: p.detach().double().clone() for name, p in net.named_parameters()}
    with bnviz.watch(net) as log:
        fit(net, "mlp", 1)
    for name, p in net.named_parameters():
        row = {key: column[0] for key, column in log.weights[name].columns.items()}
        update = p.detach().double() - before[name]
        expected = {"size": before[name], "gradient": p.grad.double(), "update": update}
        for key, v in expected.items():
            # the update is a difference of two float32 numbers
            assert row[key] == pytest.approx(v.square().mean().sqrt().item(), rel=1e-6, abs=1e-9)
    assert log.weights["0.weight"].matrix
    assert not log.weights["1.weight"].matrix


# What a step is


def test_accumulation_is_one_step():
    net, (x, y) = make("mlp"), batch_for("mlp", 64)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    with bnviz.watch(net, every=2) as log:
        for _ in range(4):
            optimiser.zero_grad()
            for part in range(4):
                loss_of(net, x[part::4], y[part::4]).backward()
            optimiser.step()
    assert (log.seen, log.steps) == (4, [1, 3])
    assert log["1"].columns["calls"] == [4, 4]
    assert log["1"].columns["n"] == [64 * 32] * 2


def test_a_shared_module_is_one_layer():
    net = make("shared")
    with bnviz.watch(net, every=2) as log:
        fit(net, "shared", 6)
    assert log.steps == [1, 3, 5]
    assert log["relu"].columns["calls"] == [3, 3, 3]


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_counts_once(reentrant):
    plain = make("mlp")
    net = copy.deepcopy(plain)
    x, y = batch_for("mlp", seed=0)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    with bnviz.watch(net, every=1) as log:
        for _ in range(2):
            optimiser.zero_grad()
            inner = checkpoint(net[:6], x.clone().requires_grad_(), use_reentrant=reentrant)
            cross_entropy(net[6](inner), y).backward()
            optimiser.step()
    assert log.seen == 2
    assert log["2"].columns["calls"] == [1, 1]
    with bnviz.watch(plain, every=1) as direct:
        fit(plain, "mlp", 1)
    assert log["2"].columns["mean"][0] == pytest.approx(direct["2"].columns["mean"][0], abs=1e-7)
    assert log["2"].columns["gradient"][0] == pytest.approx(
        direct["2"].columns["gradient"][0], rel=1e-5
    )


def test_a_closure_that_is_called_many_times_is_one_step():
    net, (x, y) = make("mlp"), batch_for("mlp")
    optimiser = torch.optim.LBFGS(net.parameters(), lr=0.1, max_iter=5)

    def closure():
        optimiser.zero_grad()
        loss = loss_of(net, x, y)
        loss.backward()
        return loss

    with bnviz.watch(net, every=1) as log:
        for _ in range(3):
            optimiser.step(closure)
    assert log.seen == 3
    assert log["1"].columns["calls"][0] >= 2


def test_two_optimisers_on_one_model_are_one_step():
    net, (x, y) = make("mlp"), batch_for("mlp")
    weights = torch.optim.SGD([p for p in net.parameters() if p.ndim > 1], 0.1)
    others = torch.optim.Adam([p for p in net.parameters() if p.ndim == 1], 0.01)
    with bnviz.watch(net, every=1) as log:
        for _ in range(5):
            weights.zero_grad()
            others.zero_grad()
            loss_of(net, x, y).backward()
            weights.step()
            others.step()
    assert log.seen == 5
    assert all(v > 0 for v in log.weights["0.bias"].columns["update"][1:])


def test_an_optimiser_that_takes_over_counts():
    net = make("mlp")
    with bnviz.watch(net, every=1) as log:
        fit(net, "mlp", 3)
        fit(net, "mlp", 4)
    assert log.seen == 7


def test_other_models_in_the_block_do_not_count():
    net, other = make("mlp"), make("mlp", seed=5)
    with bnviz.watch(net, every=1) as log:
        for _ in range(2):
            fit(other, "mlp", 3)
            fit(net, "mlp", 1)
    assert log.seen == 2


@pytest.mark.parametrize("how", ["in place", "data", "new data"])
def test_without_an_optimiser_changed_parameters_are_a_step(how):
    net, (x, y) = make("mlp"), batch_for("mlp")
    with bnviz.watch(net, every=2) as log:
        for _ in range(5):
            net.zero_grad()
            loss_of(net, x, y).backward()
            for p in net.parameters():
                if how == "in place":
                    with torch.no_grad():
                        p -= 0.1 * p.grad
                elif how == "data":
                    p.data -= 0.1 * p.grad
                else:
                    p.data = p.data - 0.1 * p.grad
    assert (log.seen, log.steps) == (5, [1, 3, 5])


def test_a_step_that_the_scaler_leaves_out_is_none():
    net, (x, y) = make("mlp"), batch_for("mlp")
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with bnviz.watch(net, every=1) as log:
        for k in range(4):
            optimiser.zero_grad()
            loss = loss_of(net, x, y) * (math.inf if k == 1 else 1)
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
    assert log.seen == 3


@pytest.mark.parametrize("guarded", [True, False])
def test_validation_is_not_recorded(guarded):
    net = make("mlp")
    x, y = batch_for("mlp", 4, seed=9)
    with bnviz.watch(net, every=1) as log:
        for k in range(3):
            fit(net, "mlp", 1)
            net.eval()
            with torch.set_grad_enabled(not guarded):
                loss_of(net, 1000 * x, y)
            net.train()
            assert len(log) == k + 1
    assert all(calls == 1 for calls in log["2"].columns["calls"])
    assert max(log["1"].columns["std"]) < 100


def test_frozen_layers_are_said_to_be_frozen():
    net = make("mlp")
    net[1].eval()
    net[4].eval()
    with bnviz.watch(net, every=1) as log:
        fit(net, "mlp", 2)
    assert log["1"].columns["frozen"] == [1, 1]
    assert not net[1].training


def test_training_in_evaluation_mode_is_training():
    net = make("mlp").eval()
    with bnviz.watch(net, every=1) as log:
        fit(net, "mlp", 2)
    assert log.steps == [1, 2]


# What a model may be


@pytest.mark.parametrize("form", [torch.bfloat16, torch.float16])
def test_autocast(form):
    net, (x, y) = make("cnn"), batch_for("cnn")
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    with bnviz.watch(net, every=1) as log:
        with torch.autocast("cpu", form):
            loss = loss_of(net, x, y)
        loss.backward()
        optimiser.step()
    assert log["2"].columns["std"][0] == pytest.approx(1, abs=0.1)
    assert log["1"].columns["var_ratio"][0] > 0


def test_half_precision_does_not_overflow():
    net = nn.Sequential(nn.Identity(), nn.Linear(4, 2)).half()
    x = torch.full((64, 4), 60000.0, dtype=torch.float16, requires_grad=True)
    optimiser = torch.optim.SGD(net.parameters(), 1e-8)
    with bnviz.watch(net, every=1, layers=nn.Identity) as log:
        (net(x) * 1e-3).sum().backward()
        optimiser.step()
    assert log["0"].columns["mean"][0] == 60000 - 60000 % 32
    assert log["0"].columns["std"][0] == 0


def test_wrappers_are_looked_through():
    net = make("mlp")
    with bnviz.watch(nn.DataParallel(net), every=1) as log:
        fit(net, "mlp", 1)
    assert list(log.layers) == ["1", "2", "4", "5"]


def test_distributed_data_parallel(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        net = make("mlp")
        ddp = nn.parallel.DistributedDataParallel(net)
        with bnviz.watch(ddp, every=1) as log:
            fit(ddp, "mlp", 2)
    finally:
        torch.distributed.destroy_process_group()
    assert log.steps == [1, 2]
    assert list(log.layers) == ["1", "2", "4", "5"]


def test_a_copy_and_a_file_made_inside_the_block_are_free_of_hooks():
    net = make("mlp")
    with bnviz.watch(net, every=1) as log:
        average, file = copy.deepcopy(net), io.BytesIO()
        torch.save(net, file)
        fit(average, "mlp", 3)
        fit(net, "mlp", 1)
    assert log.seen == 1
    assert log["1"].columns["calls"] == [1]
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert torch.equal(again[0].weight, make("mlp")[0].weight)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, on import
@pytest.mark.parametrize("part", ["all", "inside", "in place"])
def test_compiled_models_are_refused_in_words(part):
    net = make("mlp")
    if part == "all":
        net = torch.compile(net)
    elif part == "inside":
        net = nn.Sequential(torch.compile(net[:3]), *net[3:])
    else:
        net.compile()
    with pytest.raises(TypeError, match="compiled code calls no hooks"):
        bnviz.watch(net)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # who still has one shall hear why
def test_a_scripted_model_is_refused_in_words():
    net = torch.jit.trace(make("mlp").eval(), batch_for("mlp")[0])
    with pytest.raises(TypeError, match=r"before torch\.jit"):
        bnviz.watch(net)


def test_layers_by_name_type_and_module():
    net = make("residual")

    def named(layers):
        return list(bnviz.watch(net, layers=layers).log.layers)

    assert named("head") == ["head"]
    assert named("blocks.0") == ["blocks.0.1", "blocks.0.2", "blocks.0.4"]
    assert named(nn.Conv2d)[:2] == ["stem.0", "blocks.0.0"]
    assert named([net.stem, "head"]) == ["stem.1", "head"]
    assert bnviz.watch(net, layers="head").log["head"].side == "output"


# What can go wrong


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"every": 2.0}, TypeError, "whole number"),
        ({"most": 1}, ValueError, "most must be at least 2"),
        ({"layers": "nowhere"}, ValueError, "no layer is called 'nowhere'; there are '0', '1'"),
        ({"layers": nn.Conv2d}, ValueError, "no layer is a Conv2d; there are BatchNorm1d"),
        ({"layers": nn.ReLU()}, ValueError, "no part of the model"),
        ({"layers": []}, ValueError, "leave it out"),
        ({"layers": [3]}, TypeError, "names, types or modules"),
    ],
)
def test_arguments(options, error, words):
    with pytest.raises(error, match=words):
        bnviz.watch(make("mlp"), **options)


def test_a_model_with_nothing_to_watch():
    with pytest.raises(ValueError, match=r"layers=\['fc1'\]"):
        bnviz.watch(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module, got function"):
        bnviz.watch(lambda x: x)


def test_a_block_without_training_warns():
    net, (x, _) = make("mlp"), batch_for("mlp")
    with pytest.warns(UserWarning, match="no step of training was seen"), bnviz.watch(net):
        net(x)


def test_nothing_recorded_has_no_figure():
    with bnviz.watch(make("mlp")) as log:
        pass
    with pytest.raises(ValueError, match="nothing was recorded yet"):
        log.figure()
    with pytest.raises(KeyError, match="no layer 'x' was watched; there are '1'"):
        log["x"]


def test_values_that_are_not_finite_are_counted():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = torch.tensor([[1.0, 0.0], [math.nan, 0.0], [2.0, math.inf], [0.0, 1.0]])
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    with bnviz.watch(net) as log:
        net(x).sum().backward()
        optimiser.step()
    row = {key: column[0] for key, column in log["1"].columns.items()}
    assert row["not_finite"] == 0.5
    assert row["n"] == 6
    assert math.isfinite(row["mean"])


# What is kept


def test_a_range_that_grows_loses_no_count():
    bins, generator = Bins(), torch.Generator().manual_seed(0)
    for k in range(12):
        bins.add([torch.randn(1000, generator=generator) * 3.0**k + 2.0**k])
        assert bins.rows[-1].sum() > 0.98 * 1000
    for row, outside in zip(bins.rows, bins.outside, strict=True):
        assert row.sum() + sum(outside) == 1000
    assert bins.percentiles([-1], (0.5,)).item() == pytest.approx(2**11, abs=3**11 / 10)


def test_a_merged_row_is_the_histogram_on_the_new_range():
    bins, v = Bins(), torch.linspace(-1, 1, 10001)[1:-1]
    bins.add([v])
    bins.add([torch.linspace(-7, 5, 1000)])
    expected = np.histogram(v.numpy(), BINS, (bins.low, bins.high))[0]
    assert bins.high - bins.low >= 8
    assert np.abs(bins.rows[0] - expected).max() <= 2  # on an edge


def test_values_around_a_hundred_are_inside():
    bins = Bins()
    bins.add([100 + torch.randn(5000, generator=torch.Generator().manual_seed(0))])
    assert 95 < bins.low < bins.high < 105
    assert sum(bins.outside[0]) < 50


def test_old_records_go_when_there_are_too_many():
    net = make("mlp")
    with bnviz.watch(net, every=1, most=4) as log:
        fit(net, "mlp", 12)
    assert log.steps == [1, 5, 9]
    assert log.every == 4
    assert {len(c) for layer in log.layers.values() for c in layer.columns.values()} == {3}
    assert {len(layer.bins.rows) for layer in log.layers.values()} == {3}


def test_a_file_holds_everything(tmp_path):
    net = make("residual")
    with bnviz.watch(net, every=2) as log:
        fit(net, "residual", 5)
    again = Log.load(log.save(tmp_path / "run"))
    assert again.frame().equals(log.frame())
    assert again.weight_frame().equals(log.weight_frame())
    assert again.figure().to_json() == log.figure().to_json()
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no log that `save` wrote"):
        Log.load(tmp_path / "no.npz")
    with pytest.raises(FileNotFoundError):
        Log.load(tmp_path / "nowhere")


def test_a_sample_leaves_no_channel_out():
    v = torch.arange(64.0).reshape(1, 64, 1, 1).expand(64, 64, 32, 32)
    drawn = sample(v)
    assert SAMPLE / 2 < len(drawn) <= SAMPLE
    shares = torch.bincount(drawn.long(), minlength=64) / len(drawn)
    assert shares.min() > 0.9 / 64
    assert shares.max() < 1.1 / 64


@pytest.mark.parametrize("kind", KINDS)
def test_the_figure_shows_the_log(kind):
    net = make(kind)
    with bnviz.watch(net, every=2) as log:
        fit(net, kind, 7)
    figure = log.figure()
    strips = [t for t in figure.data if t.type == "heatmap"]
    assert len(strips) == min(len(log.layers), 6)
    assert all(t.x.tolist() == log.steps for t in strips)
    assert figure.layout.meta["alt"].startswith("After 7 steps")
    one = log.figure([next(iter(log.layers))])
    assert sum(t.type == "heatmap" for t in one.data) == 1
