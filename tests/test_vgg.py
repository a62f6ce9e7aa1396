"""VGG at small width: shapes, start, and a training on made-up photos."""

import pytest
import torch
from torch import nn

from bnviz.experiments import get, vgg
from bnviz.maths.data import Split
from bnviz.maths.vgg import VGG

SMALL = 1 / 16


def photos(n=64):
    """Made up: the class is the channel that is brighter."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = 0.5 * torch.randn(n, 3, 32, 32, generator=generator)
    x[torch.arange(n), y] += 1.0
    return Split(x, y, x, y)


@pytest.mark.parametrize(("norm", "layers"), [(False, 0), (True, 8)])
def test_bn_stands_between_convolution_and_relu(norm, layers):
    net = VGG(norm=norm, width=SMALL)
    kinds = [type(module) for module in net.features]
    assert kinds.count(nn.BatchNorm2d) == layers
    for k, kind in enumerate(kinds):
        if kind is nn.Conv2d:
            assert kinds[k + 1] is (nn.BatchNorm2d if norm else nn.ReLU)
            assert (net.features[k].bias is None) is norm
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_full_width_is_vgg_11():
    """9,231,114 parameters are published for configuration A with BN, a bias in every convolution
    and a linear head of 10 classes; 5,504 of them are BN's."""
    features = sum(p.numel() for p in VGG().features.parameters())
    assert features + 512 * 10 + 10 == 9_231_114 - 5_504
    shapes = [m.weight.shape[:2] for m in VGG().features if isinstance(m, nn.Conv2d)]
    assert [tuple(s) for s in shapes] == [
        (64, 3), (128, 64), (256, 128), (256, 256), (512, 256), (512, 512), (512, 512), (512, 512),
    ]  # fmt: skip


def test_the_start_is_hes_and_the_seed_decides_it():
    net = VGG(norm=True, width=0.25)
    state, again, other = net.start(0), net.start(0), net.start(1)
    for name, w in state.items():
        assert torch.equal(w, again[name])
        if w.ndim >= 2:
            assert not torch.equal(w, other[name])
            gain = 1 if name == "head.4.weight" else 2
            n = w.numel()  # the spread of a variance of n normal numbers is sqrt(2 / n)
            assert w.var() * w[0].numel() / gain == pytest.approx(1, abs=5 * (2 / n) ** 0.5)
    assert net.start(0, gain=0.5)["features.0.weight"].equal(0.5 * state["features.0.weight"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VGG(width=0.0), "width must be a finite number > 0"),
        (lambda: VGG(classes=1), "classes must be at least 2"),
        (lambda: VGG(width=SMALL)(torch.zeros(2, 3, 28, 28)), r"x must be \(m, 3, 32, 32\)"),
        (lambda: VGG(width=SMALL).start(-1), "seed"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("norm", [False, True])
def test_a_slice_of_the_contest_learns_made_up_photos(norm):
    cell = {"norm": norm, "width": SMALL, "device": "cpu", "seed": 0, "lr": 0.1}
    data = (photos(), photos())
    found = vgg.scores(vgg.network(cell), data, cell, [1, 120], batch=16)
    assert found["validation"] == found["test"]
    assert found["test"][1] > 0.8


def test_a_run_that_diverges_guesses():
    cell = {"norm": False, "width": SMALL, "device": "cpu", "seed": 0, "lr": 1e4}
    found = vgg.scores(vgg.network(cell), (photos(), photos()), cell, [1, 20, 40], batch=16)
    assert found["test"][-1] == vgg.GUESSING
    assert len(found["test"]) == 3


def test_options_reach_the_cells():
    from bnviz.experiments.__main__ import with_options

    contest = with_options(get("vgg-tuned"), {"width": 0.5})
    assert {(c["width"], c["device"]) for c in contest.tuning_cells()} == {(0.5, "cpu")}
    with pytest.raises(ValueError, match="depth has no option 'width'; it has: none"):
        with_options(get("depth"), {"width": 0.5})
