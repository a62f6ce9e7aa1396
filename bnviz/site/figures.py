"""Sphinx extension: figures that compute in the reader's browser, with nothing from other hosts.

Three lines in a conf.py put figures, the book's or one's own, into any Sphinx project:

    extensions = ["myst_nb", "bnviz.site.figures"]

In a Markdown page the directive `{explorer} NAME` shows a figure; in a notebook `bnviz.show(NAME)`
leaves the same HTML behind. Figures of a chapter are numbered, and `{fig}` refers to one by name.

The PyTorch functions of the figures that the pages show are compiled, all that a page needs lies
under `_static/bnviz/`, and scripts are added only to pages that hold a figure. When the source of a
figure changes, its pages are built again. `bnviz.site.book` adds what only this book needs.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from bnviz import explorers
from bnviz.figure.html import figure_html
from bnviz.site import shown
from bnviz.site.app import Book
from bnviz.site.cards import social_card
from bnviz.site.files import imported, write_figures, write_plotly, write_scripts
from bnviz.site.numbers import FigureRole, number_figures, refer
from bnviz.tools import assets

__all__ = ["setup"]

_FIGURE = re.compile(
    r'(<figure class="bnviz" data-explorer="([a-z0-9-]+)")([^>]*>)(<figcaption><strong)?'
)
_THUMB = re.compile(r'(<span class="bnviz-thumb" data-figure="([a-z0-9-]+)">)')
_NOTE = re.compile(r'(<p class="bnviz-note">)[^<]*(</p>)')
_STILL = (
    "This drawing moves in a browser with JavaScript, from a web server: open the published page, "
    "or run <code>{}</code>."
)
# Of a notebook's outputs: a plotly figure as it is stored, and never the widget of a kernel.
_MIME = (
    ("html", "application/vnd.jupyter.widget-view+json", None),
    ("html", "application/vnd.plotly.v1+json", 1),
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
        try:
            explorers.get(name)
        except ValueError as error:
            raise self.error(str(error)) from error
        html = f'<span class="bnviz-thumb" data-figure="{name}"></span>'
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict:
    """Register the directives and the build steps."""
    app.add_directive("explorer", ExplorerDirective)
    app.add_directive("thumbnail", ThumbnailDirective)
    app.add_role("fig", FigureRole())
    # what a reader runs who has opened a page as a file
    app.add_config_value("bnviz_serve", "python -m http.server", "html", [str])
    app.connect("config-inited", _choose_outputs)
    app.connect("builder-inited", _write_libraries)
    shown.connect(app)
    app.connect("env-check-consistency", number_figures)  # chapters have their numbers by then
    app.connect("env-check-consistency", _write_figures)
    app.connect("html-page-context", _bring_figures_to_life)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}


def _choose_outputs(app: Sphinx, config) -> None:
    """Which form of a notebook's output MyST-NB takes, where it reads the notebooks."""
    if "nb_mime_priority_overrides" in config:
        config.nb_mime_priority_overrides = [*config.nb_mime_priority_overrides, *_MIME]


def _home(app: Book) -> Path:
    return Path(app.outdir) / "_static" / "bnviz"


def _write_libraries(app: Book) -> None:
    """What all pages with figures load, below `_static/bnviz/`."""
    app.bnviz_numbers, app.bnviz_figures, app.bnviz_urls = {}, {}, {}
    if app.builder.format != "html":
        return
    app.bnviz_urls = write_plotly(_home(app), assets.node_modules())
    app.bnviz_page = write_scripts(_home(app))


def _write_figures(app: Book, env) -> None:
    """Modules, descriptions and posters of the figures that some page shows."""
    if app.builder.format != "html":
        return
    figures = map(explorers.get, shown.figures(env))
    app.bnviz_figures = write_figures(_home(app) / "figures", figures, app.bnviz_urls)


def _bring_figures_to_life(app: Book, pagename, templatename, context, doctree) -> None:
    """Point each figure of a page to its description and posters; add the scripts."""
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
    still = _STILL.format(escape(app.config.bnviz_serve))
    body = _NOTE.sub(lambda m: f"{m[1]}{still}{m[2]}", body)
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
