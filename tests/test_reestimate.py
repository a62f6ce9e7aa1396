"""bnviz.maths.reestimate on the networks that people have, against RunningStats."""

import copy
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from bnviz.maths.batchnorm import RunningStats
from bnviz.maths.nets import BatchNorm
from bnviz.maths.noisy import NoisyBatchNorm
from bnviz.maths.record import inputs_of
from bnviz.maths.reestimate import reestimate


class Sub(nn.BatchNorm1d):
    """Somebody's own, with a forward pass of its own."""

    def forward(self, input):
        return super().forward(input) + 0.5


def data(*shape, seed=0):
    return 2 + 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def stack(first=nn.BatchNorm1d, second=nn.BatchNorm1d, **options) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4), first(4, **options), nn.ReLU(), nn.Linear(4, 5), second(5)]
    return nn.Sequential(*layers).double()


def norms(net: nn.Module) -> list[nn.Module]:
    return [m for m in net.modules() if hasattr(m, "running_mean")]


def pooled(net: nn.Module, batches, **kinds) -> list[RunningStats]:
    """What RunningStats makes of what enters each BN layer, which normalise with the batch."""
    net = copy.deepcopy(net).eval()
    layers = norms(net)
    for layer in layers:
        layer.train()
        layer.reset_running_stats() if hasattr(layer, "reset_running_stats") else None
    stats = [RunningStats(len(layer.running_mean), "population") for layer in layers]
    for batch in batches:
        with torch.no_grad(), inputs_of(layers) as seen:
            net(batch)
        for one, entered in zip(stats, seen, strict=True):
            # RunningStats takes no (m, c, l) and no (m, c, d, h, w)
            one.update(entered.transpose(0, 1).flatten(1).T.contiguous().numpy())
    return stats


def assert_measured(net: nn.Module, stats: list[RunningStats], rtol=1e-10) -> None:
    for layer, one in zip(norms(net), stats, strict=True):
        np.testing.assert_allclose(layer.running_mean, one.mean, rtol, atol=1e-12)
        np.testing.assert_allclose(layer.running_var, one.var, rtol)


def everything(net: nn.Module) -> dict:
    values = {k: v.clone() for k, v in net.named_buffers()}
    momenta = {k: getattr(m, "momentum", None) for k, m in net.named_modules()}
    modes = {k: m.training for k, m in net.named_modules()}
    return {**values, **{f"{k} mode": v for k, v in modes.items()}, "momenta": str(momenta)}


def assert_same(before: dict, after: dict) -> None:
    assert before.keys() == after.keys()
    for name, value in before.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(after[name], value, rtol=0, atol=0, equal_nan=True)
        else:
            assert after[name] == value, name


PAIRS = {
    "torch": (nn.BatchNorm1d, nn.BatchNorm1d),
    "ours": (BatchNorm, BatchNorm),
    "mixed": (nn.BatchNorm1d, BatchNorm),
    "mixed the other way": (BatchNorm, nn.BatchNorm1d),
    "subclass": (Sub, nn.BatchNorm1d),
    "synchronised": (nn.SyncBatchNorm, nn.SyncBatchNorm),
    "cumulative": (lambda d: nn.BatchNorm1d(d, momentum=None), nn.BatchNorm1d),
    "without gamma": (lambda d: nn.BatchNorm1d(d, affine=False), nn.BatchNorm1d),
}


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("sizes", [[50], [20, 20], [7, 2, 31]], ids=str)
@pytest.mark.parametrize("pair", PAIRS)
def test_batches_are_pooled_whoever_made_the_layers(pair, sizes, mode):
    net = stack(*PAIRS[pair]).train(mode)
    before, weights = everything(net), copy.deepcopy(list(net.parameters()))
    batches = data(sum(sizes), 3).split(sizes)
    stats = pooled(net, batches)
    reestimate(net, batches[0] if len(sizes) == 1 else batches)
    assert_measured(net, stats)
    assert all(map(torch.equal, weights, net.parameters()))
    assert not any(m.training for m in net.modules())
    assert everything(net)["momenta"] == before["momenta"]


def test_one_batch_is_the_unbiased_variance_of_all():
    net, x = nn.BatchNorm1d(3).double(), data(40, 3)
    reestimate(net, x)
    torch.testing.assert_close(net.running_mean, x.mean(0))
    torch.testing.assert_close(net.running_var, x.var(0))


CONVOLUTIONS = {
    "1d": (nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), (6, 2, 9)),
    "2d": (nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), (6, 2, 5, 6)),
    "2d, ours": (nn.Conv2d(2, 3, 3), BatchNorm(3), (6, 2, 5, 6)),
    "3d": (nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3), (6, 2, 4, 3, 4)),
}


@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_channels_are_measured_over_all_places(case):
    conv, bn, shape = CONVOLUTIONS[case]
    net = nn.Sequential(conv, bn).double()
    batches = data(*shape).split([4, 2])
    stats = pooled(net, batches)
    reestimate(net, batches)
    assert_measured(net, stats)


def test_a_loader_gives_batches_and_classes():
    x = data(20, 3)
    net, twin = stack(), stack()
    reestimate(net, DataLoader(TensorDataset(x, torch.zeros(20)), batch_size=8))
    reestimate(twin, iter(x.split(8)))
    assert_same(everything(twin), everything(net))
    assert [int(m.num_batches_tracked) for m in norms(net)] == [3, 3]


def test_dropout_drops_nothing_while_it_is_measured():
    x = data(30, 3)
    net, twin = stack(), stack()
    net.insert(0, nn.Dropout(0.9))
    reestimate(net, x)
    reestimate(twin, x)
    assert torch.equal(net[2].running_var, twin[1].running_var)


def test_a_shared_layer_counts_what_enters_in_every_call():
    bn, x = nn.BatchNorm1d(3), data(6, 3).float()
    net = nn.Sequential(bn, nn.Linear(3, 3), bn)
    with torch.no_grad(), inputs_of([bn]) as seen:
        net(x)
    reestimate(net, x)
    torch.testing.assert_close(bn.running_mean, torch.cat(seen).mean(0))
    torch.testing.assert_close(bn.running_var, (seen[0].var(0) + seen[1].var(0)) / 2)


@pytest.mark.parametrize("ruin", [math.nan, math.inf, -1.0])
@pytest.mark.parametrize("pair", ["torch", "ours", "mixed"])
def test_ruined_statistics_are_repaired(pair, ruin):
    net, x = stack(*PAIRS[pair]), data(30, 3)
    for layer in norms(net):
        layer.running_mean.fill_(ruin)
        layer.running_var.fill_(ruin)
    stats = pooled(stack(*PAIRS[pair]), [x])
    reestimate(net, x)
    assert_measured(net, stats)
    assert net(x).isfinite().all()


# --- frozen layers --------------------------------------------------------------------------------


def test_frozen_layers_keep_their_statistics_and_are_named():
    net = stack()
    net[1].eval()
    before = everything(net[1])
    with pytest.warns(UserWarning, match=r"left as they are.*taken for frozen: 1$"):
        reestimate(net, data(9, 3))
    assert_same(before, everything(net[1]))
    x = net[3](net[2](net[1](net[0](data(9, 3)))))
    torch.testing.assert_close(net[4].running_mean, x.mean(0))


def test_layers_that_refuse_to_train_are_frozen():
    class Fixed(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    net = stack(Fixed).eval()
    with pytest.warns(UserWarning, match="taken for frozen: 1"):
        reestimate(net, data(9, 3))
    assert net[1].running_mean.eq(0).all()
    only = nn.Sequential(Fixed(3)).double()
    before = everything(only)
    with pytest.raises(ValueError, match=r"nothing to estimate.*net\.eval\(\)"):
        reestimate(only, data(9, 3))
    assert_same(before, everything(only))


def test_a_net_in_evaluation_mode_is_measured_as_a_whole():
    net = stack().eval()
    reestimate(net, data(9, 3))
    assert all(layer.running_mean.any() for layer in norms(net))


def test_a_layer_that_gets_no_data_is_named():
    net = stack()
    net.spare = nn.BatchNorm1d(2)
    net.forward = lambda x: nn.Sequential(*list(net)[:5])(x)
    with pytest.warns(UserWarning, match="no data came to them: spare"):
        reestimate(net, data(9, 3))
    assert torch.equal(net.spare.running_var, torch.ones(2))


# --- errors ---------------------------------------------------------------------------------------


class Fails(nn.Module):
    """Raises at its n-th call."""

    def __init__(self, n):
        super().__init__()
        self.left = n

    def forward(self, x):
        self.left -= 1
        if not self.left:
            raise KeyError("in the middle of a network")
        return x


@pytest.mark.parametrize("pair", PAIRS)
def test_an_error_leaves_everything_as_it_was(pair):
    net = nn.Sequential(OrderedDict(below=stack(*PAIRS[pair]), fails=Fails(3), do=nn.Dropout()))
    net.below[2].eval()
    net.below[1].running_mean.fill_(math.nan)
    before, held = everything(net), [b for m in norms(net) for b in m.buffers()]
    with pytest.raises(KeyError):
        reestimate(net, data(30, 3).split(6))
    assert_same(before, everything(net))
    after = [b for m in norms(net) for b in m.buffers()]
    assert all(a is b for a, b in zip(held, after, strict=True))


@pytest.mark.parametrize(
    ("net", "batches", "error", "message"),
    [
        (nn.Linear(3, 3), data(4, 3), ValueError, "nothing to estimate"),
        (stack(), [], ValueError, "no batch"),
        (stack(), [data(4, 3), data(1, 3)], ValueError, "drop_last"),
        (stack(), [data(4, 3), data(4, 3) / 0], ValueError, "not finite"),
        (stack(), [{"x": data(4, 3)}], TypeError, "got dict; for other batches"),
        (stack(), 3.0, TypeError, "x must be a tensor or an iterable"),
        (nn.BatchNorm1d(3, track_running_stats=False), data(4, 3), ValueError, "keeps running"),
        (nn.BatchNorm1d(3), data(4, 3).float() * 1e25, ValueError, "running_var of .* becomes inf"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(net, batches, error, message):
    before = everything(net)
    with pytest.raises(error, match=message):
        reestimate(net, batches)
    assert_same(before, everything(net))


def test_a_layer_of_another_kind_is_named():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("running_mean", torch.zeros(2))

    with pytest.raises(ValueError, match="inner has statistics, but is no kind that is known"):
        reestimate(nn.Sequential(OrderedDict(inner=Frozen())), data(3, 2))


def test_layers_without_running_statistics_are_no_hindrance():
    net, x = stack(second=lambda d: nn.BatchNorm1d(d, track_running_stats=False)), data(9, 3)
    reestimate(net, x)
    torch.testing.assert_close(net[1].running_mean, net[0](x).mean(0))


def test_a_lazy_layer_takes_shape_and_is_measured():
    net, x = nn.Sequential(nn.LazyBatchNorm1d()), data(9, 3).float()
    reestimate(net, x)
    torch.testing.assert_close(net[0].running_mean, x.mean(0))


def test_half_precision_is_measured_in_float64():
    net, x = nn.BatchNorm1d(1).bfloat16(), (100 + data(4096, 1)).bfloat16()
    reestimate(net, x)
    assert net.running_mean.item() == x.double().mean().bfloat16().item()
    assert net.running_var.item() == x.double().var().bfloat16().item()


def test_noise_is_no_hindrance():
    net, x = NoisyBatchNorm(3), data(9, 3).float()
    reestimate(net, x)
    torch.testing.assert_close(net.running_mean, x.mean(0))
