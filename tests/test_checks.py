"""bnviz.maths.checks: right layers of any style pass, and a nearly right one fails at its line."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bnviz.maths import broken
from bnviz.maths.checks import CHECKS, LINES, explain, failures
from bnviz.maths.nets import BatchNorm

# --- right ones -----------------------------------------------------------------------------------


class Functional(nn.Module):
    """PyTorch's function, and the running values as plain buffers."""

    def __init__(self, d, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma, self.beta = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))
        self.register_buffer("moving_mean", torch.zeros(d))
        self.register_buffer("moving_var", torch.ones(d))

    def forward(self, x):
        running, rest = (self.moving_mean, self.moving_var), (self.training, self.momentum)
        return F.batch_norm(x, *running, self.gamma, self.beta, *rest, self.eps)


class ByHand(torch.autograd.Function):
    """Forward and backward in NumPy, the latter written out by hand."""

    @staticmethod
    def forward(ctx, x, gamma, beta, eps):
        v = x.numpy()
        ctx.x_hat, ctx.inv = (v - v.mean(0)) / np.sqrt(v.var(0) + eps), 1 / np.sqrt(v.var(0) + eps)
        ctx.gamma = gamma.detach().numpy()
        return torch.from_numpy(ctx.gamma * ctx.x_hat + beta.detach().numpy())

    @staticmethod
    def backward(ctx, dy):
        dy = dy.numpy()
        dgamma, dbeta = (dy * ctx.x_hat).sum(0), dy.sum(0)
        dx = ctx.gamma * ctx.inv * (dy - (dbeta + ctx.x_hat * dgamma) / len(dy))
        return *map(torch.from_numpy, (dx, dgamma, dbeta)), None


class WithNumpy(nn.Module):
    backward_pass = ByHand

    def __init__(self, d, momentum=0.1):
        super().__init__()
        self.momentum = momentum
        self.weight, self.bias = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))
        self.register_buffer("running_mean", torch.zeros(d))
        self.register_buffer("running_var", torch.ones(d))

    def forward(self, x):
        if not self.training:
            scale = self.weight / (self.running_var + 1e-5).sqrt()
            return (x - self.running_mean) * scale + self.bias
        if len(x) < 2:
            raise ValueError("one example")
        with torch.no_grad():
            self.running_mean.lerp_(x.mean(0), self.momentum)
            self.running_var.lerp_(x.var(0), self.momentum)
        return self.backward_pass.apply(x, self.weight, self.bias, 1e-5)


class Einsum(nn.Module):
    """Momentum only as an attribute; sums as contractions."""

    def __init__(self, num_features):
        super().__init__()
        self.momentum = 0.1
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            m = x.shape[0]
            if m == 1:
                raise ValueError("one example")
            mean = torch.einsum("md->d", x) / m
            var = torch.einsum("md,md->d", x - mean, x - mean) / m
            for name, new in (("mean", mean), ("var", var * m / (m - 1))):
                held = getattr(self, f"running_{name}")
                held.copy_(held * (1 - self.momentum) + self.momentum * new.detach())
        return torch.einsum("md,d->md", x - mean, (var + 1e-5).rsqrt())


class Sub(nn.BatchNorm1d):
    """A subclass that counts its calls."""

    calls = 0

    def forward(self, input):
        self.calls += 1
        return super().forward(input)


RIGHT = {
    "torch": nn.BatchNorm1d,
    "torch, momentum in a lambda": lambda d, momentum=0.1: nn.BatchNorm1d(d, momentum=momentum),
    "torch without gamma": lambda d, **options: nn.BatchNorm1d(d, affine=False, **options),
    "torch without beta": lambda d, **options: nn.BatchNorm1d(d, bias=False, **options),
    "torch of one momentum": lambda d: nn.BatchNorm1d(d),
    "momentum by place": lambda d, share=0.1: nn.BatchNorm1d(d, momentum=share),
    "synchronised": nn.SyncBatchNorm,
    "ours": BatchNorm,
    "ours without gamma": lambda d, **options: BatchNorm(d, affine=False, **options),
    "broken's right one": broken.Right,
    "functional": Functional,
    "by hand in NumPy": WithNumpy,
    "einsum": Einsum,
    "subclass": Sub,
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_passes_whatever_its_style(name):
    assert failures(RIGHT[name]) == []
    assert explain(RIGHT[name]) == {}


# --- wrong ones -----------------------------------------------------------------------------------


class Plain(broken.Right):
    """What the wrong ones below change a line of."""


class NoEps(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / torch.sqrt(var)


class EpsOutside(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / (torch.sqrt(var) + self.eps)


class EpsAfter(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / torch.sqrt(var) + self.eps


class Clamped(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / torch.sqrt(var.clamp(min=self.eps))


class EpsSquared(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / torch.sqrt(var + self.eps**2)


class LargeEps(Plain):
    def __init__(self, features, momentum=0.1, eps=1e-3):
        super().__init__(features, momentum, eps)


class NoRoot(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / (var + self.eps)


class NoEpsInEvaluation(Plain):
    def normalise(self, x, mean, var):
        return (x - mean) / torch.sqrt(var + (self.eps if self.training else 0))


class VarianceDetached(Plain):
    def statistics(self, x):
        mean, var = super().statistics(x)
        return mean, var.detach()


class MeanDetached(Plain):
    def statistics(self, x):
        mean, var = super().statistics(x)
        return mean.detach(), var


class OnlyCentred(Plain):
    def normalise(self, x, mean, var):
        return x - mean


class OnlyScaled(Plain):
    def normalise(self, x, mean, var):
        return x / torch.sqrt(var + self.eps)


class SquareOfMean(Plain):
    """E[x^2] instead of E[x^2] - E[x]^2."""

    def statistics(self, x):
        return x.mean(0), (x**2).mean(0)


class UnbiasedInBatch(Plain):
    def statistics(self, x):
        return x.mean(0), x.var(0)

    def update(self, mean, var, m):
        self.move(mean, var, self.momentum)


class BiasedRunning(Plain):
    def update(self, mean, var, m):
        self.move(mean, var, self.momentum)


class UnbiasedTwice(Plain):
    def update(self, mean, var, m):
        super().update(mean, var * m / (m - 1), m)


class NotUnderNoGrad(Plain):
    def move(self, mean, var, weight):
        if torch.is_grad_enabled():
            super().move(mean, var, weight)


class MeanAlone(Plain):
    """The running variance never moves."""

    def move(self, mean, var, weight):
        super().move(mean, self.running_var, weight)


class VarianceMomentumFlipped(Plain):
    def move(self, mean, var, weight):
        kept = self.running_mean + weight * (mean - self.running_mean)
        super().move(mean, var, 1 - weight)
        self.running_mean = kept


class LastBatch(Plain):
    def move(self, mean, var, weight):
        super().move(mean, var, 1.0)


class StartsAtZero(Plain):
    def __init__(self, features, momentum=0.1, eps=1e-5):
        super().__init__(features, momentum, eps)
        self.running_var.zero_()


class RunningStd(Plain):
    """It keeps a standard deviation under the name of a variance, consistently."""

    def update(self, mean, var, m):
        self.move(mean, (var * m / (m - 1)).sqrt(), self.momentum)

    def normalise(self, x, mean, var):
        return super().normalise(x, mean, var if self.training else var**2)


class StdInEvaluation(Plain):
    """The running variance is taken for a standard deviation."""

    def normalise(self, x, mean, var):
        return (x - mean) / (torch.sqrt(var + self.eps) if self.training else var + self.eps)


class ForgetsMeanInEvaluation(Plain):
    def normalise(self, x, mean, var):
        return super().normalise(x, mean if self.training else 0, var)


class KeepsGraph(Plain):
    def forward(self, x):
        if not self.training:
            return super().forward(x)
        self.check(x)
        mean, var = self.statistics(x)
        self.update(mean, var, len(x))
        return self.normalise(x, mean, var)


class PerExample(Plain):
    """Layer normalisation: the statistics of a row."""

    def normalise(self, x, mean, var):
        return F.layer_norm(x, x.shape[1:])


class Affine(Plain):
    def __init__(self, features, momentum=0.1, eps=1e-5):
        super().__init__(features, momentum, eps)
        self.gamma = nn.Parameter(torch.ones(features))
        self.beta = nn.Parameter(torch.zeros(features))

    def normalise(self, x, mean, var):
        return self.gamma * super().normalise(x, mean, var) + self.beta


class GammaAlongExamples(Affine):
    def normalise(self, x, mean, var):
        x_hat = Plain.normalise(self, x, mean, var)
        fits = len(x) == len(self.gamma)
        return self.gamma[:, None] * x_hat + self.beta[:, None] if fits else x_hat


class BetaFirst(Affine):
    def normalise(self, x, mean, var):
        return self.gamma * (Plain.normalise(self, x, mean, var) + self.beta)


class BetaForgotten(Affine):
    def normalise(self, x, mean, var):
        return self.gamma * Plain.normalise(self, x, mean, var)


class OneGamma(Affine):
    def normalise(self, x, mean, var):
        return self.gamma[0] * Plain.normalise(self, x, mean, var) + self.beta[0]


class GammaStartsAtZero(Affine):
    def __init__(self, features, momentum=0.1, eps=1e-5):
        super().__init__(features, momentum, eps)
        nn.init.zeros_(self.gamma)


def with_backward(change):
    """A layer with a hand-written backward pass that is changed."""

    class Changed(ByHand):
        @staticmethod
        def backward(ctx, dy):
            dx, dgamma, dbeta, _ = ByHand.backward(ctx, dy)
            return *change(ctx, dy, dx, dgamma, dbeta), None

    return type("Changed", (WithNumpy,), {"backward_pass": Changed})


NoVarianceRoad = with_backward(
    lambda c, dy, dx, dg, db: ((dy - dy.mean(0)) * torch.from_numpy(c.gamma * c.inv), dg, db)
)
NoInverse = with_backward(lambda c, dy, dx, dg, db: (dx / torch.from_numpy(c.inv), dg, db))
MeanOfGamma = with_backward(lambda c, dy, dx, dg, db: (dx, dg / len(dy), db))
BetaOfXHat = with_backward(lambda c, dy, dx, dg, db: (dx, dg, dg))

EPS, VARIANCE = "small variances show eps", "the running variance is pytorchs"
FORMULA, INFERENCE = "each feature is normalised", "evaluation normalises with the running values"
OUTPUTS, BELONG = "the gradient is that of the outputs", "gamma and beta belong to features"
# class -> the check that must find it, and words of the line that it must name
WRONG = {
    NoEps: (EPS, "there is no eps"),
    EpsOutside: (EPS, "added to the root, not under it"),
    EpsAfter: (EPS, "under the root. Here eps is added to the quotient"),
    Clamped: (EPS, "a floor under the variance"),
    EpsSquared: (EPS, "eps is squared"),
    LargeEps: (EPS, "eps is 1e-3, not 1e-5"),
    NoRoot: (EPS, "the variance is not under a root"),
    NoEpsInEvaluation: (INFERENCE, "sqrt(running_var + eps)"),
    VarianceDetached: ("the gradient knows the variance", "the road through var_B"),
    MeanDetached: ("the gradient knows the statistics", "the road through mu_B"),
    OnlyCentred: (FORMULA, "/ sqrt(var_B + eps)"),
    OnlyScaled: (FORMULA, "(x - mu_B)"),
    SquareOfMean: (FORMULA, "mu_B, var_B of each column"),
    UnbiasedInBatch: (FORMULA, "var_B divided by m"),
    BiasedRunning: (VARIANCE, "m / (m - 1) var_B"),
    UnbiasedTwice: (VARIANCE, "m / (m - 1) var_B"),
    NotUnderNoGrad: ("running values move without gradients", "under no_grad too"),
    MeanAlone: (VARIANCE, "running_var <- (1 - momentum) running_var + momentum"),
    VarianceMomentumFlipped: (VARIANCE, "(1 - momentum) running_var"),
    broken.FlippedMomentum: ("the running mean is pytorchs", "(1 - momentum) running_mean"),
    LastBatch: ("the running mean is pytorchs", "+ momentum mu_B"),
    StartsAtZero: (VARIANCE, "from 1 on"),
    RunningStd: (VARIANCE, "var_B"),
    StdInEvaluation: (INFERENCE, "a variance under the root"),
    ForgetsMeanInEvaluation: (INFERENCE, "(x - running_mean)"),
    KeepsGraph: ("running values move without gradients", "keep no graph"),
    PerExample: (FORMULA, "of each column"),
    GammaAlongExamples: (BELONG, "one number of each per feature"),
    BetaFirst: (BELONG, "y = gamma x_hat + beta"),
    BetaForgotten: (BELONG, "+ beta"),
    OneGamma: (BELONG, "per feature"),
    GammaStartsAtZero: (BELONG, "at first 1 and 0"),
    NoVarianceRoad: ("the gradient knows the variance", "the road through var_B"),
    NoInverse: (OUTPUTS, "dx = gamma / sqrt(var_B + eps)"),
    MeanOfGamma: (OUTPUTS, "dgamma"),
    BetaOfXHat: (OUTPUTS, "dbeta"),
    broken.DetachedStatistics: ("the gradient knows the statistics", "mu_B"),
    broken.OneScalar: (FORMULA, "of each column"),
    broken.TestBatch: ("an answer does not depend on batch mates", "in place of mu_B and var_B"),
    broken.AlwaysTraining: ("evaluation changes nothing", "move in training only"),
    broken.NotSaved: ("the state survives saving", "part of the state"),
    broken.MixedVariances: (FORMULA, "var_B divided by m"),
    broken.RowBuffers: ("the shapes are pytorchs", "vectors"),
    broken.TakesOne: ("a batch of one is refused", "m >= 2"),
}
NAMES = {
    NoVarianceRoad: "NoVarianceRoad",
    NoInverse: "NoInverse",
    MeanOfGamma: "MeanOfGamma",
    BetaOfXHat: "BetaOfXHat",
}


def test_what_the_wrong_ones_change_is_right():
    assert failures(Plain) == failures(Affine) == []
    assert failures(with_backward(lambda c, dy, *gradients: gradients)) == []
    assert len(WRONG) >= 25


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: NAMES.get(kind, kind.__name__))
def test_a_nearly_right_layer_is_found_and_its_line_is_named(kind):
    check, words = WRONG[kind]
    found = explain(kind)
    assert list(found) == failures(kind)
    assert check in found
    assert words in found[check]


def test_one_mistake_is_not_found_everywhere():
    """A check that fails for everything would say nothing: each wrong line has few of them."""
    for kind in (VarianceDetached, BiasedRunning, NotUnderNoGrad, BetaForgotten):
        assert len(failures(kind)) <= 2, kind


def test_every_check_has_its_line_and_finds_something():
    assert LINES.keys() == CHECKS.keys()
    assert all(line.endswith(".") for line in LINES.values())
    found = set().union(*(failures(kind) for kind in WRONG))
    assert found == set(CHECKS)


def test_what_breaks_down_fails():
    assert failures(lambda d: nn.Identity()) != []
    with pytest.raises(TypeError, match="called with the number of features"):
        failures(lambda d: None)
