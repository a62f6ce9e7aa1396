"""Sphinx extension: figures that compute in the reader's browser, with nothing from other hosts.

At build time it compiles the PyTorch functions of every registered figure, writes what a page needs
under `_static/bnviz/`, and adds scripts only to pages that hold a figure.

In a Markdown page the directive `{explorer} NAME` shows a figure; in a notebook `bnviz.show(NAME)`
leaves the same HTML behind. Figures of a chapter are numbered, and `{fig}` refers to one by name.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from bnviz import explorers
from bnviz.figure.html import figure_html
from bnviz.site.app import Book
from bnviz.site.config import complete_config, mend_pages, social_card
from bnviz.site.files import imported, write_figures, write_libraries, write_scripts
from bnviz.site.icons import trim_icons
from bnviz.site.neighbours import announce, collect_cards
from bnviz.site.numbers import FigureRole, number_figures, refer
from bnviz.site.where import say_where
from bnviz.tools import assets

__all__ = ["setup"]

_FIGURE = re.compile(
    r'(<figure class="bnviz" data-explorer="([a-z0-9-]+)")([^>]*>)(<figcaption><strong)?'
)
_THUMB = re.compile(r'(<span class="bnviz-thumb" data-figure="([a-z0-9-]+)">)')
_NOTE = re.compile(r'(<p class="bnviz-note">)[^<]*(</p>)')
_STILL = (
    "This drawing moves in a browser with JavaScript, from a web server: open the published book, "
    "or run <code>make serve</code>."
)


class ExplorerDirective(SphinxDirective):
    """`{explorer} NAME`: a figure in a Markdown page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            html = figure_html(explorers.get(self.arguments[0]), {})
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", html, format="html")]


class ThumbnailDirective(SphinxDirective):
    """`{thumbnail} NAME`: the first drawing of a figure as a small picture, for a card."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in explorers.names():
            raise self.error(f"no figure is called {name!r}; the book has {explorers.names()}")
        html = f'<span class="bnviz-thumb" data-figure="{name}"></span>'
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict:
    """Register the directives and the build steps."""
    app.add_directive("explorer", ExplorerDirective)
    app.add_directive("thumbnail", ThumbnailDirective)
    app.add_role("fig", FigureRole())
    app.connect("config-inited", complete_config)
    app.connect("builder-inited", _write_assets)
    app.connect("env-check-consistency", number_figures)  # chapters have their numbers by then
    app.connect("env-check-consistency", collect_cards)
    app.connect("html-page-context", announce)
    app.connect("html-page-context", say_where)
    app.connect("html-page-context", _bring_figures_to_life)
    app.connect("html-page-context", _tidy_scripts, priority=900)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", trim_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write_assets(app: Book) -> None:
    """Everything the pages load, below `_static/bnviz/`."""
    if app.builder.format != "html":
        return
    home = Path(app.outdir) / "_static" / "bnviz"
    modules = assets.node_modules()
    app.bnviz_urls = urls = write_libraries(home, modules)
    app.bnviz_page = write_scripts(home)
    app.bnviz_figures = write_figures(home / "figures", map(explorers.get, explorers.names()), urls)


def _bring_figures_to_life(app: Book, pagename, templatename, context, doctree) -> None:
    """Point each figure of a page to its description and posters; add the scripts."""
    app.add_css_file(f"{app.bnviz_page}/reading.css")
    app.add_js_file(f"{app.bnviz_page}/paper.js", type="module")
    app.add_js_file(f"{app.bnviz_page}/buttons.js", loading_method="defer")
    body = context["body"] = refer(app, pagename, context.get("body", ""))
    if not _FIGURE.search(body) and "bnviz-stored" not in body:
        return
    address = context["pathto"]

    seen: dict[str, None] = {}

    def complete(match: re.Match) -> str:
        name = match[2]
        if name not in app.bnviz_figures:
            raise ExtensionError(f"{pagename}: no figure is called {name!r}; run its cell again")
        spec = address(f"_static/bnviz/figures/{app.bnviz_figures[name]['spec']}", 1)
        anchor = "" if name in seen else f' id="{name}"'
        number = app.bnviz_numbers.get((pagename, name), "")
        label = f' data-number="Figure {number}"' if number else ""
        seen[name] = None
        posters = _posters(app, address, name)
        title = f"{match[4]}{label}" if match[4] else ""  # its number, until the figure is drawn
        return f'{match[1]}{anchor}{label} data-spec="{spec}"{match[3]}{posters}{title}'

    body = _FIGURE.sub(complete, body)
    body = _THUMB.sub(lambda m: f"{m[1]}{_posters(app, address, m[2])}", body)
    for name in list(seen)[:1]:
        social_card(app, context, app.bnviz_figures[name]["picture"], explorers.get(name).title)
    body = _NOTE.sub(rf"\1{_STILL}\2", body)
    plotly = address(f"_static/bnviz/figures/{app.bnviz_urls['plotly']}", 1)
    context["body"] = body.replace(
        '<div class="bnviz-stored"', f'<div class="bnviz-stored" data-plotly="{plotly}"'
    )
    app.add_css_file(f"{app.bnviz_page}/explorer.css")
    app.add_js_file(f"{app.bnviz_page}/explorer.js", type="module")
    context["metatags"] = context.get("metatags", "") + _early(app, address, plotly)


def _early(app: Book, address, plotly: str) -> str:
    """Links to what figures will ask for, so that no file waits until another one is read."""
    modules = (address(f"_static/{app.bnviz_page}/{name}", 1) for name in imported("explorer.js"))
    links = [f'<link rel="preload" as="script" href="{plotly}">']
    links += (f'<link rel="modulepreload" href="{module}">' for module in modules)
    return "\n" + "\n".join(links)


def _posters(app: Book, address, name: str) -> str:
    """The first drawing as two pictures, of which the page's mode shows one."""
    return "".join(
        f'<img class="bnviz-poster dark-light only-{mode}-poster" alt="" width="700" {loading}'
        f'src="{address(f"_static/bnviz/figures/{app.bnviz_figures[name][mode]}", 1)}">'
        # one that is not shown is not loaded; paper shows the light one, which must be there
        for mode, loading in (("light", ""), ("dark", 'loading="lazy" '))
    )


def _tidy_scripts(app, pagename, templatename, context, doctree) -> None:
    """Each script once, and none of Thebe's: its library would come from another host."""
    kept = {}
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        text = f"{getattr(script, 'filename', script)} {sorted(attributes.items())}"
        if "thebe" not in text.lower():
            kept.setdefault(text, script)
    context["script_files"] = list(kept.values())
