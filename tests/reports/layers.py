"""Reports about the layer itself, its statistics and its state."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from bnviz.maths.batchnorm import RunningStats, infer
from bnviz.maths.nets import BatchNorm
from bnviz.maths.reestimate import reestimate
from tests.reports.cases import KINDS, case, close, data


@case("pytorch-1206", "running values became NaN while fine-tuning, and stayed so")
def nan_running_values():
    layer = BatchNorm(1)
    layer(torch.tensor([[-1e25], [1e25]]))
    layer(torch.tensor([[-1.0], [1.0]]))
    assert layer.running_var.isfinite().all()
    layer.running_var.fill_(torch.nan)
    reestimate(layer, torch.tensor([[1.0], [3.0]]))
    assert layer.running_var.item() == 2


@case("keras-9646", "finite activations, NaN in the moving variance of a layer")
def huge_activations():
    x = data(8, 2).float() * 1e30
    close(
        BatchNorm(2)(x).detach(),
        nn.BatchNorm1d(2).double()(x.double()).detach(),
        rtol=1e-5,
        atol=1e-5,
    )


@case("pytorch-178123", "squares of 1e30 overflow in float32: zeros on one device, NaN on another")
def squares_overflow():
    x = torch.tensor([[1e30], [-1e30], [3e30]])
    y = BatchNorm(1)(x).detach().flatten()
    v = np.array([1.0, -1.0, 3.0])
    close(y, (v - v.mean()) / v.std(), rtol=1e-5, atol=1e-5)


@case("pytorch-126525", "in float16 the sum of squares overflows although every value is small")
def half_sums():
    x = (data(4000, 1, level=0, spread=20)).half()
    layer, exact = BatchNorm(1, dtype=torch.float16), x.double()
    y = layer(x).double().detach()
    close(y, (exact - exact.mean()) / exact.std(correction=0), rtol=0.01, atol=0.01)
    close(layer.running_var, 0.9 + 0.1 * exact.var(0), rtol=0.01, atol=0.1)


@case("brainchop-cli-56", "float16 values above 256 have squares above the format's end")
def half_squares():
    x = torch.tensor([[300.0], [-400.0], [940.0]]).half()
    y = BatchNorm(1, dtype=torch.float16)(x).detach().flatten()
    v = x.double().flatten()
    close(y, (v - v.mean()) / v.std(correction=0), rtol=5e-3, atol=5e-3)


@case("SparseConvNet-190", "a batch of one put NaN into the running variance")
def batch_of_one():
    for kind in KINDS:
        layer = kind(3)
        with pytest.raises(ValueError, match="1"):
            layer(torch.ones(1, 3))
        assert layer.running_var.eq(1).all()


@case("pytorch-7716", "the last batch of a loader has one row, and training stops in its middle")
def last_batch():
    loader = torch.utils.data.DataLoader(data(7, 3), batch_size=2)
    with pytest.raises(ValueError, match="drop_last"):
        reestimate(BatchNorm(3).double(), loader)
    short = torch.utils.data.DataLoader(data(7, 3), batch_size=2, drop_last=True)
    reestimate(BatchNorm(3).double(), short)


@case("pytorch-15298", "momentum=None was refused")
def momentum_none():
    ours, theirs = BatchNorm(3, momentum=None).double(), nn.BatchNorm1d(3, momentum=None).double()
    for k in range(3):
        ours(data(4, 3, seed=k))
        theirs(data(4, 3, seed=k))
    close(ours.running_var, theirs.running_var)


@case("pytorch-31498", "is momentum=None the plain mean over batches?")
def cumulative_is_the_mean():
    layer, batches = BatchNorm(3, momentum=None).double(), [data(m, 3, seed=m) for m in (2, 9, 5)]
    for x in batches:
        layer(x)
    close(layer.running_mean, torch.stack([x.mean(0) for x in batches]).mean(0))
    close(layer.running_var, torch.stack([x.var(0) for x in batches]).mean(0))


@case("pytorch-lightning-14866", "momentum 0 in place of None: averaged weights, old statistics")
def swa():
    net = nn.Sequential(nn.Linear(3, 4), BatchNorm(4), nn.Linear(4, 2)).double()
    averaged = AveragedModel(net)
    update_bn([data(8, 3), data(8, 3, seed=1)], averaged)
    z = [net[0](data(8, 3, seed=k)).detach() for k in range(2)]
    close(averaged.module[1].running_mean, (z[0].mean(0) + z[1].mean(0)) / 2)
    close(averaged.module[1].momentum, 0.1)


@case("swa-8", "averaging networks left variances below 0: silent NaN in evaluation")
def negative_variance():
    layer = BatchNorm(2).eval()
    layer.running_var[0] = -9.7
    with pytest.raises(ValueError, match=r"running_var holds -9\..*reestimate"):
        layer(torch.ones(1, 2))
    with pytest.raises(ValueError, match="var holds -9"):
        infer(np.ones((1, 1)), *np.array([[1.0], [0.0], [0.0], [-9.7]]))


@case("pytorch-60624", "a mean was put where the variance belongs")
def mean_for_variance():
    layer = BatchNorm(2, affine=False).eval()
    layer.running_var = torch.tensor([-0.1, 0.2])
    with pytest.raises(ValueError, match="must be >= 0"):
        layer(torch.ones(1, 2))


@case("pytorch-8430", "a state dict with, or without, num_batches_tracked does not load")
def tracked_counts():
    theirs, ours = nn.BatchNorm1d(3), BatchNorm(3)
    theirs(data(4, 3).float())
    ours.load_state_dict(theirs.state_dict())
    close(ours.running_mean, theirs.running_mean)
    nn.BatchNorm1d(3).load_state_dict(ours.state_dict())


@case("inplace_abn-130", "no num_batches_tracked in the state of another layer")
def dict_without_metadata():
    nn.BatchNorm1d(3).load_state_dict(dict(BatchNorm(3).state_dict()))


@case("pytorch-110361", "the count of batches after loading decides how much the next one weighs")
def count_after_loading():
    first, again = BatchNorm(2, momentum=None).double(), BatchNorm(2, momentum=None).double()
    for k in range(3):
        first(data(4, 2, seed=k))
    again.load_state_dict(first.state_dict())
    again(data(4, 2, seed=3))
    close(again.running_mean, torch.stack([data(4, 2, seed=k).mean(0) for k in range(4)]).mean(0))


@case("pytorch-7028", "momentum 1, and running_var is not numpy.var: it is unbiased, and no std")
def unbiased():
    x = torch.tensor([[2.0, 15, 2, 1], [2, 17, 2, 1], [-4, -2, -2, -1]])
    for kind in KINDS:
        layer = kind(4, momentum=1.0)
        layer(x)
        close(layer.running_var, [12, 109, 16 / 3, 4 / 3])


@case("pytorch-19902", "the batch is normalised with the biased variance, the running one is not")
def two_variances():
    x, layer = data(3, 2), BatchNorm(2, momentum=1.0).double()
    close(layer(x).detach().var(0, correction=0), [1.0, 1.0], rtol=1e-4, atol=0)
    close(layer.running_var, x.var(0))
    biased = RunningStats(2, momentum=1.0, variance="biased")
    biased.update(x.numpy())
    close(biased.var, x.var(0, correction=0))


@case("pytorch-19916", "momentum 1, and evaluation of the same batch differs from training")
def evaluation_differs():
    x, layer = data(3, 2), BatchNorm(2, momentum=1.0, eps=1e-12).double()
    trained = layer(x).detach()
    close(layer.eval()(x).detach() / trained, torch.full((3, 2), (2 / 3) ** 0.5))


@case(
    "pytorch-100048", "twenty layers, momentum small or 1: evaluation shrinks by a factor in each"
)
def a_chain():
    chain = nn.Sequential(*[BatchNorm(2, eps=1e-12, momentum=1.0) for _ in range(20)]).double()
    x = data(64, 2)
    trained = chain(x).detach()
    ratio = chain.eval()(x).detach() / trained
    # each layer's data have the spread 1, so each running variance is m / (m - 1) of it
    close(
        ratio, torch.full_like(ratio, (63 / 64) ** 0.5 * (63 / 64) ** (19 / 2)), rtol=1e-6, atol=0
    )


@case("nn-transfer-7", "Keras' momentum was taken for PyTorch's")
def conventions():
    keep, new = RunningStats(2, keep=0.9), BatchNorm(2, momentum=1 - 0.9).double()
    for k in range(3):
        keep.update(data(4, 2, seed=k).numpy())
        new(data(4, 2, seed=k))
    close(keep.mean, new.running_mean)


@case("keras-6839", "momentum and decay: which of the two weighs the old value?")
def decay():
    stats = RunningStats(1, keep=0.99, variance="biased")
    stats.update(np.array([[0.0], [4.0]]))
    close(stats.mean, [0.02])
    close(stats.var, [0.99 + 0.01 * 4])


@case("pytorch2keras-70", "0.1 became 1 in conversion")
def a_number_stays():
    assert float(BatchNorm(2, momentum=0.1).momentum) == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"weight of the new value, lies in \[0, 1\]: 1.5"):
        BatchNorm(2, momentum=1.5)


@case("pytorch-20967", "track_running_stats=False, assigned later, was ignored")
def assigned_later():
    for kind in KINDS:
        layer = kind(3).double()
        layer.track_running_stats = False
        layer(data(4, 3))
        assert layer.running_mean.eq(0).all()


@case("pytorch-5406", "training and evaluation give different outputs: is that a fault?")
def modes_differ():
    x, layer = data(32, 3), BatchNorm(3).double()
    expected = x / (1 + 1e-5) ** 0.5
    close(layer.eval()(x).detach(), expected)
    close(layer.train()(x).detach().mean(0), [0, 0, 0])


@case("apex-133", "affine=False breaks when the network is cast")
def cast_without_affine():
    layer = BatchNorm(3, affine=False).half()
    assert layer(data(8, 3).half()).dtype == torch.float16


@case("pytorch-10856", "stop the statistics, but let gamma and beta learn")
def gradients_in_evaluation():
    layer, twin = BatchNorm(3).double().eval(), nn.BatchNorm1d(3).double().eval()
    for net in (layer, twin):
        net(data(4, 3)).square().sum().backward()
    close(layer.weight.grad, twin.weight.grad)
    assert layer.running_mean.eq(0).all()


@case("pytorch-86590", "requires_grad=False does not stop running statistics; nor does no_grad")
def still_moving():
    for kind in KINDS:
        layer = kind(3).double().requires_grad_(False)
        with torch.no_grad():
            layer(data(4, 3))
        close(layer.running_mean, 0.1 * data(4, 3).mean(0))


@case("torch-nn-768", "gradients in evaluation used the batch's statistics")
def constant_statistics():
    layer, x = BatchNorm(2).double().eval(), data(3, 2).requires_grad_()
    layer.running_var.fill_(4.0)
    layer(x).sum().backward()
    close(x.grad, torch.full((3, 2), 1 / (4 + 1e-5) ** 0.5))


@case("tensorflow-30230", "n / (n - 1) in float16: both numbers round, or overflow")
def many_values_in_half():
    x = data(70000, 1, level=0, spread=1).half()
    layer = BatchNorm(1, momentum=1.0, dtype=torch.float16)
    layer(x)
    close(layer.running_var, x.double().var(0), rtol=2e-3, atol=0)


@case("coreai-torch-54", "a running variance above 65504 became infinite in float16: outputs 0")
def variance_beyond_half():
    x = (1000 * data(64, 1, level=0, spread=1)).half()
    layer = BatchNorm(1, momentum=1.0, dtype=torch.float16)
    layer(x)
    assert layer.running_var.isfinite().all()
    assert layer.eval()(x).any()
    with pytest.raises(ValueError, match=r"running_var .* inf in torch\.float16"):
        reestimate(layer, x)


@case("swa-15", "does evaluating an averaged network tamper with the one that trains?")
def copies_are_apart():
    net = nn.Sequential(BatchNorm(2)).double()
    other = copy.deepcopy(net)
    reestimate(other, data(8, 2))
    assert net[0].running_mean.eq(0).all()
    assert net.training


@case("tvm-12590", "a negative eps was taken, and gave nonsense")
def negative_eps():
    for eps in (-1.0, 0):
        with pytest.raises(ValueError, match="eps must be > 0"):
            BatchNorm(2, eps=eps)
        with pytest.raises(ValueError, match="above 0"):
            infer(np.ones((1, 1)), *np.array([[1.0], [0.0], [0.0], [1.0]]), eps)


@case("zennit-240", "eps was set to 0 on an existing layer, to make an identity of it")
def eps_assigned():
    layer = BatchNorm(2)
    with pytest.raises(ValueError, match="eps must be > 0"):
        layer.eps = 0
    layer.running_var.fill_(0.5)
    layer.eps = 0.5
    x = data(3, 2).float()
    close(layer.eval()(x).detach(), x)
