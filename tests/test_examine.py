"""`bnviz.examine`: nothing found in healthy networks, each planted fault found in several."""

import copy
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import bnviz
from tests.networks import KINDS, batch_for, make

STEPS, M, CLASSES = 150, 64, 4
REPOSITORY = Path(__file__).parent.parent


def data(shape, n, seed, scale=1.0, sort=False):
    """Batches of M examples whose classes can be told apart: a list of (x, y)."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n * M,), generator=generator)
    if sort:
        y = y.sort().values
    x = torch.randn(n * M, *shape, generator=generator)
    pattern = torch.randn(CLASSES, shape[0], generator=torch.Generator().manual_seed(99))
    x = scale * (x + pattern[y].reshape(n * M, shape[0], *[1] * (len(shape) - 1)))
    return list(zip(x.split(M), y.split(M), strict=True))


def logits(net, x):
    out = net(x)
    return out.flatten(1)[:, :CLASSES] if out.ndim > 2 else out


def train(net, shape, steps=STEPS, lr=0.05, **options):
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr)
    for x, y in data(shape, steps, seed=1, **options):
        optimiser.zero_grad()
        cross_entropy(logits(net, x).float(), y).backward()
        optimiser.step()
    return net


# --- healthy ones --------------------------------------------------------------------------------


def dense(act, width=48, depth=3, **bn):
    sizes = [12] + [width] * depth
    return [m for a, b in pairwise(sizes)
            for m in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b, **bn), act())]  # fmt: skip


def mlp(act, **options):
    width = options.get("width", 48)
    return nn.Sequential(*dense(act, **options), nn.Linear(width, CLASSES)), (12,)


def convolutional(act, groups=1, **bn):
    return nn.Sequential(
        nn.Conv2d(4, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16, **bn), act(),
        nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False), nn.BatchNorm2d(16, **bn),
        act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    ), (4, 8, 8)  # fmt: skip


def sequential(act):
    return nn.Sequential(
        nn.Conv1d(5, 16, 3, padding=1, bias=False), nn.BatchNorm1d(16), act(),
        nn.Conv1d(16, 16, 3, padding=1, bias=False), nn.BatchNorm1d(16), act(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    ), (5, 16)  # fmt: skip


class Residual(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(4, width, 3, padding=1, bias=False),
                                  nn.BatchNorm2d(width))  # fmt: skip
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(width, CLASSES)

    def forward(self, x):
        x = self.relu(self.stem(x))
        return self.head(self.relu(x + self.body(x)).mean((2, 3)))


HEALTHY = {
    "sigmoid": lambda: mlp(nn.Sigmoid),
    "tanh": lambda: mlp(nn.Tanh),
    "relu": lambda: mlp(nn.ReLU),
    "gelu": lambda: mlp(nn.GELU),
    "wide": lambda: mlp(nn.ReLU, width=128, depth=2),
    "deep": lambda: mlp(nn.Tanh, depth=8),
    "slow momentum": lambda: mlp(nn.ReLU, momentum=0.05),
    "cumulative": lambda: mlp(nn.ReLU, momentum=None),
    "without gamma and beta": lambda: mlp(nn.Tanh, affine=False),
    "batch statistics always": lambda: mlp(nn.ReLU, track_running_stats=False),
    "cnn": lambda: convolutional(nn.ReLU),
    "cnn, leaky": lambda: convolutional(lambda: nn.LeakyReLU(0.1)),
    "cnn, silu": lambda: convolutional(nn.SiLU),
    "cnn, in place": lambda: convolutional(lambda: nn.ReLU(inplace=True)),
    "depthwise": lambda: convolutional(nn.ReLU6, groups=16),
    "sequences, tanh": lambda: sequential(nn.Tanh),
    "sequences, relu": lambda: sequential(nn.ReLU),
    "residual": lambda: (Residual(), (4, 8, 8)),
    "Dropout behind": lambda: (
        nn.Sequential(*dense(nn.ReLU), nn.Dropout(0.3), nn.Linear(48, CLASSES)), (12,)),
    "BN behind": lambda: (
        nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.BatchNorm1d(48), nn.Linear(48, 48),
                      nn.ReLU(), nn.BatchNorm1d(48), nn.Linear(48, CLASSES)), (12,)),
    "LayerNorm and BN": lambda: (
        nn.Sequential(*dense(nn.ReLU), nn.Linear(48, 48), nn.LayerNorm(48), nn.ReLU(),
                      nn.Linear(48, CLASSES)), (12,)),
    "without BN": lambda: (
        nn.Sequential(nn.Linear(12, 48), nn.Tanh(), nn.Linear(48, CLASSES)), (12,)),
}  # fmt: skip


def healthy(name, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net, shape = HEALTHY[name]()
        return train(net, shape), shape


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_networks_get_nothing(name):
    net, shape = healthy(name)
    found = bnviz.examine(net, data(shape, 8, seed=2), quiet=True)
    assert not found, str(found)
    assert str(found).endswith("Nothing found.")
    found = bnviz.examine(net.eval(), data(shape, 8, seed=3), quiet=True)
    assert not found, str(found)


# --- planted faults ------------------------------------------------------------------------------

USUAL = ("relu", "cnn", "sequences, relu", "residual")


def norms(net):
    return [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def never_updated(net, shape):
    for bn in norms(net):
        bn.reset_running_stats()


def other_data(net, shape):
    with torch.no_grad():
        for bn in norms(net):
            bn.running_mean += 2 * bn.running_var.sqrt()


def not_finite(net, shape):
    norms(net)[0].running_mean[0] = math.nan


def negative(net, shape):
    norms(net)[-1].running_var[0] = -1.0


def too_few_steps(net, shape):
    for bn in norms(net):
        bn.reset_running_stats()
        bn.momentum = 0.001
    net.train()
    with torch.no_grad():
        for x, _ in data(shape, 20, seed=4):
            net(x)


def loud(net, shape):
    for bn in norms(net):
        bn.momentum = 0.99


def asleep(net, shape):
    net.train()
    for bn in norms(net):
        bn.eval()


def half_frozen(net, shape):
    net.train()
    for bn in norms(net):
        bn.requires_grad_(False)
    with torch.no_grad():
        for bn in norms(net):
            bn.running_mean += 0.5 * bn.running_var.sqrt()


def gamma_off(net, shape):
    with torch.no_grad():
        norms(net)[0].weight[::2] = 0


def killed(net, shape):
    with torch.no_grad():
        norms(net)[0].bias.fill_(-50.0)


FAULTS = {
    "running values were never updated": never_updated,
    "running values differ from the data's": other_data,
    "running values that are not finite": not_finite,
    "negative running variance": negative,
    "too few steps for this momentum": too_few_steps,
    "momentum in the other convention": loud,
    "frozen layers that train() wakes": asleep,
    "half-frozen layers": half_frozen,
    "gamma at 0": gamma_off,
    "dead units": killed,
}


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found(kind, name):
    net, shape = healthy(name)
    FAULTS[kind](net, shape)
    found = bnviz.examine(net, data(shape, 8, seed=2), quiet=True)
    assert kind in found.kinds, str(found)


@pytest.mark.parametrize("name", USUAL)
def test_sorted_batches(name):
    net, shape = healthy(name)
    found = bnviz.examine(net, data(shape, 8, seed=2, sort=True), quiet=True)
    assert "batches that are not alike" in found.kinds, str(found)
    assert "of 4 classes" in str(found)


@pytest.mark.parametrize("name", ["relu", "tanh", "wide"])
def test_small_batches(name):
    net, shape = healthy(name)
    small = [(x[:4], y[:4]) for x, y in data(shape, 8, seed=2)]
    found = bnviz.examine(net, small, quiet=True)
    assert "batches too small for their layers" in found.kinds, str(found)


@pytest.mark.parametrize("name", ["relu", "tanh", "deep"])
def test_a_batch_of_one(name):
    net, shape = healthy(name)
    one = [(x[:1], y[:1]) for x, y in data(shape, 4, seed=2)]
    found = bnviz.examine(net, one, quiet=True)
    assert found.kinds[0] == "the model cannot run in training mode"


@pytest.mark.parametrize(("rest", "level"), [(1, "serious"), (3, "look")])
def test_a_short_last_batch(rest, level):
    net, shape = healthy("relu")
    rows = torch.utils.data.TensorDataset(
        torch.cat([x for x, _ in data(shape, 4, seed=2)])[: -M + rest]
    )
    loader = torch.utils.data.DataLoader(rows, batch_size=M)
    found = bnviz.examine(net, loader, batches=3, quiet=True)
    assert [(f.kind, f.level) for f in found] == [("a short last batch", level)]
    loader = torch.utils.data.DataLoader(rows, batch_size=M, drop_last=True)
    assert not bnviz.examine(net, loader, batches=3, quiet=True)


@pytest.mark.parametrize("name", USUAL)
def test_epsilon(name):
    net, shape = healthy(name)
    for bn in norms(net):
        bn.eps = 100.0
    train(net, shape, 60)
    found = bnviz.examine(net, data(shape, 8, seed=2), quiet=True)
    assert "eps above the variances" in found.kinds, str(found)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "deep"])
def test_saturated(name):
    net, shape = healthy(name)
    with torch.no_grad():
        for bn in norms(net):
            bn.weight *= 20
    found = bnviz.examine(net, data(shape, 8, seed=2), quiet=True)
    assert "saturated activations" in found.kinds, str(found)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "sequences", "mixed"])
def test_a_bias_in_front_is_a_note(kind):
    net = make(kind)
    batches = [batch_for(kind, M, seed=k) for k in range(4)]
    found = bnviz.examine(net, batches, quiet=True)
    (note,) = (f for f in found if f.kind == "a bias in front of BN")
    assert note.level == "note"


@pytest.mark.parametrize("name", ["relu", "cnn", "sequences, relu"])
def test_dropout_in_front(name):
    net, shape = healthy(name)
    at = next(k for k, m in enumerate(net) if isinstance(m, nn.modules.batchnorm._BatchNorm)) + 2
    net = train(nn.Sequential(*net[:at], nn.Dropout(0.5), *net[at:]), shape)
    found = bnviz.examine(net, data(shape, 8, seed=2), quiet=True)
    assert "Dropout in front of BN" in found.kinds, str(found)


class Positions(nn.Module):
    """The same layers at each position of a sequence, which is (n, length, channels) or words."""

    def __init__(self, embed: bool):
        super().__init__()
        self.embed = nn.Embedding(20, 5) if embed else None
        self.first, self.bn = nn.Linear(5, 16, bias=False), nn.BatchNorm1d(16)
        self.act, self.head = nn.ReLU(), nn.Linear(16, CLASSES)

    def forward(self, x):
        x = x if self.embed is None else self.embed(x)
        return self.head(self.act(self.bn(self.first(x).transpose(1, 2))).mean(2))


def padded(name, seed):
    """A network, and batches of sequences, half of them padded from the middle on."""
    if name in ("embedded", "positions"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = Positions(name == "embedded")
        rng = torch.Generator().manual_seed(seed)
        words = [torch.randint(1, 20, (32, 12), generator=rng) for _ in range(8)]
        values = [torch.randn(32, 12, 5, generator=rng) for _ in range(8)]
        batches = words if name == "embedded" else values
        for x in batches:
            x[::2, 6:] = 0
        return net, batches
    net, shape = healthy(name)
    batches = [x.clone() for x, _ in data(shape, 8, seed=seed)]
    for x in batches:
        x[::2, :, 6:] = 0
    return net, batches


@pytest.mark.parametrize("name", ["sequences, relu", "sequences, tanh", "embedded", "positions"])
def test_padding_in_the_statistics(name):
    net, batches = padded(name, 2)
    found = bnviz.examine(net, batches, quiet=True)
    assert "padding in the statistics" in found.kinds, str(found)


@pytest.mark.parametrize("name", USUAL)
def test_weight_decay_on_gamma(name):
    net, shape = healthy(name)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, weight_decay=5e-3)
    found = bnviz.examine(net, data(shape, 8, seed=2), optimizer=optimiser, quiet=True)
    assert [(f.kind, f.level) for f in found] == [("weight decay on gamma and beta", "look")]
    groups = [{"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 5e-3},
              {"params": [p for p in net.parameters() if p.ndim == 1]}]  # fmt: skip
    optimiser = torch.optim.SGD(groups, 0.1)
    assert not bnviz.examine(net, data(shape, 8, seed=2), optimizer=optimiser, quiet=True)


class Twins(nn.Module):
    """Two inputs of different distributions through the same layers."""

    def __init__(self, layers, apart):
        super().__init__()
        self.layers, self.apart = nn.Sequential(*layers), apart

    def forward(self, x):
        return self.layers(x) + self.layers(x + self.apart)


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh, nn.GELU])
def test_one_layer_for_several_distributions(act):
    layers = [*dense(act), nn.Linear(48, CLASSES)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = train(Twins(layers, 5.0), (12,))
    found = bnviz.examine(net, data((12,), 8, seed=2), quiet=True)
    assert "one layer for several distributions" in found.kinds, str(found)
    net.apart = 0.0
    assert (
        "one layer for several distributions"
        not in bnviz.examine(net, data((12,), 8, seed=2), quiet=True).kinds
    )


SHARDED = ("relu", "cnn", "sequences, relu")


def _process(rank, file, out):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{file}", rank=rank, world_size=2
    )
    found = []
    for name in SHARDED:
        net, shape = healthy(name)
        for layer in net.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_running_stats()
        batches = [x + 3 * rank for x, _ in data(shape, 60, seed=rank)]
        with torch.no_grad():
            for x in batches:
                net.train()(x)
        found.append(bnviz.examine(net, batches[:4], quiet=True).kinds)
    out[rank] = found
    torch.distributed.destroy_process_group()


def test_statistics_that_differ_between_processes(tmp_path):
    with torch.multiprocessing.Manager() as manager:
        out = manager.dict()
        torch.multiprocessing.spawn(_process, (str(tmp_path / "meet"), out), nprocs=2)
        assert len(out) == 2
        for found in out.values():
            for name, kinds in zip(SHARDED, found, strict=True):
                assert "statistics that differ between copies" in kinds, name


# --- the patient ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_as_it_was(kind, training):
    net = make(kind).train(training)
    next(m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)).eval()
    x, y = batch_for(kind)
    out = net(**x) if isinstance(x, dict) else net(x)
    cross_entropy((out["logits"] if isinstance(out, dict) else out).float(), y).backward()
    before = copy.deepcopy(net.state_dict())
    modes = [m.training for m in net.modules()]
    gradients = [p.grad for p in net.parameters()]
    buffers = [b.data_ptr() for b in net.buffers()]
    state = torch.get_rng_state()
    bnviz.examine(net, [batch_for(kind, seed=k) for k in range(4)], quiet=True)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert [m.training for m in net.modules()] == modes
    assert all(a is p.grad for a, p in zip(gradients, net.parameters(), strict=True))
    assert [b.data_ptr() for b in net.buffers()] == buffers
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_after_an_error_too():
    class Raises(nn.Sequential):
        def forward(self, x):
            super().forward(x)
            if not self.training:
                raise ZeroDivisionError("on purpose")
            return x

    net = Raises(*dense(nn.ReLU))
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(RuntimeError, match=r"ZeroDivisionError: on purpose.*pass forward="):
        bnviz.examine(net, data((12,), 3, seed=0), quiet=True)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_after_an_error_in_a_run_that_moves_statistics():
    class Raises(nn.Sequential):
        def forward(self, x):
            out = super().forward(x)
            if self[1].training and not self.training:
                raise ZeroDivisionError("behind the BN layers")
            return out

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Raises(*dense(nn.ReLU))
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(RuntimeError, match="behind the BN layers"):
        bnviz.examine(net, [x + 5 for x, _ in data((12,), 3, seed=0)], quiet=True)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ("loader", "error", "words"),
    [
        ([], ValueError, "yields no batch"),
        (iter([]), ValueError, "an iterator can be used only once"),
        (None, TypeError, "needs data"),
        (3, TypeError, "loader must yield batches"),
        ([{"image": torch.zeros(4, 12)}], TypeError, "dicts with 'image'.*pass forward="),
        ([("a", torch.zeros(4, 12))], TypeError, "yields str, from which no input is clear"),
        ([torch.zeros(4, 5)], RuntimeError, "the model failed on a batch"),
    ],
)
def test_loaders(loader, error, words):
    with pytest.raises(error, match=words):
        bnviz.examine(mlp(nn.ReLU)[0], loader, quiet=True)


def test_models():
    with pytest.raises(ValueError, match="nothing to examine"):
        bnviz.examine(nn.Linear(2, 2), [torch.zeros(4, 2)])
    with pytest.raises(TypeError, match=r"must be a torch\.nn\.Module"):
        bnviz.examine(3, [torch.zeros(4, 2)])
    with pytest.raises(ValueError, match="batches must be a whole number"):
        bnviz.examine(mlp(nn.ReLU)[0], [torch.zeros(4, 12)], batches=0)


def test_a_forward_of_ones_own():
    net, shape = healthy("relu")
    batches = [{"image": x, "label": y} for x, y in data(shape, 4, seed=2)]
    assert not bnviz.examine(net, batches, forward=lambda model, b: model(b["image"]), quiet=True)


def test_the_report_is_printed_with_all_it_needs(capsys):
    net, shape = healthy("relu")
    never_updated(net, shape)
    found = bnviz.examine(net, data(shape, 8, seed=2))
    said = capsys.readouterr().out
    assert said.startswith("Examined: 3 BN layers, 3 activations, 8 batches.")
    assert "SERIOUS: running values were never updated (" in said
    assert "accuracy" in said
    assert "| reestimate(model, loader)" in said
    assert "book: inference.html#why-is-my-eval-loss-terrible" in said
    assert repr(found) == "Findings: 1 serious"


def test_a_log():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        (net, shape), (healthy_net, _) = mlp(nn.ReLU), mlp(nn.Tanh)
    with torch.no_grad():
        net[1].bias.fill_(-50.0)
    with bnviz.watch(net, every=5) as log:
        train(net, shape, 40)
    found = bnviz.examine(log, quiet=True)
    assert "dead units" in found.kinds
    (dead,) = (f for f in found if f.kind == "dead units")
    assert "2" in dead.layers  # perhaps others, which see nothing but constants
    with bnviz.watch(healthy_net, every=5) as log:
        train(healthy_net, shape, STEPS)
    assert not bnviz.examine(log, quiet=True)
    with pytest.raises(ValueError, match="nothing was recorded"):
        bnviz.examine(type(log)(), quiet=True)


def test_every_link_leads_into_the_book():
    text = "".join(path.read_text() for path in (REPOSITORY / "bnviz" / "clinic").glob("*.py"))
    links = set(re.findall(r'"([a-z-]+\.html(?:#[\w-]+)?)"', text))
    assert len(links) > 8
    for link in links:
        page, _, anchor = link.partition("#")
        html = (REPOSITORY / "_build" / "html" / "book" / page).read_text(encoding="utf-8")
        assert f'id="{anchor}"' in html or not anchor, link
