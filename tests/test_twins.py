"""What exists twice, in Python and in the page's JavaScript, gives the same numbers."""

import numpy as np
import pytest
import torch

from bnviz.figure.explorer import readable, typeset
from bnviz.figure.history import History
from bnviz.maths import prng

pytestmark = pytest.mark.page("steps.html")


@pytest.fixture
def run(reader):
    """Call a function of one of the page's modules in the browser."""

    def call(module: str, code: str, argument):
        load = f"const m = await import(new URL('{module}', base).href)"
        body = f"async ([base, argument]) => {{ {load}; return {code}; }}"
        return reader.page.evaluate(body, [reader.script, argument])

    return call


def test_the_hash_is_the_same(run):
    values = [0, 1, 2, 1437, 2**16, 2**31 - 1, 2**31, 2**32 - 1]
    found = run("prng.js", "argument.map(m.hash32)", values)
    assert found == prng.hash32(torch.tensor(values)).tolist()


@pytest.mark.parametrize("seed", [0, 1, 9999])
def test_minibatches_of_changing_size_are_the_same(run, seed):
    sizes = [32, 2, 256, 7, 1437, 200, 1000]
    code = "(() => { const s = new m.Shuffler(1437, argument[0]);"
    code += " return argument[1].map(n => s.take(n)); })()"
    shuffler = prng.Shuffler(1437, seed)
    assert run("prng.js", code, [seed, sizes]) == [shuffler.take(n).tolist() for n in sizes]


@pytest.mark.parametrize(("capacity", "every"), [(2, 1), (8, 1), (24, 10)])
def test_histories_merge_the_same(run, capacity, every):
    values = np.random.default_rng(0).normal(size=(5 * capacity + 3, 3)).astype(np.float32)
    code = "(() => { const [capacity, every, values] = argument;"
    code += " const h = new m.History(capacity, every); values.forEach(v => h.append(v));"
    code += " return [h.steps(), h.columns.map(c => Array.from(c)), h.extent]; })()"
    steps, columns, extent = run("history.js", code, [capacity, every, values.tolist()])
    history = History(capacity, every)
    for value in values:
        history.append(value)
    assert steps == history.steps().tolist()
    np.testing.assert_allclose(columns, history.values(), rtol=1e-6, atol=1e-6)
    assert extent == history.extent


def test_numbers_are_written_the_same(run):
    random = np.random.default_rng(1)
    numbers = [*random.normal(size=200) * 10.0 ** random.integers(-8, 8, 200)]
    numbers += [0.125, 0.375, 12.5, -12.5, 2.5, 3.5, 0.0, -0.04, 1e-5, 0.615, 1.0, -1.0, 99.995]
    numbers += [float("nan"), float("inf"), float("-inf")]
    cases = [
        [x, s]
        for x in numbers
        for s in (".0f", ".2f", ".1e", ".3g", ".6g", ".0%", ".1%", "d", "|none|one: 1|many")
    ]
    labels = run("format.js", "argument.map(([x, s]) => m.formatNumber(x, s))", cases)
    sentences = run("format.js", "argument.map(([x, s]) => m.fill(`{x:${s}}`, {x}))", cases)
    wrong = [
        (x, s, label, sentence)
        for (x, s), label, sentence in zip(cases, labels, sentences, strict=True)
        if (label, sentence) != (readable(x, s), typeset(readable(x, s)))
    ]
    assert wrong == []
