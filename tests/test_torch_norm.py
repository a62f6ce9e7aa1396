"""nets.BatchNorm as other people use it: PyTorch's idioms, tools and state dicts; huge numbers."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.ao import quantization
from torch.func import functional_call, vmap
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.optim.swa_utils import update_bn

from bnviz.maths import _overflow
from bnviz.maths.nets import MLP, BatchNorm


def data(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 3 + 2 * torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def kind_for(x):
    return nn.BatchNorm1d if x.ndim == 2 else nn.BatchNorm2d


def assert_same_statistics(a: nn.Module, b: nn.Module) -> None:
    torch.testing.assert_close(a.running_mean, b.running_mean)
    torch.testing.assert_close(a.running_var, b.running_var)


# --- arguments and attributes ---------------------------------------------------------------------

OPTIONS = [
    {},
    {"eps": 0.1, "momentum": 0.3},
    {"momentum": None},
    {"momentum": 0.0},
    {"momentum": 1},
    {"affine": False},
    {"bias": False},
    {"track_running_stats": False},
    {"track_running_stats": False, "momentum": None, "affine": False},
    {"dtype": torch.float32, "device": "cpu"},
]


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 2, 5)], ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_argument_means_what_it_means_to_pytorch(options, shape):
    options = {"dtype": torch.float64, **options}
    x = data(*shape).to(options["dtype"])
    ours, theirs = (kind(num_features=4, **options) for kind in (BatchNorm, kind_for(x)))
    for k in range(3):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        ya, yb = ours(input=a * (k + 1)), theirs(input=b * (k + 1))
        torch.testing.assert_close(ya, yb)
        (ya.square() * x).sum().backward()
        (yb.square() * x).sum().backward()
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-5)
    assert {k for k, _ in ours.named_parameters()} == {k for k, _ in theirs.named_parameters()}
    if options.get("track_running_stats", True):
        assert_same_statistics(ours, theirs)
        torch.testing.assert_close(ours.eval()(x[:1]), theirs.eval()(x[:1]))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    assert ours.extra_repr().startswith("4, eps=")
    assert (ours.num_features, ours.features) == (4, 4)


@pytest.mark.parametrize("momentum", [0.01, None, 0, 1.0, torch.tensor(0.25, dtype=torch.float64)])
def test_the_momentum_can_be_assigned_in_mid_training(momentum):
    ours, theirs = BatchNorm(3, dtype=torch.float64), nn.BatchNorm1d(3, dtype=torch.float64)
    for layer in (ours, theirs):
        layer(data(5, 3))
        layer.momentum = float(momentum) if momentum is not None else None
        if layer is ours:
            layer.momentum = momentum
        layer(data(5, 3, seed=1))
        layer(data(9, 3, seed=2))
    assert_same_statistics(ours, theirs)
    assert ours.num_batches_tracked == theirs.num_batches_tracked == 3
    assert "momentum" not in ours.state_dict()
    again = copy.deepcopy(ours).float()
    again(data(5, 3, dtype=torch.float32))  # the momentum has come along


def test_from_cumulative_back_to_a_number():
    layer = BatchNorm(2, momentum=None)
    layer.momentum = 0.1
    layer(data(4, 2, dtype=torch.float32))
    assert float(layer.momentum) == pytest.approx(0.1)
    layer.momentum.fill_(0.5)
    assert float(layer.momentum) == 0.5


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("momentum", 1.5, ValueError, r"lies in \[0, 1\]: 1.5"),
        ("momentum", float("nan"), ValueError, r"lies in \[0, 1\]"),
        ("momentum", "0.1", TypeError, "'str'"),
        ("eps", 0, ValueError, "eps must be > 0 and finite, got 0"),
        ("eps", float("inf"), ValueError, "eps must be > 0"),
        ("eps", "small", TypeError, "not str"),
    ],
)
def test_an_assignment_out_of_range_is_refused_and_changes_nothing(name, value, error, message):
    layer = BatchNorm(2)
    before = float(getattr(layer, name))
    with pytest.raises(error, match=message):
        setattr(layer, name, value)
    assert float(getattr(layer, name)) == before


@pytest.mark.parametrize("born", ["cpu", "meta"])
def test_a_layer_without_memory_gets_its_momentum_back(born):
    layer = BatchNorm(2, momentum=0.3, device=born)
    layer = layer.to_empty(device="cpu")
    layer.load_state_dict(nn.BatchNorm1d(2).state_dict())
    layer(data(4, 2, dtype=torch.float32))
    assert float(layer.momentum) == pytest.approx(0.3)
    expected = 0.3 * data(4, 2, dtype=torch.float32).mean(0)
    torch.testing.assert_close(layer.running_mean, expected)


def test_a_compiled_layer_is_the_same_layer():
    net, x = network(BatchNorm), data(4, 2, 5, 5)
    compiled = torch.compile(copy.deepcopy(net), backend="eager", fullgraph=True)
    for _ in range(2):
        torch.testing.assert_close(compiled(x), net(x))
    torch.testing.assert_close(compiled.eval()(x), net.eval()(x))


def test_it_can_be_differentiated_twice():
    x = data(5, 2).requires_grad_()
    assert torch.autograd.gradgradcheck(BatchNorm(2).double(), x)


def test_eps_can_be_assigned():
    ours, theirs = BatchNorm(3).double(), nn.BatchNorm1d(3).double()
    ours.eps = theirs.eps = 0.5
    torch.testing.assert_close(ours(data(4, 3)), theirs(data(4, 3)))
    torch.testing.assert_close(ours.eval()(data(4, 3)), theirs.eval()(data(4, 3)))


# --- state dicts ----------------------------------------------------------------------------------


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file)


@pytest.mark.parametrize("carry", [lambda state: state, dict, through_a_file])
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("kinds", [(BatchNorm, nn.BatchNorm1d), (nn.BatchNorm1d, BatchNorm)])
def test_state_dicts_fit_both_ways(kinds, momentum, carry):
    first, second = (
        nn.Sequential(nn.Linear(3, 4), kind(4, momentum=momentum)).double() for kind in kinds
    )
    for k in range(3):
        first(data(5, 3, seed=k))
    second.load_state_dict(carry(first.state_dict()))
    assert_same_statistics(first[1], second[1])
    if momentum is None:  # the fourth batch counts a quarter, in both
        first(data(5, 3, seed=9))
        second(data(5, 3, seed=9))
        assert_same_statistics(first[1], second[1])
    torch.testing.assert_close(first.eval()(data(5, 3)), second.eval()(data(5, 3)))


def test_what_a_network_learns_and_tracks_has_no_count():
    assert [k.split(".")[-1] for k in MLP((3, 2, 2), norm=True).state_dict()][1:5] == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
    ]


def test_a_wrong_state_dict_is_still_refused():
    layer, state = BatchNorm(2), BatchNorm(2).state_dict()
    with pytest.raises(RuntimeError, match="Unexpected"):
        layer.load_state_dict({**state, "more": torch.ones(1)})
    del state["running_var"]
    with pytest.raises(RuntimeError, match="Missing"):
        layer.load_state_dict(state)


# --- tools that look for PyTorch's class ----------------------------------------------------------


def network(kind, **options):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), kind(3, **options), nn.ReLU()).double()


def test_update_bn_measures_this_layer_as_pytorchs():
    batches = [data(4, 2, 5, 5, seed=k) for k in range(3)]
    ours, theirs = network(BatchNorm), network(nn.BatchNorm2d)
    ours[1].running_var.fill_(torch.nan)
    for net in (ours, theirs):
        update_bn(batches, net)
    assert_same_statistics(ours[1], theirs[1])
    assert float(ours[1].momentum) == pytest.approx(0.1)


@pytest.mark.parametrize("momentum", [0.3, None])
def test_it_becomes_a_synchronised_layer(momentum):
    net, x = network(BatchNorm, momentum=momentum), data(4, 2, 5, 5)
    net(x)
    other = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(net))
    assert isinstance(other[1], nn.SyncBatchNorm)
    for k in range(2):
        torch.testing.assert_close(net(x + k), other(x + k))
    assert_same_statistics(net[1], other[1])
    assert other[1].num_batches_tracked == net[1].num_batches_tracked == 3


def test_it_is_fused_with_a_convolution():
    net, x = network(BatchNorm), data(4, 2, 5, 5)
    net(x)
    fused = fuse_conv_bn_eval(net[0].eval(), net[1].eval())
    torch.testing.assert_close(fused(x), net[1](net[0](x)))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
def test_fusing_for_quantisation_refuses_and_the_remedy_works():
    net, x = network(BatchNorm), data(4, 2, 5, 5)
    net(x)
    with pytest.raises((AssertionError, NotImplementedError), match="fuse"):
        quantization.fuse_modules(net.eval(), ["0", "1"])
    swap = nn.BatchNorm2d(3).double()
    swap.load_state_dict(net[1].state_dict())
    other = nn.Sequential(net[0], swap, net[2]).eval()
    fused = quantization.fuse_modules(other, ["0", "1"])
    torch.testing.assert_close(fused(x), net(x))


def test_functional_tools_take_it():
    net, x = network(BatchNorm), data(4, 2, 5, 5)
    stacked = torch.stack([net[1].weight, 2 * net[1].weight]).detach()
    buffers = dict(net[1].named_buffers())
    one = [functional_call(net[1], {"weight": w, **buffers}, (net[0](x),)) for w in stacked]
    many = vmap(lambda w: functional_call(net[1], {"weight": w, **buffers}, (net[0](x),)))(stacked)
    torch.testing.assert_close(many, torch.stack(one))
    without = torch.func.replace_all_batch_norm_modules_(copy.deepcopy(net))
    torch.testing.assert_close(without.eval()(x), net.train()(x))
    exported = torch.export.export(net.eval(), (x,)).module()
    torch.testing.assert_close(exported(x), net(x))


# --- numbers near the ends of their formats -------------------------------------------------------

HUGE = {  # dtype -> factors beyond which squares, or sums, overflow
    torch.float16: [300.0, 2e4],
    torch.bfloat16: [1e20, 1e38],
    torch.float32: [1e20, 1e25, 1.6e38],
    torch.float64: [1e160, 1e200, 8e307],
}
CASES = [(dtype, factor) for dtype, factors in HUGE.items() for factor in factors]


def near_two(m, d, dtype):
    return (2 * torch.rand(m, d, generator=torch.Generator().manual_seed(0)) - 1).to(dtype)


@pytest.mark.parametrize("shape", [(8, 3), (2, 3, 2, 2)], ids=str)
@pytest.mark.parametrize(("dtype", "factor"), CASES, ids=str)
def test_huge_finite_numbers_are_normalised_and_give_no_nan(dtype, factor, shape):
    small = near_two(8, 3, dtype).T.reshape(3, shape[0], *shape[2:]).transpose(0, 1)
    x = (small.double() * factor).to(dtype)
    assert x.isfinite().all()
    layer = BatchNorm(3, dtype=dtype)
    exact = nn.BatchNorm1d(3, eps=1e-30, dtype=torch.float64)
    columns = (x.double() / factor).transpose(0, 1).flatten(1).T
    expected = exact(columns).T.reshape(3, shape[0], *shape[2:]).transpose(0, 1)
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    rounding = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(y.double(), expected, rtol=rounding, atol=rounding)
    (y * near_two(8, 3, dtype).reshape(y.shape)).sum().backward()
    assert leaf.grad.isfinite().all()
    for _ in range(3):  # ordinary numbers, and huge ones again
        layer(small)
        assert layer.running_mean.isfinite().all()
        assert layer.running_var.isfinite().all()
        layer(-x)
    assert layer.eval()(small).isfinite().all()
    assert layer(x).isfinite().all()


def test_the_case_of_the_report():
    layer = BatchNorm(1)
    torch.testing.assert_close(layer(torch.tensor([[-1e25], [1e25]])), torch.tensor([[-1.0], [1]]))
    layer(torch.tensor([[-1.0], [1.0]]))
    assert layer.running_var.isfinite().all()


def test_the_gradient_of_huge_numbers_is_that_of_ordinary_ones_in_another_unit():
    x, dy, factor = near_two(6, 2, torch.float64), data(6, 2), 2.0**700
    small, large = x.clone().requires_grad_(), (x * factor).requires_grad_()
    (BatchNorm(2, eps=1e-200, dtype=torch.float64)(small) * dy).sum().backward()
    (BatchNorm(2, dtype=torch.float64)(large) * dy).sum().backward()
    torch.testing.assert_close(large.grad * factor, small.grad)


def test_beside_a_huge_feature_an_ordinary_one_is_normalised_as_ever():
    x = torch.stack([1e25 * data(6), data(6)], 1).float()
    layer, alone = BatchNorm(2), BatchNorm(1)
    torch.testing.assert_close(layer(x)[:, 1:], alone(x[:, 1:]))
    torch.testing.assert_close(layer.running_var[1:], alone.running_var)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [1e-5, 1e-12, 1e-60])
@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e-7])
def test_tiny_numbers_and_constants_give_no_nan(factor, eps, dtype):
    x = (near_two(6, 2, torch.float64) * factor).to(dtype)
    layer = BatchNorm(2, eps=eps, dtype=dtype)
    y = layer(x)
    exact = nn.BatchNorm1d(2, eps=eps).double()(x.double())
    if dtype != torch.float16 or factor != 1e-7:  # so near 0 float16 has a digit or none
        torch.testing.assert_close(y.double(), exact, rtol=0.02, atol=0.02)
    assert y.isfinite().all()
    layer.running_var.zero_()
    assert layer.eval()(x).isfinite().all()


def test_what_is_not_finite_ruins_its_feature_only_even_beside_huge_ones():
    x = torch.tensor([[torch.nan, 1e25, 1.0], [1.0, -1e25, 2.0]])
    y = BatchNorm(3)(x)
    assert y[:, 0].isnan().all()
    assert y[:, 1:].isfinite().all()


@pytest.mark.parametrize("old", [torch.inf, 3e38])
def test_running_values_at_the_end_of_the_format_stay_numbers(old):
    ours, theirs = BatchNorm(1), nn.BatchNorm1d(1)
    for layer in (ours, theirs):
        layer.running_var.fill_(old)
        layer.running_mean.fill_(-old)
        layer(torch.tensor([[-1e38], [3e38]]) if old < torch.inf else torch.tensor([[-1.0], [1]]))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    assert not ours.running_var.isnan().any()


def test_evaluation_far_outside_of_what_was_measured():
    layer = BatchNorm(1).eval()
    layer.running_mean.fill_(-3e38)
    layer.running_var.fill_(3e38)
    with torch.no_grad():
        layer.weight.zero_()
    assert layer(torch.tensor([[3e38]])).item() == 0  # an infinity in between would make it NaN
    with torch.no_grad():
        layer.weight.fill_(1)
    expected = 6e38 / 3e38**0.5
    assert layer(torch.tensor([[3e38]])).item() == pytest.approx(expected, rel=1e-6)


def test_a_negative_running_variance_is_refused():
    layer = BatchNorm(2).eval()
    layer.running_var[1] = -0.5
    with pytest.raises(ValueError, match=r"running_var holds -0\.5, must be >= 0.*reestimate"):
        layer(torch.ones(3, 2))


def test_ordinary_numbers_never_come_to_the_special_path(monkeypatch):
    def fail(*_):
        raise AssertionError

    for name in ("in_units", "average", "inverse_root"):
        monkeypatch.setattr(_overflow, name, fail)
    layer = BatchNorm(3)
    for scale in (1e-12, 1.0, 1e9):
        layer(data(5, 3, dtype=torch.float32) * scale)
    layer.eval()(data(5, 3, dtype=torch.float32))
    with pytest.raises(AssertionError):
        layer.train()(data(5, 3, dtype=torch.float32) * 1e25)
