"""The symptoms: their code runs and tells, their messages are PyTorch's, their numbers measured."""

import json
import re

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import bnviz
from bnviz import explorers
from bnviz.maths.data import digits
from bnviz.site import symptoms
from tests.pages import BOOK
from tests.symptoms import names, run, said_by

KINDS = symptoms.read(BOOK)
ENTRIES = {entry.id: entry for kind in KINDS for entry in kind.entries}
RUN = {name: e for name, e in ENTRIES.items() if not e.framework}
CHECKED = [name for name, e in RUN.items() if e.check]
CURED = [name for name in CHECKED if RUN[name].code and RUN[name].cures]
MESSAGES = [(n, m.says, m.by) for n, e in ENTRIES.items() for m in e.messages if m.by]
TEXT = (BOOK / "troubleshooting.md").read_text()
CLINIC = BOOK.parent / "bnviz" / "clinic"


def test_there_are_enough():
    assert len(ENTRIES) == sum(len(kind.entries) for kind in KINDS) >= 60


@pytest.mark.parametrize(("name", "says", "by"), MESSAGES)
def test_pytorch_says_so(name, says, by):
    said = " ".join(said_by(by).split())
    assert " ".join(says.split()) in said


@pytest.mark.parametrize("name", CHECKED)
def test_a_check_tells_the_fault_from_what_is_harmless(name):
    entry = RUN[name]
    assert run(entry.check, names(entry.given))
    assert not run(entry.check, names(entry.fine))


@pytest.mark.parametrize("name", CURED)
def test_the_remedy_cures(name):
    entry = RUN[name]
    assert not run(entry.check, names(entry.given, entry.code, entry.after))


@pytest.mark.parametrize("name", [n for n, e in RUN.items() if e.code and n not in CURED])
def test_the_remedy_runs(name):
    names(RUN[name].given, RUN[name].code)


def test_code_for_another_framework_is_python_too():
    for entry in ENTRIES.values():
        compile(entry.check, entry.id, "exec")
        compile(entry.code, entry.id, "exec")


def test_most_entries_bring_a_check():
    """What does not follow from the reader's own network has none: a number, no matter of taste."""
    assert len(CHECKED) > 0.6 * len(ENTRIES)


def test_figures_and_findings_exist():
    text = "".join(path.read_text() for path in CLINIC.glob("*.py"))
    for entry in ENTRIES.values():
        assert not set(entry.figures) - set(explorers.names()), entry.id
        assert all(f'"{kind}"' in text for kind in entry.findings), entry.id


def test_findings_are_named_by_some_entry():
    """Each kind that `examine` reports of a model has its entry, whose fault it then finds."""
    named = {kind for entry in ENTRIES.values() for kind in entry.findings}
    others = {"finding", "logs"}  # the words of a finding; what is said of a log
    text = "".join(p.read_text() for p in CLINIC.glob("*.py") if p.stem not in others)
    reported = set(re.findall(r'"([^"\n]+)", "(?:serious|look|note)"', text))
    assert len(reported) > 15
    assert not reported - named


# Their fault is in a layer alone, in other data, or too small for these pictures of 8 x 8.
UNSEEN = {
    "momentum-conventions", "short-last-batch", "sorted-test-data", "padding", "eps-above-variance",
    "constant-feature", "loaded-without-buffers", "batch-per-device", "other-camera",
    "gan-real-fake", "gamma-zero",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n, e in RUN.items() if e.findings and n not in UNSEEN])
def test_examine_calls_the_fault_by_the_name_that_the_entry_gives(name):
    space = names(RUN[name].given)
    parts = (space[key] for key in ("model", "loader"))
    found = bnviz.examine(*parts, optimizer=space["optimizer"], quiet=True)
    assert set(RUN[name].findings) & set(found.kinds)


def test_a_mean_in_bfloat16_stops_on_its_way():
    """The number that the page gives; in single precision it arrives."""
    torch.manual_seed(0)
    for kind, low, high in ((torch.bfloat16, 0.75, 0.88), (torch.float32, 0.98, 1.02)):
        layer = nn.BatchNorm1d(1, momentum=0.01).to(kind)
        for _ in range(2000):
            layer(1 + torch.randn(64, 1).to(kind))
        assert low < layer.running_mean.item() < high


def _trained_on_digits(kind: type[nn.Module], ordered: bool) -> float:
    """Accuracy on test images, in evaluation mode, after 20 epochs of batches of 32."""
    torch.manual_seed(0)
    split, layers = digits(), []
    x, y = split.x_train.float(), split.y_train
    for _ in range(2):
        layers += [nn.Linear(64, 64), kind(64), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    descent = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(20):
        rows = torch.randperm(len(y))
        rows = rows[y[rows].argsort(stable=True)] if ordered else rows
        batches = rows[: len(rows) // 32 * 32].split(32)
        for k in torch.randperm(len(batches)).tolist():
            descent.zero_grad()
            cross_entropy(model(x[batches[k]]), y[batches[k]]).backward()
            descent.step()
    right = model.eval()(split.x_test.float()).argmax(1) == split.y_test
    return right.float().mean().item()


def test_batches_of_one_class_harm_a_network_with_bn_only():
    """The numbers that the page gives."""
    assert 0.5 < _trained_on_digits(nn.BatchNorm1d, ordered=True) < 0.7
    assert _trained_on_digits(nn.Identity, ordered=True) > 0.965
    assert _trained_on_digits(nn.BatchNorm1d, ordered=False) > 0.965


def test_the_row_of_pytorch_is_what_pytorch_does():
    layer, (version,) = nn.BatchNorm2d(1), re.findall(r"PyTorch ([\d.]+), word for word", TEXT)
    row = re.search(rf"^\| PyTorch {version} \|.*", TEXT, re.MULTILINE)[0]
    assert torch.__version__.startswith(version)
    assert float(re.search("`eps=(.*?)`", row)[1]) == layer.eps
    assert float(re.search("`momentum=(.*?)`", row)[1]) == layer.momentum
    assert set(re.findall("`(weight|bias|running_[a-z]+)`", row)) < set(layer.state_dict())


def test_lines_of_code_fit_a_phone():
    for entry in ENTRIES.values():
        lines = (entry.check + "\n" + entry.code).splitlines()
        assert not [line for line in lines if len(line) > 80], entry.id


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cause": None}, "x has no .*cause"),
        ({"verdict": 1}, "x has .*verdict.*known are"),
        ({"see": ["steps#nowhere"]}, "no 'steps#nowhere'.*why"),
        ({"see": ["nowhere"]}, "no 'nowhere'.*steps"),
        ({"id": "Not a slug"}, "write 'not-a-slug'"),
        ({"messages": [{"says": "no"}]}, "`by` or `from`"),
        ({"id": "y"}, "stands twice"),
    ],
)
def test_an_entry_that_cannot_stand_is_refused_by_name(tmp_path, change, complaint):
    row = {"id": "x", "title": "T", "cause": "C", "remedy": "R", "see": ["steps#why"]}
    changed = {key: value for key, value in (row | change).items() if value is not None}
    (tmp_path / "troubles").mkdir()
    (tmp_path / "steps.md").write_text("# Steps\n\n## Why\n")
    rows = json.dumps([row | {"id": "y"}, changed])
    text = f"kind: K\nabout: A\nentries: {rows}\n"
    (tmp_path / "troubles" / "k.yml").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        symptoms.read(tmp_path)
