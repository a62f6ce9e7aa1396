"""Reports about what people do to a layer or a network: hooks, folding, freezing, checking."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from bnviz.maths import broken, checks, gradcheck
from bnviz.maths.data import digits
from bnviz.maths.fold import fold
from bnviz.maths.nets import MLP, BatchNorm
from bnviz.maths.record import ActivationRecorder, inputs_of
from bnviz.maths.reestimate import reestimate
from bnviz.maths.train import train
from tests.reports.cases import case, close, data


@case("pytorch-4741", "evaluation is far worse than training: measure the statistics anew")
def measured_anew():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), BatchNormMixed()).double()
    reestimate(net, data(50, 3))
    close(net[1].running_var, net[0](data(50, 3)).var(0).detach())


class BatchNormMixed(BatchNorm):
    """The book's layer, in a network with PyTorch's."""

    def __init__(self):
        super().__init__(4)


@case("pytorch-4741 b", "an error in the middle of measuring leaves half of the layers moved")
def error_in_the_middle():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(4, 2), BatchNorm(2)).double()
    with pytest.raises(RuntimeError):
        reestimate(net, data(5, 3))
    assert net[0].running_mean.eq(0).all()
    assert net[0].num_batches_tracked == 0
    assert net.training


@case("pytorch-66073", "a later net.train() wakes what was frozen")
def frozen():
    net = MLP((64, 8, 8, 10), norm=True)
    net.layers[0].norm.eval()
    train(net, digits(), steps=2, batch_size=8, lr=0.1)
    assert net.layers[0].norm.running_mean.eq(0).all()
    assert net.layers[1].norm.running_mean.any()


@case("pytorch-66073 b", "what a recorder noted for a layer belonged to the next one")
def frozen_rows():
    net = nn.Sequential(*[nn.BatchNorm1d(2) for _ in range(3)])
    net[1].eval()
    with ActivationRecorder(net) as recorder, inputs_of(net) as seen:
        net(data(8, 2).float())
    close(recorder.stack("std")[0], torch.stack([v.std(correction=0) for v in seen]).detach())


@case("mmdetection-346", "frozen=True stops gradients, norm_eval statistics: two different things")
def two_ways_to_freeze():
    net = MLP((64, 8, 10), norm=True)
    net.layers[0].norm.requires_grad_(False)
    train(net, digits(), steps=2, batch_size=8, lr=0.1)
    assert net.layers[0].norm.running_mean.any()
    assert net.layers[0].norm.weight.eq(1).all()


@case("pytorch-deeplab-resnet-39", "a BN frozen by hand: is its mean measured anew with the rest?")
def frozen_and_measured():
    net = nn.Sequential(nn.BatchNorm1d(2).eval(), nn.BatchNorm1d(2)).double()
    with pytest.warns(UserWarning, match="taken for frozen: 0"):
        reestimate(net, data(8, 2))
    assert net[0].running_mean.eq(0).all()


@case("pytorch-95617", "a hook on an in-place ReLU sees what the ReLU left")
def in_place():
    relu = nn.ReLU(inplace=True)
    with inputs_of([relu]) as seen:
        relu(torch.tensor([1.25, -4.5]))
    close(seen[0], [1.25, -4.5])


@case("captum-156", "the activation of a layer is overwritten by the in-place ReLU behind it")
def overwritten_behind():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3))
    x = torch.randn(1, 3, 7, 7)
    with torch.no_grad(), inputs_of([net[1], net[2]]) as seen:
        net(x)
        close(seen[0], net[0](x))
        close(seen[1], net[0](x).relu())


@case("yolov5-1630", "several passes for one step: batches are counted, not steps")
def accumulated():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with ActivationRecorder([net[1]], every=2) as recorder:
        for k in range(16):
            net(data(4, 2, seed=k).float()).sum().backward()
            if k % 4 == 3:
                optimizer.step()
    assert recorder.stack("mean").shape == (2, 1)


@case("yolov3-807", "a wrapped layer has no weight of its own to fold into")
def wrapped():
    layer = parametrizations.weight_norm(nn.Linear(3, 4)).double().eval()
    bn = nn.BatchNorm1d(4).double()
    bn(data(9, 4))
    x = data(5, 3)
    close(fold(layer, bn.eval())(x).detach(), bn(layer(x)).detach())


def folded(layer: nn.Module, channels: int) -> None:
    bn = nn.BatchNorm2d(channels).double()
    bn(data(3, channels, 4, 4))
    nn.init.uniform_(bn.weight, -2, 2)
    layer, bn, x = layer.double().eval(), bn.eval(), data(2, layer.in_channels, 5, 5, seed=1)
    close(fold(layer, bn)(x).detach(), bn(layer(x)).detach())


@case("pytorch-180995", "grouped transposed convolutions: a size mismatch, or wrong in silence")
def grouped_transposed():
    folded(nn.ConvTranspose2d(4, 4, 3, padding=1, groups=2, bias=False), 4)


@case("ultralytics-25364", "a transposed convolution was scaled along its inputs")
def transposed():
    for groups in (1, 3, 6):
        folded(nn.ConvTranspose2d(6, 6, 2, stride=2, groups=groups), 6)


@case("executorch-22517", "unequal numbers of channels in grouped transposed convolutions")
def unequal():
    folded(nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, groups=2), 6)


@case("LeViT-22", "the new layer was made with too few input channels for its groups")
def grouped():
    folded(nn.Conv2d(8, 16, 3, padding=1, groups=4), 16)


@case("mmpose-606", "folded from the wrong place: numbers of channels fit, the function does not")
def wrong_place():
    with pytest.raises(ValueError, match="right before it"):
        fold(nn.Conv2d(2, 3, 1).eval(), nn.BatchNorm2d(4).eval())
    with pytest.raises(ValueError, match="evaluation mode"):
        fold(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4).eval())


@case("Odyssey-3174", "the sum of the outputs as a loss: the right gradient is refused")
def sum_as_loss():
    x = data(6, 3).numpy()

    def bn(v):
        return (v - v.mean(0)) / np.sqrt(v.var(0) + 1e-5)

    for floor in (0.0, 1.0):
        with pytest.raises(AssertionError, match="random numbers for dy"):
            gradcheck.check(lambda v: bn(v).sum(), x, np.zeros((6, 3)), floor=floor)


def named(normalise) -> dict[str, str]:
    """What the checks say of a layer with another line in the middle."""
    kind = type("Changed", (broken.Right,), {"normalise": normalise})
    return checks.explain(kind)


@case("discuss.pytorch-51877", "eps behind the quotient: always a little bit different")
def eps_behind():
    found = named(lambda self, x, mean, var: (x - mean) / var.sqrt() + self.eps)
    assert "added to the quotient" in found["small variances show eps"]


@case("pytorch-1804", "the documented formula had eps beside the root")
def eps_outside():
    found = named(lambda self, x, mean, var: (x - mean) / (var.sqrt() + self.eps))
    assert "added to the root" in found["small variances show eps"]


@case("pytorch-25244", "evaluation by hand without eps: outputs differ where variances are small")
def no_eps():
    found = named(lambda self, x, mean, var: (x - mean) / var.sqrt())
    assert "there is no eps" in found["small variances show eps"]
    assert "sqrt(running_var + eps)" in found["evaluation normalises with the running values"]


@case("Synchronized-BatchNorm-PyTorch-43", "sqrt(max(var, eps)) was called compatible")
def floor_under_variance():
    found = named(lambda self, x, mean, var: (x - mean) / var.clamp(min=self.eps).sqrt())
    assert "a floor under the variance" in found["small variances show eps"]


@case("chainer-4505", "eps was added twice in evaluation")
def eps_twice():
    def normalise(self, x, mean, var):
        return (x - mean) / (var + (1 if self.training else 2) * self.eps).sqrt()

    assert list(named(normalise)) == ["evaluation normalises with the running values"]


@case("discuss.pytorch-177382", "by hand with tensor.var(), which is unbiased: off by up to 7e-4")
def unbiased_by_hand():
    class Unbiased(broken.Right):
        def statistics(self, x):
            return x.mean(0), x.var(0)

    assert "var_B divided by m" in checks.explain(Unbiased)["each feature is normalised"]


@case("discuss.pytorch-96889", "one mean and one variance for all channels")
def one_for_all():
    assert "of each column" in checks.explain(broken.OneScalar)["each feature is normalised"]


@case("discuss.pytorch-139598", "folded numbers compared with a layer in training mode")
def folded_in_training():
    with pytest.raises(ValueError, match="evaluation mode"):
        fold(nn.Conv2d(3, 3, 1).eval(), nn.BatchNorm2d(3))


@case("swa-10", "one epoch to measure in: every batch, or every value, should count the same")
def pooled():
    batches, layer = [data(m, 2, seed=m) for m in (2, 30)], nn.BatchNorm1d(2).double()
    reestimate(layer, batches)
    close(layer.running_mean, torch.cat(batches).mean(0))
    within = sum((x - x.mean(0)).square().sum(0) for x in batches) / (1 + 29)
    close(layer.running_var, within)


@case("keras-swa-2", "old moving values were mixed into the new ones")
def nothing_left_of_the_old():
    layers = [nn.BatchNorm1d(2).double() for _ in range(2)]
    layers[1].running_mean.fill_(1e6)
    for layer in layers:
        reestimate(layer, [data(4, 2), data(4, 2, seed=1)])
    close(layers[0].running_mean, layers[1].running_mean)


@case("composer-624", "averaged weights were evaluated with statistics of other weights")
def other_weights():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).double()
    reestimate(net, data(50, 2))
    with torch.no_grad():
        net[0].weight.mul_(3)
    reestimate(net, data(50, 2))
    close(net[1].running_mean, net[0](data(50, 2)).mean(0).detach())


@case("singd-56", "gradients are asked for at the input of an in-place activation")
def gradients_and_in_place():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Linear(3, 1))
    with inputs_of([net[0], net[2]]) as seen:
        loss = net(data(4, 2).float()).sum()
    (gradient,) = torch.autograd.grad(loss, seen[1])
    close(gradient, net[2].weight.detach().expand(4, 3))
