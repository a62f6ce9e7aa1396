"""noisy: the sampling scheme, its place in the state, and that nothing else of BN changes."""

import pytest
import torch
from torch.func import functional_call

from bnviz.maths import prng
from bnviz.maths.nets import MLP, BatchNorm, initialise
from bnviz.maths.noisy import NoisyBatchNorm, add_noise


def layer(**options) -> NoisyBatchNorm:
    return NoisyBatchNorm(400, **options)


def test_noise_has_the_stated_distributions():
    bn = layer()
    s, m = bn.noise(1000)  # (1000, 400)
    assert s.shape == m.shape == (1000, 400)
    mu, sigma = m.mean(0), s.mean(0)  # each unit's own, up to 0.1 / sqrt(1000)
    assert (m - mu).abs().max() < 0.1 + 0.01
    torch.testing.assert_close(m.std(0), torch.full((400,), 0.1 / 3**0.5), rtol=0.1, atol=0)
    torch.testing.assert_close(s.std(0), torch.full((400,), 0.1), rtol=0.15, atol=0)
    assert -0.51 < mu.min() < -0.47
    assert 0.47 < mu.max() < 0.51
    assert abs(mu.mean()) < 0.05
    assert abs(mu.std() - 1 / 12**0.5) < 0.03  # U(-0.5, 0.5)
    assert 0.98 < sigma.min() < 1.02
    assert 1.23 < sigma.max() < 1.27
    assert abs(sigma.mean() - 1.125) < 0.015


def test_scale_and_offset_are_independent():
    s, m = layer().noise(1000)
    mu, sigma = m.mean(0), s.mean(0)
    assert abs(torch.corrcoef(torch.stack([mu, sigma]))[0, 1]) < 0.15
    both = torch.stack([(s - sigma).flatten(), (m - mu).flatten()])
    assert abs(torch.corrcoef(both)[0, 1]) < 0.01


def test_noise_changes_with_step_seed_and_layer_and_with_nothing_else():
    reference = layer().noise(5)[1]
    assert layer().noise(5)[1].equal(reference)
    for change in ({"step": 1.0}, {"seed": 1.0}):
        other = layer()
        for name, value in change.items():
            setattr(other, name, torch.tensor(value))
        assert (other.noise(5)[1] - reference).abs().median() > 0.1
    assert (layer(index=1).noise(5)[1] - reference).abs().median() > 0.1


def test_training_disturbs_the_output_of_batchnorm_and_counts_the_step():
    x = torch.randn(32, 400, generator=torch.Generator().manual_seed(0))
    bn, clean = layer(), BatchNorm(400)
    for step in range(3):
        assert bn.step == step
        s, m = bn.noise(32)
        torch.testing.assert_close(bn(x), s * clean(x) + m)
    assert bn.running_mean.equal(clean.running_mean)
    assert bn.running_var.equal(clean.running_var)


def test_evaluation_takes_the_mean_of_the_noise():
    x = torch.randn(8, 400, generator=torch.Generator().manual_seed(0))
    bn, clean = layer().eval(), BatchNorm(400).eval()
    torch.testing.assert_close(bn(x), 1.125 * clean(x))
    assert bn.step == 0


def test_add_noise_keeps_what_was_learned():
    net = MLP((6, 5, 5, 3), norm=True)
    net.load_state_dict(initialise(net, seed=3, scale=2.0))
    net.layers[0].norm.weight.data.fill_(1.5)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    noisy = add_noise(net, seed=7, n_mu=0.0, n_sigma=1.0, r=0.0)
    assert noisy is net
    assert all(v.equal(net.state_dict()[k]) for k, v in before.items())
    assert [n.norm.index for n in net.layers] == [0, 1]
    assert all(n.norm.seed == 7 for n in net.layers)
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    clean = MLP((6, 5, 5, 3), norm=True)
    clean.load_state_dict(before)
    torch.testing.assert_close(net(x), clean(x))


def test_the_state_carries_the_noise():
    """A simulation hands values in and reads them back: seed and step are among them."""
    net = add_noise(MLP((6, 5, 3), norm=True))
    values = {k: v.clone() for k, v in net.state_dict().items()}
    values["layers.0.norm.seed"] = torch.tensor(4.0)
    x = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    first = functional_call(net.train(), values, (x,))
    assert values["layers.0.norm.step"] == 1
    assert net.layers[0].norm.step == 0
    second = functional_call(net, values, (x,))
    assert not first.equal(second)
    values["layers.0.norm.step"] = torch.tensor(0.0)
    assert functional_call(net, values, (x,)).equal(first)


def test_wrong_constants_and_wrong_nets_are_refused():
    for bad in ({"n_mu": -1.0}, {"n_sigma": 0.9}, {"r": -0.1}):
        with pytest.raises(ValueError, match="need n_mu, r >= 0 and n_sigma >= 1"):
            NoisyBatchNorm(3, **bad)
    with pytest.raises(ValueError, match="build it with norm=True"):
        add_noise(MLP((4, 3, 2)))
    with pytest.raises(ValueError, match="at least 2 values per feature"):
        layer()(torch.zeros(1, 400))


def test_uniform_numbers_fill_the_interval_evenly():
    u = prng.uniform((200_000,), torch.tensor(5), 3)
    counts = torch.histc(u, 20, 0, 1)
    assert u.min() > 0
    assert u.max() <= 1
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 44  # chi-square, 19 degrees, p = 0.001
    assert abs(torch.corrcoef(torch.stack([u[1:], u[:-1]]))[0, 1]) < 0.01
    shifted = prng.uniform((200_000,), torch.tensor(5), 4)
    assert abs(torch.corrcoef(torch.stack([u, shifted]))[0, 1]) < 0.01


def test_folded_seeds_differ():
    seeds, steps = (torch.tensor(range(n)) for n in (20, 500))
    keys = {int(prng.fold_in(a, b)) for a in seeds for b in steps}
    assert len(keys) == 20 * 500
    assert min(keys) >= 0
    assert max(keys) < 2**31
