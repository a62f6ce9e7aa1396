"""JupyterLab shows the prose of the notebooks as the book does, and keeps their answers closed."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from bnviz.tools import notebooks
from tests.lab import REPOSITORY, SECONDS, TOKEN

pytestmark = pytest.mark.xdist_group("lab")  # one server for all

NOTEBOOKS = {path.stem: path for path in notebooks.find(REPOSITORY / "book")}

# Opens a notebook without a kernel, which its prose does not need, and waits until every Markdown
# cell is there.
OPEN = """async ([path, seconds]) => {
  const kernelPreference = { shouldStart: false, canStart: false, autoStartDefault: false };
  const options = { path, factory: "Notebook", kernelPreference };
  const panel = await jupyterapp.commands.execute("docmanager:open", options);
  await panel.context.ready;
  const cells = panel.content.widgets.filter((cell) => cell.model.type === "markdown");
  const shown = (cell) => cell.node.querySelector(".myst, .jp-MarkdownOutput");
  const ends = Date.now() + 1000 * seconds;
  while (!cells.every((cell) => shown(cell)?.textContent.trim())) {
    if (Date.now() > ends) throw new Error("a Markdown cell stays empty");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  cells.forEach((cell) => shown(cell).classList.add("read-by-test"));
}"""

# The text as a reader sees it: formulas, code and what lies in closed boxes aside.
PROSE = """(cells) => cells.map((cell) => {
  const copy = cell.cloneNode(true);
  copy.querySelectorAll(".katex, .MathJax, mjx-container, code").forEach((node) => node.remove());
  return copy.textContent;
}).join("\\n")"""

RAW = {
    "a fence": r":::|```",
    "a directive or a role": r"\{[a-z:-]+\}",
    "an option": r"(?m)^\s*:[a-z]+:",
    "a label": r"\([a-z-]+\)=",
    "what JupyterLab does not know": r"(?i)unknown (directive|role)",
}


@pytest.fixture(scope="module")
def page(lab, browser: Browser) -> Iterator[Page]:
    """JupyterLab beside the notebooks of the book."""
    url, folder = lab
    for path in (REPOSITORY / "book").iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    # JupyterLab would otherwise leave out the cells that are far away
    settings = folder.parent / "jupyter_config_dir" / "lab" / "user-settings"
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True, exist_ok=True)
    tracker.write_text('{"windowingMode": "none"}')
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{url}lab?token={TOKEN}")
    page.wait_for_function("globalThis.jupyterapp?.commands", timeout=SECONDS * 1e3)
    page.evaluate("jupyterapp.restored")
    yield page
    page.close()
    tracker.unlink()


@pytest.fixture(scope="module", params=NOTEBOOKS)
def opened(page: Page, request: pytest.FixtureRequest) -> Iterator[tuple[Path, Page]]:
    """One notebook of the book with its prose rendered."""
    page.evaluate(OPEN, [f"{request.param}.ipynb", SECONDS])
    yield NOTEBOOKS[request.param], page
    page.evaluate("for (const panel of [...jupyterapp.shell.widgets('main')]) panel.dispose()")


def markdown(path: Path) -> str:
    """What is written in a notebook's Markdown cells."""
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_nothing_is_shown_as_it_was_typed(opened):
    path, page = opened
    shown = page.locator(".read-by-test")
    assert shown.count() == sum(
        cell.cell_type == "markdown" for cell in nbformat.read(path, as_version=4).cells
    )
    prose = shown.evaluate_all(PROSE)
    raw = {what: re.findall(pattern, prose) for what, pattern in RAW.items()}
    assert {what: found for what, found in raw.items() if found} == {}


def test_what_it_cannot_look_up_is_shown_by_its_name(opened):
    """Known limits: it reads no .bib file, no other page's glossary, and numbers no figure."""
    path, page = opened
    source, prose = markdown(path), "\n".join(page.locator(".read-by-test").all_inner_texts())
    cited = re.findall(r"\{cite:[pt]\}`([^`]+)`", source)
    named = page.locator(".read-by-test [title='Citation Not Found']").all_text_contents()
    assert sorted(named) == sorted(cited)
    for name in re.findall(r"\{fig\}`([^`]+)`", source):
        assert name in prose
    for words in re.findall(r"\{term\}`([^`<]+) <", source):
        assert words in prose


def test_answers_stay_closed_until_they_are_asked_for(opened):
    path, page = opened
    source = markdown(path)
    boxes = page.locator(".read-by-test details")
    closed = re.findall(r"(?m)^:class: dropdown$", source)
    assert boxes.count() == len(closed)
    assert page.locator(".read-by-test details[open]").count() == 0
    for said in ("Right.", "Not quite."):
        words = page.locator(".read-by-test strong", has_text=re.compile(rf"^{said}$"))
        assert words.count() == source.count(f"**{said}**")
        assert not any(word.is_visible() for word in words.all())
    if closed:
        boxes.first.locator("summary").first.click()
        assert boxes.first.locator(".details-body").is_visible()


def test_a_link_to_another_chapter_says_its_title(opened):
    path, page = opened
    links = re.findall(r"\[([^\]]*)\]\((\w+)\.ipynb\)", markdown(path))
    for words, chapter in links:
        assert markdown(NOTEBOOKS[chapter]).startswith(f"# {words}\n")
        assert page.locator(".read-by-test a", has_text=words).count()
