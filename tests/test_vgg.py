"""VGG at small width: shapes, start, and a training on made-up photos."""

import copy

import pytest
import torch
from torch import nn

from bnviz.experiments import get, vgg, vgg_changes, vgg_landscape, vgg_planes
from bnviz.maths.data import Split
from bnviz.maths.nin import NIN
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
    # A plain VGG sits at chance for a while; processors differ in when it leaves. In 12 runs of
    # three seeds, two rates and two ways to round, all had learned everything after 180 steps.
    cell = {"norm": norm, "width": SMALL, "device": "cpu", "seed": 0, "lr": 0.03}
    data = (photos(), photos())
    found = vgg.scores(vgg.network(cell), data, cell, [1, 240], batch=16)
    assert found["validation"] == found["test"]
    assert found["test"][1] > 0.8


def test_a_run_that_diverges_guesses():
    cell = {"norm": False, "width": SMALL, "device": "cpu", "seed": 0, "lr": 1e4}
    found = vgg.scores(vgg.network(cell), (photos(), photos()), cell, [1, 20, 40], batch=16)
    assert found["test"][-1] == vgg.GUESSING
    assert len(found["test"]) == 3


def test_options_reach_the_cells():
    from bnviz.experiments.__main__ import with_options

    contest = with_options(vgg.CONTESTS[0], {"width": 0.5})
    assert {(c["width"], c["device"]) for c in contest.tuning_cells()} == {(0.5, "cpu")}
    with pytest.raises(ValueError, match="depth has no option 'width'; it has: none"):
        with_options(get("depth"), {"width": 0.5})


# --- Network in Network ------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "layers"), [(False, 0), (True, 8)])
def test_nin_averages_one_map_for_each_class(norm, layers):
    """Nine convolutions; the last one has no BN, and its maps' means are the logits."""
    net = NIN(norm=norm, width=SMALL)
    assert sum(isinstance(m, nn.Conv2d) for m in net.features) == 9
    assert sum(isinstance(m, nn.BatchNorm2d) for m in net.features) == layers
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = net.eval().features(x)
    assert maps.shape == (3, 10, 8, 8)
    torch.testing.assert_close(net(x), maps.mean((2, 3)))


# --- what is measured on them ------------------------------------------------------------------


def point(norm=True):
    data = photos()
    cell = {"norm": norm, "width": SMALL, "device": "cpu", "seed": 0}
    return vgg_landscape.Point(vgg.network(cell), data.x_train[:32], data.y_train[:32], 0.05)


def test_measuring_leaves_no_trace():
    here = point()
    before = {k: v.clone() for k, v in here.net.state_dict().items()}
    vgg_landscape.along_gradient(here)
    vgg_landscape.stale(here)
    for name, value in here.net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_loss_along_the_gradient_is_that_of_networks_that_took_the_step():
    """An independent way: copies of the network, moved by PyTorch's optimiser."""
    here = point()
    found = vgg_landscape.along_gradient(here)
    losses, gradients = [], []
    for ratio in (0.0, *vgg_landscape.RATIOS):
        net = copy.deepcopy(here.net).train()
        nn.functional.cross_entropy(net(here.x), here.y).backward()
        torch.optim.SGD(net.parameters(), lr=ratio * here.lr).step()
        net.zero_grad()
        loss = nn.functional.cross_entropy(net(here.x), here.y)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    change = torch.stack([(g - gradients[0]).norm() for g in gradients[1:]])
    assert found["loss"] == pytest.approx(losses[0], rel=1e-4)
    assert found["range"] == pytest.approx(max(losses[1:]) - min(losses[1:]), rel=1e-3)
    assert found["relative_change"] == pytest.approx(
        (change.max() / gradients[0].norm()).item(), rel=1e-3
    )
    far = torch.tensor(vgg_landscape.RATIOS) * here.lr * gradients[0].norm()
    assert found["beta"] == pytest.approx((change / far).max().item(), rel=1e-3)


def test_gradients_go_stale_above_what_moves():
    """G' of the second convolution, by hand: only the first one and its BN take the step."""
    here = point()
    found = vgg_landscape.stale(here)
    net = copy.deepcopy(here.net).train()
    nn.functional.cross_entropy(net(here.x), here.y).backward()
    second = net.features[4]
    before = second.weight.grad.clone()
    below = [*net.features[0].parameters(), *net.features[1].parameters()]
    torch.optim.SGD(below, lr=here.lr).step()
    net.zero_grad()
    nn.functional.cross_entropy(net(here.x), here.y).backward()
    expected = ((second.weight.grad - before).norm() / before.norm()).item()
    assert found["stale"][0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("net", vgg_landscape.NETS)
def test_a_slice_of_the_landscape_runs_on_made_up_photos(net):
    cell = {"net": net, "seed": 0, "rate": 0.05, "steps": 20, "every": 10, "width": SMALL}
    row = vgg_landscape.run(cell | {"device": "cpu"}, (photos(), photos()))
    assert row["survived"]
    for key in ("loss", "low", "high", *vgg_landscape.MEASURES[1:]):
        assert len(row[key]) == 2
    assert all(h > low for h, low in zip(row["high"], row["low"], strict=True))
    if net != "plain":  # noise jumps, and what it jumps by does not get smaller
        assert (row["drift"][1] > 0.05) is (net == "noisy")


def test_a_slice_of_the_planes_runs_on_made_up_photos(monkeypatch):
    monkeypatch.setattr(vgg_planes, "PROBE", 16)
    cell = {"kind": "VGG", "net": "bn", "seed": 0, "steps": 8, "rates": (0.1,), "width": SMALL}
    places = torch.linspace(-1, 1, 5)
    monkeypatch.setattr(vgg_planes, "LENGTHS", places)
    monkeypatch.setattr(vgg_planes, "TRIPS", 0.5 + places)
    row = vgg_planes.run(cell | {"device": "cpu"}, photos())
    assert max(row["losses"]) < vgg_planes.LEARNED
    assert all(plane is not None for plane in row["planes"])
    assert all(0 <= share <= 1 for plane in row["planes"] for share in plane[:6])


def test_a_plane_goes_through_its_three_points():
    w = {"w": torch.tensor([1.0, 2.0])}
    a, b = {"w": torch.tensor([2.0, 2.0])}, {"w": torch.tensor([1.0, 0.0])}
    z = vgg_planes._plane(lambda v: v["w"].sum().item(), w, a, b, torch.tensor([0.0, 1.0]))
    assert z.tolist() == [[3.0, 4.0], [1.0, 2.0]]  # along a row towards a, down a column towards b


@pytest.mark.parametrize("variant", vgg_changes.VARIANTS)
def test_a_slice_of_the_changes_runs_on_made_up_photos(variant):
    cell = {"variant": variant, "net": "bn", "seed": 0, "lr": 0.02, "steps": 6, "width": SMALL}
    row = vgg_changes.run(cell | {"device": "cpu"}, (photos(), photos()))
    assert 0 <= row["test"] <= 1


def test_a_photo_is_mirrored_or_not_and_moved_by_whole_pixels():
    x = torch.arange(2 * 3 * 32 * 32, dtype=torch.float32).reshape(2, 3, 32, 32) + 1
    y = vgg_changes.flipped_and_cropped(x, torch.Generator().manual_seed(0))
    for before, after in zip(x, y, strict=True):
        wide = [nn.functional.pad(v, (4, 4, 4, 4)) for v in (before, before.flip(2))]
        places = [
            (k, i, j)
            for k, v in enumerate(wide)
            for i in range(9)
            for j in range(9)
            if torch.equal(v[:, i : i + 32, j : j + 32], after)
        ]
        assert len(places) == 1


def test_fixed_batches_always_hold_the_same_photos():
    batches = vgg_changes._batches(512, 0, fixed=True)
    seen = {tuple(sorted(batches().tolist())) for _ in range(20)}
    assert len(seen) == 4
    fresh = vgg_changes._batches(512, 0, fixed=False)
    assert len({tuple(sorted(fresh().tolist())) for _ in range(20)}) == 20
