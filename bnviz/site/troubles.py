"""Sphinx extension: the directive `{troubles}` writes the entries of `book/troubles/` into a page.

Each becomes a section with a heading, so that the site's search, the page's table of contents and
links find it. What frameworks print stands there literally, as text that is searched.
"""

from html import escape
from pathlib import Path
from typing import cast

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bnviz.site import symptoms
from bnviz.site.app import Book
from bnviz.site.symptoms import Kind, Message, Symptom

__all__ = ["setup"]

_FILTER = '<div class="bnviz-filter"></div>'  # troubles.js puts its field there


class TroublesDirective(SphinxDirective):
    """`{troubles}`: every symptom by kind, with cause, check and remedy."""

    def run(self) -> list[nodes.Node]:
        book = Path(self.env.doc2path(self.env.docname)).parent
        for path in symptoms.files(book):
            self.env.note_dependency(str(path))
        try:
            kinds = symptoms.read(book)
        except ValueError as error:
            raise self.error(str(error)) from error
        document = self.state.document
        before = set(map(id, document.findall(nodes.section)))
        lines = [line for kind in kinds for line in _kind(kind)]
        # MyST hangs what it finds below the page's title, and not into this node
        self.state.nested_parse(
            StringList(lines, "troubles"), 0, nodes.section(), match_titles=True
        )
        sections = [s for s in document.findall(nodes.section) if id(s) not in before]
        if sections:
            place = cast(nodes.Element, sections[0].parent)
            place.insert(place.index(sections[0]), nodes.raw("", _FILTER, format="html"))
        _name(sections, kinds, document)
        return []


def _name(sections: list[nodes.section], kinds: list[Kind], document: nodes.document) -> None:
    """Give each entry's section its own short id: titles are long, and may be reworded."""
    waiting = iter(sections)
    for kind in kinds:
        next(waiting)["classes"].append("bnviz-troubles")
        for entry in kind.entries:
            section = next(waiting)
            section["classes"].append("bnviz-trouble")
            section["ids"].insert(0, entry.id)
            document.ids[entry.id] = section


def _kind(kind: Kind) -> list[str]:
    entries = [line for entry in kind.entries for line in _entry(entry)]
    return [f"## {kind.kind}", "", kind.about, "", *entries]


def _entry(entry: Symptom) -> list[str]:
    """One entry as Markdown."""
    lines = [f"### {entry.title}", ""]
    for message in entry.messages:
        lines += _message(message)
    if entry.words:
        words = ", ".join(f"`{word}`" for word in entry.words)
        lines += [":::{container} bnviz-words", f"Words: {words}", ":::", ""]
    lines += [entry.cause, ""]
    if entry.check:
        lines += ["**Is it this?** True if so:", "", *_code(entry.check)]
    lines += [f"**Remedy.** {entry.remedy}", ""]
    if entry.code:
        lines += _code(entry.code)
    if entry.framework:
        lines += [f"*This code is for {entry.framework}. We have not run it.*", ""]
    return [*lines, *_links(entry)]


def _message(message: Message) -> list[str]:
    said = [f"*{message.source}:*", ""] if message.source else []
    return [*said, "```{code-block} none", ":class: bnviz-literal", message.says, "```", ""]


def _code(code: str) -> list[str]:
    return ["```python", *code.rstrip().splitlines(), "```", ""]


def _links(entry: Symptom) -> list[str]:
    places = [f'<a href="{address}">{escape(words)}</a>' for address, words in entry.see]
    places += [f"{{fig}}`{name}`" for name in entry.figures]
    found = "; ".join(f"*{kind}*" for kind in entry.findings)
    examined = f" [`bnviz.examine`](api) calls it {found}." if found else ""
    return [":::{container} bnviz-see", f"See {'; '.join(places)}.{examined}", ":::", ""]


def setup(app: Sphinx) -> dict:
    """Register the directive; its page gets a style and a script."""
    app.add_directive("troubles", TroublesDirective)
    app.connect("html-page-context", _add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_files(app: Book, pagename, templatename, context, doctree) -> None:
    """Beside the figures' own files, which `bnviz.site.figures` has copied by then."""
    if "bnviz-trouble" in context.get("body", ""):
        app.add_css_file(f"{app.bnviz_page}/troubles.css")
        app.add_js_file(f"{app.bnviz_page}/troubles.js", type="module")
