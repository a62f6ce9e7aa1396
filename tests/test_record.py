"""bnviz.maths.record: hooks that are always removed, and records of the promised shapes."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from bnviz.maths import measures
from bnviz.maths.nets import MLP
from bnviz.maths.record import ActivationRecorder, inputs_of, summarise


def hooks(net: nn.Module) -> int:
    """All forward hooks of a network, of either kind."""
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in net.modules())


@pytest.fixture
def net():
    return MLP((6, 5, 4, 3), norm=True)


@pytest.fixture
def x():
    return torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def test_inputs_are_what_the_modules_saw(net, x):
    with inputs_of(net.activations) as seen:
        net(x)
    first = net.layers[0]
    assert [tuple(v.shape) for v in seen] == [(8, 5), (8, 4)]
    torch.testing.assert_close(seen[0], first.norm(first.linear(x)))
    net(x)
    assert len(seen) == 2
    assert hooks(net) == 0


@pytest.mark.parametrize("watch", [inputs_of, ActivationRecorder])
def test_hooks_are_gone_after_an_exception(net, x, watch):
    def crash_inside():
        with watch(net.activations):
            assert hooks(net) > 0
            net(x)
            net(x[:1])  # too small for BN, found in the middle of a forward pass

    with pytest.raises(ValueError, match="at least 2 values"):
        crash_inside()
    assert hooks(net) == 0


def test_a_summary_that_fails_leaves_no_hook_behind(net, x):
    def fails(v):
        raise KeyError("no such summary")

    def run():
        with ActivationRecorder(net.activations, summary=fails):
            net(x)

    with pytest.raises(KeyError):
        run()
    assert hooks(net) == 0


def test_records_come_every_so_many_training_steps(net, x):
    with ActivationRecorder(net.activations, every=3) as recorder:
        for k in range(7):
            net.train()(x)
            if k % 2:
                net.eval()(x)  # evaluation is neither counted nor recorded
    assert len(recorder.rows) == 3  # steps 1, 4 and 7
    assert all(len(row) == 2 for row in recorder.rows)
    assert recorder.stack("mean").shape == (3, 2)
    assert recorder.stack("percentiles").shape == (3, 2, 3)
    assert recorder.stack("histogram").shape == (3, 2, 48)
    with pytest.raises(KeyError):
        recorder.stack("median")


def test_a_recorder_can_be_entered_again(net, x):
    recorder = ActivationRecorder(net.activations)
    for _ in range(2):
        with recorder:
            net(x)
    assert recorder.stack("std").shape == (2, 2)
    assert hooks(net) == 0


def test_records_keep_no_graph_and_no_activation(net, x):
    with ActivationRecorder(net.activations) as recorder:
        net(x).sum().backward()
    for value in recorder.rows[0][0].values():
        assert not value.requires_grad
        assert value.numel() <= 48


def test_summaries_are_numpys():
    v = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)) * 1.5
    summary, flat = summarise(v), v.numpy().ravel()
    expected, _ = np.histogram(flat, bins=48, range=(-6, 6), density=True)
    assert np.abs(flat).max() < 6
    np.testing.assert_allclose(summary["histogram"], expected, atol=1e-6)
    np.testing.assert_allclose(summary["percentiles"], np.percentile(flat, [15, 50, 85]), rtol=1e-5)
    assert summary["mean"] == pytest.approx(flat.mean(), abs=1e-6)
    assert summary["std"] == pytest.approx(flat.std(), rel=1e-5)  # biased: divided by n


def test_large_layers_can_be_summarised():
    """torch.quantile would refuse more than 16 million values."""
    assert summarise(torch.zeros(256, 16, 64, 65))["mean"] == 0


@pytest.mark.parametrize("every", [0, -1])
def test_an_impossible_pace_is_refused(every):
    with pytest.raises(ValueError, match=f"every must be at least 1, got {every}"):
        ActivationRecorder([], every=every)


# --- other people's networks ---------------------------------------------------------------------


class Twice(nn.Module):
    """A network that uses one activation for two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 5)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


class Overwrites(nn.Module):
    """Does not say that it works in place."""

    def forward(self, x):
        return x.clamp_(min=0)


class ByKeyword(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, scale=2.0):
        return self.inner(scale=scale, value=x)


class Scaled(nn.Module):
    def forward(self, value, scale):
        return value * scale


def stepped(net: nn.Module, accumulate: int, steps: int, x: torch.Tensor) -> None:
    """Training with gradients that are accumulated over some minibatches."""
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    for k in range(steps * accumulate):
        net(x + k).sum().backward()
        if (k + 1) % accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize(
    "module",
    [
        nn.ReLU(inplace=True),
        nn.Sequential(nn.Identity(), nn.Hardtanh(inplace=True)),
        Overwrites(),
        nn.ReLU(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_what_is_kept_is_what_entered_not_what_was_left(module, grad):
    x = torch.tensor([-1.0, 2.0])
    with torch.set_grad_enabled(grad), inputs_of([module]) as seen:
        module(x.clone())
    assert torch.equal(seen[0], x)


def test_gradients_reach_the_inputs_of_layers_that_leave_them_alone(net, x):
    with inputs_of(net.activations) as seen:
        loss = net(x).square().sum()
    assert all(g.any() for g in torch.autograd.grad(loss, seen))


@pytest.mark.parametrize("module", [nn.Linear(2, 2), Scaled()])
def test_an_input_that_others_overwrite_is_not_kept_in_silence(module):
    def run(**options):
        x = torch.ones(1, 2)
        with torch.no_grad(), inputs_of([module], **options) as seen:
            module(x) if isinstance(module, nn.Linear) else module(x, 1.0)
            x += 1  # as a residual connection in place does, or a buffer that is filled again
        return seen

    with pytest.raises(RuntimeError, match=r"overwritten in place.*copy=True"):
        run()
    assert torch.equal(run(copy=True)[0], torch.ones(1, 2))


def test_inputs_in_inference_mode_are_kept():
    with torch.inference_mode(), inputs_of([relu := nn.ReLU(inplace=True)]) as seen:
        relu(torch.tensor([-1.0]))
    assert seen[0].tolist() == [-1.0]


@pytest.mark.parametrize("call", [lambda m, x: m(x), lambda m, x: m(x=x), lambda m, x: m(x, 3.0)])
def test_an_argument_by_keyword_is_seen(call):
    net = ByKeyword(Scaled())
    x = torch.arange(6.0).reshape(2, 3)
    with inputs_of([net, net.inner]) as seen, ActivationRecorder([net, net.inner]) as recorder:
        call(net, x)
    assert all(torch.equal(v, x) for v in seen)
    assert len(seen) == 2
    assert recorder.stack("mean")[0].tolist() == [pytest.approx(x.mean().item())] * 2


def test_what_is_no_tensor_is_named():
    class Sum(nn.Module):
        def forward(self, both):
            return both[0] + both[1]

    for watch in (inputs_of, ActivationRecorder):
        module, message = Sum(), "first argument of Sum is no tensor but a tuple"
        with pytest.raises(TypeError, match=message), watch([module]):
            module((torch.ones(1), torch.ones(1)))
        assert hooks(module) == 0


def test_a_module_that_is_named_twice_is_watched_once(x):
    net = nn.Sequential(nn.Linear(6, 5), relu := nn.ReLU(), nn.Linear(5, 5), relu)
    named = [net[1], net[3]]
    with inputs_of(named) as seen, ActivationRecorder(named) as recorder:
        net(x)
    assert len(seen) == 2
    torch.testing.assert_close(recorder.stack("mean")[0], torch.stack([v.mean() for v in seen]))


@pytest.mark.parametrize("frozen", [[0], [1], [2], [0, 1], [0, 2]])
def test_rows_belong_to_their_layers_whichever_are_frozen(frozen):
    net = nn.Sequential(*[nn.BatchNorm1d(3) for _ in range(3)])
    for k in frozen:
        net[k].eval()
    for k, layer in enumerate(net):
        nn.init.constant_(layer.bias, k + 5.0)  # so the layers' inputs have means of their own
    x = torch.randn(8, 3)
    with ActivationRecorder(net) as recorder, inputs_of(net) as seen:
        net(x)
    expected = torch.stack([v.mean() for v in seen])
    torch.testing.assert_close(recorder.stack("mean")[0], expected)


def test_layers_that_are_all_frozen_are_recorded_where_that_is_asked_for():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3).eval())
    with ActivationRecorder(net[1:]) as recorder, ActivationRecorder(net[1:], evaluation=True) as b:
        net(torch.zeros(2, 3))
    assert b.stack("mean").shape == (1, 1)
    assert recorder.rows == []
    with pytest.raises(ValueError, match="evaluation=True"):
        recorder.stack("mean")


def test_a_layer_that_is_called_in_some_steps_only_leaves_gaps():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Identity(), nn.Identity(), nn.Identity()

        def forward(self, x, skip):
            return self.c(self.a(x) + 1 if skip else self.b(self.a(x) + 1) + 1)

    net = Sometimes()
    with ActivationRecorder([net.c, net.b, net.a]) as recorder:
        for skip in (True, False, True):
            net(torch.zeros(2, 2), skip)
    means = recorder.stack("mean")
    expected = torch.tensor([[1.0, torch.nan, 0.0], [2.0, 1.0, 0.0], [1.0, torch.nan, 0.0]])
    torch.testing.assert_close(means, expected, equal_nan=True)
    assert recorder.rows[0][1] is None


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("optimised", [True, False])
def test_a_shared_module_is_a_layer_for_each_call(every, optimised):
    net, x = Twice(), torch.randn(4, 3)
    with ActivationRecorder([net.relu], every=every) as recorder, inputs_of([net.relu]) as seen:
        if optimised:
            stepped(net, 1, 6, x)
        else:
            for k in range(6):
                net(x + k)
    assert recorder.layers == [(0, 0), (0, 1)]
    expected = torch.stack([v.mean() for v in seen]).reshape(6, 2)[::every]
    torch.testing.assert_close(recorder.stack("mean"), expected)


@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("every", [1, 2])
def test_accumulated_passes_are_one_step(every, accumulate):
    net, x = Twice(), torch.randn(4, 3)
    watched = [net.first, net.relu]
    with ActivationRecorder(watched, every=every) as recorder, inputs_of(net.children()) as seen:
        stepped(net, accumulate, 6, x)
        net.eval()(x)
    assert len(recorder.rows) == 6 // every
    entered = torch.stack([v.mean() for v in seen[: 6 * accumulate * 4]])
    first = entered.reshape(6, accumulate, 4)[::every, 0, [0, 1, 3]]  # first, relu, relu
    torch.testing.assert_close(recorder.stack("mean"), first)


def test_modules_that_are_called_one_by_one_are_one_pass():
    a, b = nn.Linear(3, 4), nn.ReLU()
    with ActivationRecorder([a, b], every=2) as recorder:
        for _ in range(4):
            b(a(torch.randn(2, 3)))
    assert recorder.stack("std").shape == (2, 2)


def test_a_pass_that_failed_takes_no_place_in_the_next_one(net, x):
    with ActivationRecorder(net.activations) as recorder, inputs_of(net.activations) as seen:
        with pytest.raises(ValueError, match="at least 2 values"):
            net(x[:1])
        net(x)
    torch.testing.assert_close(recorder.stack("mean")[-1], torch.stack([v.mean() for v in seen]))


def test_a_summary_may_keep_the_values_themselves():
    relu = nn.ReLU(inplace=True)
    with ActivationRecorder([relu], summary=lambda v: {"all": v, "first": v[:1]}) as recorder:
        relu(torch.tensor([-1.0, 2.0], requires_grad=True) * 1)
    assert recorder.stack("all").tolist() == [[[-1.0, 2.0]]]
    assert recorder.stack("first").tolist() == [[[-1.0]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_any_number_format_is_summarised(dtype):
    v = (3 * torch.randn(5000, generator=torch.Generator().manual_seed(0))).to(dtype)
    flat, summary = v.double().numpy(), summarise(v)
    expected, _ = np.histogram(flat.clip(-6, np.nextafter(6, 0)), 48, (-6, 6), density=True)
    np.testing.assert_allclose(summary["histogram"], expected, atol=1e-6)
    np.testing.assert_allclose(summary["percentiles"], np.percentile(flat, [15, 50, 85]), rtol=1e-5)
    assert summary["mean"] == pytest.approx(flat.mean(), rel=1e-4)
    assert summary["outside"].tolist() == pytest.approx([(flat < -6).mean(), (flat > 6).mean()])


def test_values_that_the_range_does_not_hold_are_counted():
    v = 100 + torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert summarise(v)["outside"].tolist() == [0, 1]
    relu = nn.ReLU()
    with ActivationRecorder([relu], summary=partial(summarise, low=95, high=105)) as recorder:
        relu(v)
    assert recorder.stack("outside").tolist() == [[[0, 0]]]
    expected, _ = np.histogram(v, 48, (95, 105), density=True)
    np.testing.assert_allclose(recorder.stack("histogram")[0, 0], expected, atol=1e-3)


def test_more_values_than_float32_can_count():
    histogram = summarise(torch.zeros(2**24 + 2**22))["histogram"]
    assert histogram.sum() / 4 == pytest.approx(1, rel=1e-6)


def test_everything_is_made_where_the_values_are():
    v = torch.zeros(3, 40, device="meta", dtype=torch.float16)
    assert measures.density(v, -1, 1, 4).device.type == "meta"
    if torch.cuda.is_available():
        summary = summarise(torch.randn(99, device="cuda"))
        assert {value.device.type for value in summary.values()} == {"cuda"}
