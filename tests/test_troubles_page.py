"""The page of symptoms as it is built: headings, links, the search, the field that filters."""

import json

import pytest
from sphinx.search.en import SearchEnglish

from bnviz.site import symptoms
from tests.pages import BOOK
from tests.reader import reading

ENTRIES = [entry for kind in symptoms.read(BOOK) for entry in kind.entries]
PAGE = BOOK.parent / "_build" / "html" / "book" / "troubleshooting.html"


def test_every_entry_has_its_heading_and_links_that_lead_on():
    page = PAGE.read_text()
    for entry in ENTRIES:
        assert f'id="{entry.id}"' in page, entry.id
        for address, _ in entry.see:
            file, _, section = address.partition("#")
            assert f'href="{address}"' in page, address
            target = (PAGE.parent / file).read_text()
            assert f'id="{section}"' in target if section else target, address


def test_the_search_index_leads_from_each_message_to_the_page():
    text = (PAGE.parent.parent / "searchindex.js").read_text()
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    here = index["docnames"].index("book/troubleshooting")
    language = SearchEnglish({})
    for entry in ENTRIES:
        for literal in (*(m.says for m in entry.messages), *entry.words):
            for word in language.split(literal.lower()):
                stem = language.stem(word)
                if word.isdigit() or word in language.stopwords:
                    continue
                assert here in _documents(index, stem) | _documents(index, word), (entry.id, word)


def _documents(index: dict, term: str) -> set[int]:
    """The numbers of the pages that hold a term, in their text or in a title."""
    found = [index[part].get(term, []) for part in ("terms", "titleterms")]
    return {k for numbers in found for k in (numbers if isinstance(numbers, list) else [numbers])}


@pytest.mark.page("troubleshooting.html")
def test_the_field_leaves_what_holds_all_words(reader):
    reader.spent = True
    page, shown = reader.page, "section.bnviz-trouble:visible"
    assert page.locator(shown).count() == len(ENTRIES)
    field = page.get_by_label("Only symptoms with these words")
    field.fill("Expected more than 1 VALUE per channel")
    assert 1 <= page.locator(shown).count() < 6
    assert page.locator("#batch-of-one").is_visible()
    said = page.locator(".bnviz-filter [role=status]").inner_text()
    assert said == f"{page.locator(shown).count()} of {len(ENTRIES)} symptoms"
    page.evaluate("location.hash = '#running-nan'")
    page.locator("#running-nan").wait_for(state="visible")
    assert field.input_value() == ""
    field.fill("qwertz 12")
    assert page.locator(shown).count() == 0
    assert page.locator("section.bnviz-troubles:visible").count() == 0


@pytest.mark.page("troubleshooting.html")
@pytest.mark.parametrize(
    ("pasted", "name"),
    [
        (
            "ValueError: Expected more than 1 value per channel when training, got input size "
            "torch.Size([1, 512, 1, 1])",
            "one-by-one-maps",
        ),
        (
            "Error(s) in loading state_dict for ResNet: Missing key(s) in state_dict: "
            '"layer1.0.bn1.running_mean", "layer1.0.bn1.running_var".',
            "missing-keys",
        ),
        (
            "RuntimeError: running_mean should contain 256 elements not 1024",
            "running-mean-should-contain",
        ),
        (
            "one of the variables needed for gradient computation has been modified by an inplace "
            "operation: [torch.cuda.FloatTensor [64, 256]], which is output 0 of ReluBackward0",
            "modified-inplace",
        ),
        (
            "size mismatch for backbone.bn2.running_var: copying a param with shape "
            "torch.Size([128]) from checkpoint, the shape in current model is torch.Size([64]).",
            "size-mismatch",
        ),
    ],
)
def test_a_pasted_message_with_other_numbers_and_names_finds_its_entry(reader, pasted, name):
    reader.spent = True
    reader.page.get_by_label("Only symptoms with these words").fill(pasted)
    assert reader.page.locator(f"#{name}").is_visible()
    assert reader.page.locator("section.bnviz-trouble:visible").count() < 6


@pytest.mark.parametrize(
    "words", ["Expected more than 1 value per channel", "running_mean should contain elements"]
)
def test_the_search_of_the_site_finds_the_page(browser, book_url, words):
    with reading(browser, book_url) as reader:
        reader.open(f"search.html?q={words.replace(' ', '+')}")
        found = reader.page.locator("#search-results li a")
        found.first.wait_for()
        assert "Troubleshooting" in " ".join(found.all_inner_texts())
