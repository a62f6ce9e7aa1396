"""The claims ledger: complete, and its numbers are read, never typed."""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output

from bnviz import experiments, explorers
from bnviz.experiments.verdicts import CANNOT, HOLDS, NO, OPEN, WHEN, WRONG
from bnviz.site import ledger, parts, places
from bnviz.site.verdict import badge
from tests.pages import FIGURES, PAGE

BOOK = Path(__file__).parent.parent / "book"
ROW = {
    "id": "C01",
    "claim": "It works.",
    "sources": ["S0"],
    "chapter": "steps",
    "measured": "It did in {runs} of 5.",
    "numbers": {"runs": {"notebook": "steps", "find": r"learned: (\d) of 5"}},
    "parts": [{"says": "It cannot be seen.", "cannot": "it is dark"}],
}


@pytest.fixture
def book(tmp_path):
    """A made-up book: what one notebook printed, and rows that a test writes."""
    printed = new_output("stream", text="learned: 4 of 5\nlost: 1 of 5\n")
    table = new_output("execute_result", {"text/plain": "     runs\nbn      3", "text/html": "<b>"})
    notebook = new_notebook(cells=[new_code_cell("...", outputs=[printed, table])])
    nbformat.write(notebook, tmp_path / "steps.ipynb")

    def write(*rows: dict):
        (tmp_path / "claims").mkdir(exist_ok=True)
        (tmp_path / "claims" / "steps.yml").write_text(yaml.safe_dump(list(rows)))
        return ledger.read(tmp_path)

    return write


def test_a_number_comes_from_what_a_notebook_printed(book):
    (claim,) = book(ROW)
    assert claim.measured == "It did in 4 of 5."
    assert claim.commands == ("make notebooks NB=book/steps.ipynb",)


def test_a_claim_stands_in_the_file_of_its_chapter(book):
    with pytest.raises(
        ValueError, match=r"C99 is in steps\.yml; a claim of shift belongs into shift"
    ):
        book(ROW | {"id": "C99", "chapter": "shift"})


def test_a_number_comes_from_a_table(book):
    place = {"notebook": "steps", "find": r"^bn +(\d)$"}
    assert book(ROW | {"numbers": {"runs": place}})[0].measured == "It did in 3 of 5."


def test_a_number_comes_from_a_stored_experiment(book, monkeypatch):
    stored = {"summary": {"bn": {"seeds": [1, 2.345]}}}
    monkeypatch.setattr(experiments, "load", lambda name: {"toy": stored}[name])
    place = {"experiment": "toy", "key": "summary.bn.seeds.1", "format": ".1f"}
    (claim,) = book(ROW | {"numbers": {"runs": place}})
    assert claim.measured == "It did in 2.3 of 5."
    assert claim.commands == ("python -m bnviz.experiments toy",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"verdict": "holds"}, "known are"),
        ({"parts": [{"says": "It works."}]}, "without evidence, no verdict"),
        ({"parts": []}, "verdicts of parts"),
        ({"measured": "It did."}, "does not use"),
        ({"measured": "{runs} and {more}"}, "more"),
        ({"numbers": {"runs": {"notebook": "steps", "find": "(nothing)"}}}, "gives \\[\\]"),
        ({"numbers": {"runs": {"notebook": "steps", "find": r"(\d) of 5"}}}, "'4', '1'"),
    ],
)
def test_a_row_that_cannot_be_filled_is_refused_by_name(book, change, complaint):
    with pytest.raises(ValueError, match=f"C01.*{complaint}"):
        book(ROW | change)


def test_a_row_without_parts_is_refused(book):
    with pytest.raises(ValueError, match=r"C01 has no .*parts"):
        book({k: v for k, v in ROW.items() if k != "parts"})


# --- the book's own ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def claims():
    return ledger.read(BOOK)


def test_every_claim_has_its_row_in_order(claims):
    ids = [claim.id for claim in claims]
    assert ids == [f"C{k:02}" for k in range(1, len(ids) + 1)]
    assert len(ids) >= 14


def test_rows_point_to_chapters_and_figures_that_exist(claims):
    for claim in claims:
        assert f"{claim.chapter}.html" in FIGURES, claim.id
        if claim.figure:
            assert PAGE[claim.figure] == f"{claim.chapter}.html", claim.id
            assert claim.figure in explorers.names()


def test_numbers_are_written_as_in_a_sentence(claims):
    for claim in claims:
        words = re.sub(r"`[^`]*`|\$[^$]*\$", "", claim.measured)
        assert not re.search(r"\de[+-]\d|(?<!\w)-\d", words), f"{claim.id}: {words}"


def test_numbers_are_not_typed(claims):
    """What is measured has no digit in its own words, but for names such as BN-x5 and 5 x 64."""
    for row, claim in zip(ledger.rows(BOOK), claims, strict=True):
        words = re.sub(r"\{\w+\}|`[^`]*`|\bC\d\d\b|\$[^$]*\$", "", row["measured"])
        assert not re.search(r"\d", words), f"{claim.id}: {words}"
        assert row.get("numbers") or claim.verdict == "cannot be measured here", claim.id


def test_every_chapter_judges_its_claims(claims):
    """The table at the end of a chapter names each claim of its own, with the ledger's verdict."""
    for claim in claims:
        cells = nbformat.read(BOOK / f"{claim.chapter}.ipynb", as_version=4).cells
        rows = [line for cell in cells for line in cell.source.split("\n") if line.startswith("|")]
        own = [row for row in rows if f"({claim.id})" in row]
        assert any(f"{{verdict}}`{claim.id}`" in row for row in own), claim.id


def test_the_page_and_its_data_are_built(claims):
    data = json.loads((BOOK.parent / "_build/html/_static/bnviz/claims.json").read_text())
    assert [row["measured"] for row in data] == [claim.measured for claim in claims]
    page = (BOOK.parent / "_build/html/book/ledger.html").read_text()
    assert all(f'id="{claim.id.lower()}"' in page for claim in claims)


def test_a_chapter_says_the_verdict_that_the_ledger_computes(claims):
    for claim in claims:
        page = (BOOK.parent / f"_build/html/book/{claim.chapter}.html").read_text()
        said = f'<a href="ledger.html#{claim.id.lower()}">{badge(claim.verdict)}</a>'
        assert said in page, claim.id


# --- parts and their verdicts --------------------------------------------------------------------

TUNED = {
    "says": "Tuned, it is better.",
    "rival": "It had more seeds.",
    "contest": "tuned-sigmoid-5",
    "against": "plain",
    "measure": "accuracy",
    "margin": 0.01,
}
PAIRED = {
    "says": "It is better.",
    "rival": "Nobody tuned it.",
    "experiment": "toy",
    "by": {"net": ["bn", "plain"]},
    "values": ["accuracy"],
    "margin": 0.05,
    "unit": "accuracy",
}
LIMITED = {
    "says": "Most learn.",
    "numbers": {"runs": {"notebook": "steps", "find": r"learned: (\d of \d)"}},
    "limit": {"above": 0.5},
}


def toy(**accuracy: list[float]) -> dict:
    """A stored experiment: by network, one accuracy for each seed."""
    rows = [
        {"net": net, "seed": seed, "accuracy": value}
        for net, values in accuracy.items()
        for seed, value in enumerate(values)
    ]
    return {"rows": rows, "grid": {"net": list(accuracy), "seed": [0, 1, 2]}}


def test_a_verdict_of_a_contest_follows_from_the_stored_rows(book, monkeypatch):
    (claim,) = book(ROW | {"parts": [TUNED, TUNED | {"measure": "search"}]})
    tuned, searched = claim.parts
    result = experiments.load("tuned-sigmoid-5")
    for condition, effect in tuned.effects.items():
        stored = result["summary"]["effects"]["plain"][condition]
        assert effect.mean == pytest.approx(stored["mean"], rel=0.01)
    assert (tuned.verdict, searched.verdict, claim.verdict) == (WHEN, HOLDS, WHEN)
    # other data, another verdict
    turned = json.loads(json.dumps(result))
    for row in turned["rows"]:
        row["contender"] = {"bn": "plain", "plain": "bn"}[row["contender"]]
    monkeypatch.setattr(experiments, "load", lambda name: turned)
    (claim,) = book(ROW | {"parts": [TUNED, TUNED | {"measure": "search"}]})
    assert [part.verdict for part in claim.parts] == [NO] * 2


@pytest.mark.parametrize(
    ("bn", "plain", "change", "verdict"),
    [
        ([0.9, 0.8, 0.9], [0.7, 0.6, 0.8], {}, HOLDS),
        ([0.7, 0.6, 0.8], [0.9, 0.8, 0.9], {}, NO),
        ([0.7, 0.6, 0.8], [0.9, 0.8, 0.9], {"less": True}, HOLDS),
        ([0.9, 0.6, 0.8], [0.7, 0.8, 0.9], {}, OPEN),
        ([0.9, 0.8, 0.9], [0.3, 0.4, 0.3], {"ratio": True, "margin": 1.5}, HOLDS),
        ([0.9, 0.8, 0.9], [0.3, 0.4, 0.3], {"ratio": True, "margin": 5}, NO),
        ([0.9, None, 0.9], [0.7, 0.8, 0.8], {"missing": 0.1}, OPEN),
    ],
)
def test_a_verdict_of_pairs_follows_from_their_rows(book, monkeypatch, bn, plain, change, verdict):
    monkeypatch.setattr(experiments, "load", lambda name: toy(bn=bn, plain=plain))
    (claim,) = book(ROW | {"parts": [PAIRED | change]})
    assert claim.verdict == claim.parts[0].verdict == verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, HOLDS),
        ({"limit": {"above": 0.9}}, NO),
        ({"limit": {"above": 0.9}, "fails": "error found"}, WRONG),
        ({"limit": {"above": 0.7, "below": 0.8}}, HOLDS),
        ({"limit": {"below": 0.7}}, NO),
    ],
)
def test_a_verdict_of_numbers_follows_from_what_was_printed(book, change, verdict):
    (claim,) = book(ROW | {"parts": [LIMITED | change]})
    assert claim.verdict == claim.parts[0].verdict == verdict
    assert claim.parts[0].values == {"runs": "4 of 5"}


@pytest.mark.parametrize(
    ("row", "change", "complaint"),
    [
        (TUNED, {"contest": "convergence"}, "is no contest"),
        (TUNED, {"against": "nobody"}, r"there are \['plain'\]"),
        (TUNED, {"measure": "beauty"}, "cannot measure 'beauty'"),
        (TUNED, {"verdict": "holds"}, "and nothing else"),
        (PAIRED, {"by": {"colour": ["red", "blue"]}}, "no axes"),
        (PAIRED, {"values": ["beauty"]}, "no 'beauty'"),
        (PAIRED, {"by": {"net": ["bn", "none"]}}, "make no pairs"),
        (PAIRED, {"ratio": True}, "a factor >= 1"),
        (PAIRED, {"margin": -1}, "margin >= 0"),
        (LIMITED, {"limit": {}}, "no number can fail"),
        (LIMITED, {"limit": {"above": 2, "below": 1}}, "no number can fail"),
        (LIMITED, {"limit": {"about": 2}}, "above, below or both"),
        (LIMITED, {"fails": "holds"}, "fails is"),
        (LIMITED, {"numbers": {"a": {"notebook": "steps", "find": "(learned)"}}}, "no number"),
    ],
)
def test_a_part_that_cannot_be_judged_is_refused_by_name(book, monkeypatch, row, change, complaint):
    load = experiments.load
    stored = toy(bn=[0.9, 0.8, 0.9], plain=[0.7, 0.6, 0.8])
    monkeypatch.setattr(experiments, "load", lambda n: stored if n == "toy" else load(n))
    with pytest.raises(ValueError, match=f"C01.*{complaint}"):
        book(ROW | {"parts": [row | change]})


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("3 of 5", [0.6]),
        ("87%", [0.87]),
        ("-0.6 to  0.5", [-0.6, 0.5]),
        ("below 1e-12", [1e-12]),
        ("2.1 to 3.1", [2.1, 3.1]),
        ("mean below 1e-12, variance 0.5", [1e-12, 0.5]),
    ],
)
def test_numbers_are_read_as_they_are_printed(monkeypatch, text, numbers):
    monkeypatch.setattr(places, "_text", lambda place, book: text)
    assert places.numbers_at({}, BOOK) == pytest.approx(numbers)


# Every part of the book: other data would have turned its verdict.

BOOKS = {
    f"{row['id']}-{k}": part for row in ledger.rows(BOOK) for k, part in enumerate(row["parts"])
}


@pytest.mark.parametrize("name", BOOKS)
def test_other_data_would_have_turned_the_verdict(name, monkeypatch):
    row = BOOKS[name]
    before = parts.read_part(row, BOOK)
    if "cannot" in row:
        assert before.verdict == CANNOT
        return
    if "numbers" in row:
        low, high = row["limit"].get("above"), row["limit"].get("below")
        inside = float(high if low is None else low)
        outside = float(low) - 1 if low is not None else float(high) + 1
        found = []
        for value in (inside, outside):
            monkeypatch.setattr(parts, "numbers_at", lambda *a, v=value: [v])
            found.append(parts.read_part(row, BOOK).verdict)
        assert found == [HOLDS, row.get("fails", NO)]
        return
    # ours and theirs change places
    if "experiment" in row:
        by = {axis: list(pair)[::-1] for axis, pair in row["by"].items()}
        after = parts.read_part(row | {"by": by}, BOOK)
    else:
        stored = json.loads(json.dumps(experiments.load(row["contest"])))
        ours = experiments.get(row["contest"]).contenders[0].name
        names = {ours: row["against"], row["against"]: ours}
        for line in stored["rows"]:
            line["contender"] = names.get(line["contender"], line["contender"])
        monkeypatch.setattr(experiments, "load", lambda name: stored)
        after = parts.read_part(row, BOOK)
    for condition, effect in before.effects.items():
        assert after.effects[condition].mean == pytest.approx(-effect.mean, abs=0.02), condition
    if before.verdict == HOLDS:
        assert after.verdict != before.verdict
