"""Sphinx extension: what this book needs beside its figures.

Its addresses, its own MathJax, scripts and styles for reading, cards for links to a page, and
finished pages that are light, guarded, and kind to a screen reader.
"""

from sphinx.application import Sphinx

from bnviz.site.app import Book
from bnviz.site.config import complete_config, mend_pages
from bnviz.site.files import write_mathjax
from bnviz.site.icons import trim_icons
from bnviz.site.neighbours import announce, collect_cards
from bnviz.site.where import say_where
from bnviz.tools import assets

__all__ = ["setup"]


def setup(app: Sphinx) -> dict:
    """Register the build steps."""
    app.setup_extension("bnviz.site.figures")  # it copies the scripts that are added here
    app.connect("config-inited", complete_config)
    app.connect("builder-inited", _write_mathjax)
    app.connect("env-check-consistency", collect_cards)
    app.connect("html-page-context", announce)
    app.connect("html-page-context", say_where)
    app.connect("html-page-context", _add_scripts)
    app.connect("html-page-context", _tidy_scripts, priority=900)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", trim_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write_mathjax(app: Book) -> None:
    if app.builder.format == "html":
        write_mathjax(app.outdir, assets.node_modules())


def _add_scripts(app: Book, pagename, templatename, context, doctree) -> None:
    app.add_css_file(f"{app.bnviz_page}/reading.css")
    app.add_js_file(f"{app.bnviz_page}/paper.js", type="module")
    app.add_js_file(f"{app.bnviz_page}/buttons.js", loading_method="defer")


def _tidy_scripts(app, pagename, templatename, context, doctree) -> None:
    """Each script once, and none of Thebe's: its library would come from another host."""
    kept = {}
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        text = f"{getattr(script, 'filename', script)} {sorted(attributes.items())}"
        if "thebe" not in text.lower():
            kept.setdefault(text, script)
    context["script_files"] = list(kept.values())
