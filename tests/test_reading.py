"""What stands around the figures: quizzes, numbers, what comes next, paper."""

import re
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from tests.pages import BOOK, FIGURES
from tests.reader import reading

BUILT = BOOK.parent / "_build" / "html" / "book"
NUMBER = {  # page -> the number of its chapter, in the order of the book
    "shift": 1,
    "whitening-and-drift": 1,
    "steps": 2,
    "backprop": 3,
    "placement": 4,
    "inference": 5,
    "benefits": 6,
    "landscape": 6,
    "batches": 7,
    "step-size": 8,
    "taken-apart": 9,
}
CHAPTERS = list(NUMBER)
QUESTION = """\
# Page

::::{admonition} What is *the* mean of 1 and 3?
:class: quiz

:::{admonition} One
:class: dropdown

**Not quite.** That is the `smaller` one.
:::

:::{admonition} Two
:class: dropdown

**Right.** $(1 + 3) / 2$.

Twice.
:::
::::
"""


def built(folder: Path, text: str) -> tuple[str, str]:
    """A page of that text in HTML, and what Sphinx complained of."""
    (folder / "source").mkdir()
    (folder / "source" / "index.md").write_text(text)
    out = folder / "out"
    settings = {
        "extensions": ["myst_parser", "bnviz.site.quiz"],
        "myst_enable_extensions": ["colon_fence", "dollarmath"],
    }
    with (folder / "said").open("w+") as said, docutils_namespace():
        app = Sphinx(
            folder / "source", None, out, folder / "trees", "html", settings, None, warning=said
        )
        app.build()
        said.seek(0)
        return (out / "index.html").read_text(), said.read()


# --- quizzes -------------------------------------------------------------------------------------


def test_a_question_and_its_options_are_plain_html(tmp_path):
    page, said = built(tmp_path, QUESTION)
    assert said == ""
    assert '<p class="bnviz-question" id="quiz-0">What is <em>the</em> mean of 1 and 3?</p>' in page
    options = re.findall(r'<details class="bnviz-option bnviz-(\w+)" name="quiz-0">(.*?)</details>',
                         page, re.DOTALL)  # fmt: skip
    assert [kind for kind, _ in options] == ["wrong", "right"]
    assert "<summary><span>One</span></summary>" in options[0][1]
    assert "<b>Not quite.</b>" in options[0][1]
    assert "<p>That is the <code" in options[0][1]
    assert "<b>Right.</b>" in options[1][1]
    assert "Twice" in options[1][1]
    assert page.count("Right.") == page.count("Not quite.") == 1
    assert "admonition" not in page


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Right", "Not quite", "exactly one option of a quiz is right"),
        ("Not quite", "Right", "exactly one option of a quiz is right"),
        ("**Not quite.** ", "", "the feedback of an option begins with"),
        ("**Not quite.** That is the `smaller` one.", "- One", "the feedback of an option begins"),
        (":class: dropdown\n", "", "and nothing else"),
        (":class: quiz\n\n", ":class: quiz\n\nOne\n\n", "and nothing else"),
    ],
)
def test_a_quiz_that_cannot_be_asked_is_an_error(tmp_path, old, new, why):
    _, said = built(tmp_path, QUESTION.replace(old, new))
    assert why in said


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_quiz_answers_without_javascript_and_from_the_keyboard(browser, book_url, chapter):
    with reading(browser, book_url, java_script_enabled=False) as reader:
        reader.open(f"book/{chapter}.html")
        quizzes = reader.page.locator(".bnviz-quiz")
        assert quizzes.count() >= 3
        for quiz in quizzes.all():
            options = quiz.locator("details")
            assert quiz.locator(".bnviz-right").count() == 1
            first, last = options.first, options.last
            first.locator("summary").focus()
            reader.page.keyboard.press("Enter")
            assert first.locator(".bnviz-feedback").is_visible()
            last.locator("summary").click()
            assert last.locator(".bnviz-feedback").is_visible()
            assert not first.locator(".bnviz-feedback").is_visible()


# --- numbers and neighbours ----------------------------------------------------------------------


def test_figures_are_numbered_by_chapter_in_their_order():
    found = {}
    for chapter, number in NUMBER.items():
        page = (BUILT / f"{chapter}.html").read_text()
        shown = re.findall(r'data-explorer="([\w-]+)"[^>]*?id="[\w-]+" data-number="([^"]+)"', page)
        assert [name for name, _ in shown] == list(dict.fromkeys(FIGURES[f"{chapter}.html"]))
        captions = re.findall(r'<figcaption><strong data-number="([^"]+)">', page)
        assert captions == [label for _, label in shown]  # before a figure is drawn
        found.setdefault(number, []).extend(label for _, label in shown)
    for number, labels in found.items():
        assert labels == [f"Figure {number}.{k + 1}" for k in range(len(labels))]
    assert "data-number" not in (BUILT / "intro.html").read_text()


def test_references_to_figures_lead_to_them():
    links = [
        (page, target, name, label)
        for page in (f"{chapter}.html" for chapter in CHAPTERS)
        for target, name, label in re.findall(
            r'<a class="bnviz-fig" href="([\w.]*)#([\w-]+)">([^<]+)</a>', (BUILT / page).read_text()
        )
    ]
    assert links
    for page, target, name, label in links:
        home = (BUILT / (target or page)).read_text()
        assert re.search(rf'id="{name}" data-number="{label}"', home), (page, name)
    assert 'class="bnviz-fig" data-figure' not in "".join(
        (BUILT / f"{chapter}.html").read_text() for chapter in CHAPTERS
    )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_equations_and_exercises_carry_the_chapters_number(chapter):
    page = (BUILT / f"{chapter}.html").read_text()
    number = NUMBER[chapter]
    assert {n.split(".")[0] for n in re.findall(r'eqno">\((\d+\.\d+)\)', page)} <= {str(number)}
    exercises = re.findall(r'caption-number">Exercise (\d+\.\d+) ', page)
    assert len(exercises) >= 4
    assert {n.split(".")[0] for n in exercises} == {str(number)}


def test_each_page_says_what_the_next_one_holds():
    for page in ("intro", *CHAPTERS[:-1]):
        text = (BUILT / f"{page}.html").read_text()
        following = re.search(r'<a class="right-next".*?</a>', text, re.DOTALL)[0]
        assert len(re.search(r'<span class="bnviz-ahead">([^<]+)</span>', following)[1]) > 20


# --- who comes by a link ---------------------------------------------------------------------


def test_each_page_says_of_which_book_it_is():
    for page in (*CHAPTERS, "ledger", "notation", "glossary", "troubleshooting"):
        text = (BUILT / f"{page}.html").read_text()
        line = re.search(r'</h1>\s*<p class="bnviz-where">(.*?)</p>', text, re.DOTALL)[1]
        assert 'href="intro.html">Batch Normalization, Live</a>' in line
        assert ('href="glossary.html"' in line) == (page != "glossary")
        assert ('href="notation.html"' in line) == (page != "notation")
        assert ('href="troubleshooting.html"' in line) == (page != "troubleshooting")
    assert "bnviz-where" not in (BUILT / "intro.html").read_text()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (360, 740)])
def test_who_presses_play_on_the_landing_page_sees_it_move(browser, book_url, width, height):
    with reading(browser, book_url) as reader:
        reader.page.set_viewport_size({"width": width, "height": height})
        reader.open("book/intro.html")
        figure = reader.figure("drift")
        reader.page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
        reader.page.locator('figure button[name="play"]').scroll_into_view_if_needed()
        top = "node.querySelector('.bnviz-plot').getBoundingClientRect().top"
        assert figure.evaluate(f"{top} > innerHeight * 2 / 3")
        figure.press("play")
        figure.wait_for("Number(node.dataset.step) > 10")
        figure.wait_for(f"{top} < innerHeight * 2 / 3")
        painted = """(() => {
            const gd = node.querySelector('.bnviz-plot');
            const { xaxis, yaxis } = gd._fullLayout;
            const canvas = node.querySelector('.bnviz-marks');
            const [x, y] = [xaxis._offset + 1, yaxis._offset + yaxis._length / 2];
            const ratio = canvas.width / parseFloat(canvas.style.width);
            return canvas.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data[3] > 0;
        })()"""
        figure.wait_for(painted, timeout=10_000)
        assert figure.step < 240  # the run of the first drawing; then plotly draws it all anew
        figure.press("play")


# --- search --------------------------------------------------------------------------------------


def test_the_search_finds_chapters_with_the_book_alone(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("search.html?q=saturated")
        found = reader.page.locator("#search-results li a")
        found.first.wait_for()
        titles = " ".join(found.all_inner_texts())
        assert "Internal covariate shift" in titles
        assert "Glossary" in titles


# --- paper ---------------------------------------------------------------------------------------


def test_on_paper_figures_stand_as_they_are_and_light(browser, book_url):
    with reading(browser, book_url, color_scheme="dark") as reader:
        reader.open("book/steps.html")
        figure = reader.figure("scale-shift")
        figure.move("beta", 2)
        figure.rest()
        said = figure.readout
        reader.page.emulate_media(media="print")
        reader.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert reader.page.evaluate("document.documentElement.dataset.theme") == "light"
        assert figure.root.locator(".main-svg").first.is_visible()
        assert figure.readout == said
        for hidden in (".bnviz-tools", ".bnviz-controls", ".bnviz-note", ".bnviz-marks"):
            assert not figure.root.locator(hidden).first.is_visible()
        for hidden in (".bd-sidebar-primary", ".prev-next-footer", ".bd-header-article"):
            assert not reader.page.locator(hidden).first.is_visible()
        assert len(reader.page.pdf()) > 50_000
        reader.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert reader.page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("page", ["notation", "ledger"])
def test_on_paper_pages_without_figures_are_light_too(browser, book_url, page):
    with reading(browser, book_url, color_scheme="dark") as reader:
        reader.open(f"book/{page}.html")
        theme = "document.documentElement.dataset.theme"
        assert reader.page.evaluate(theme) == "dark"
        reader.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert reader.page.evaluate(theme) == "light"
        reader.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert reader.page.evaluate(theme) == "dark"


def test_on_paper_nothing_waits_to_be_opened_or_scrolled(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open("book/placement.html")
        reader.page.emulate_media(media="print")
        assert reader.page.locator(".bd-article h1").inner_text().startswith("4. Placement")
        solution = reader.page.locator(".tag_hide-cell pre").first
        assert solution.is_visible()
        assert not reader.page.locator("details.hide > summary").first.is_visible()
        assert not reader.page.locator(".tag_hide-input .cell_input pre").first.is_visible()
        cut = "nodes => nodes.filter(n => n.scrollWidth > n.clientWidth + 1).length"
        for what in ("pre", "div.math", ".pst-scrollable-table-container"):
            assert reader.page.locator(f".bd-article {what}").evaluate_all(cut) == 0, what
