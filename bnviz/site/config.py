"""What Sphinx must know of the place where the book is published: addresses, footer."""

import importlib.metadata
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

from bnviz.site import fork
from bnviz.site.policy import guarded, handlers

__all__ = ["complete_config", "mend_pages"]

_LOGGER = logging.getLogger(__name__)
_MATHJAX = ("core", "input/tex", "output/chtml", "a11y/assistive-mml")
_PRELOADED = "".join(
    rf'<link rel="preload" as="script" href="\2/{part}.js" />'
    for part in (*_MATHJAX, "output/chtml/fonts/tex")
)
_DEFERRED = (
    "doctools|sphinx_highlight|clipboard.min|copybutton|togglebutton|design-tabs"
    "|sphinx-book-theme|searchtools|language_data|searchindex"
)
# What the theme and docutils write, and what readers need instead.
_MENDED = {
    # draws the icons a second time, half a megabyte; the theme's font has them all
    r'\s*<script defer src="[^"]*/fontawesome\.js[^"]*"></script>': "",
    # all parts of MathJax at once, and not only when the first has begun to run
    r'(<script defer="defer" src="([^"]*/mathjax)/startup\.js)': rf"{_PRELOADED}\1",
    # what waits for the whole page anyway need not hold it up; documentation_options.js must, since
    # a line in the page writes into it
    rf'<script ((?:data-sd-[^>]* )?src="[^"]*\b(?:{_DEFERRED})\.js)': r"<script defer \1",
    # an icon or a short-cut is no part of a name, and a name must hold what is to be read
    r'(<i class="theme-switch [^>]*?) title="[\w ]+"': r'\1 aria-hidden="true"',
    r'(<button class="btn search-button-field [^>]*?) title="Search" aria-label="Search"': r"\1",
    r'(<summary[^>]*) aria-label="Toggle hidden content"': r"\1",
    # the arrow that opens a chapter's parts in the sidebar
    r'<summary>(<span class="toctree-toggle")': r'<summary aria-label="Parts of this chapter">\1',
    # inline handlers, which a policy must name one by one; buttons.js listens instead
    r'<button onclick="(?:window\.)?(print|toggleFullScreen)\(\)"': r'<button data-call="\1"',
    # its children are no list items
    r'<div role="list" class="citation-list">': '<div class="citation-list">',
}


def complete_config(app: Sphinx, config) -> None:
    """MathJax comes with the book; links lead to the repository that the book is built from."""
    config.html_context.setdefault("default_mode", "auto")
    config.bnviz_serve = "make serve"
    config.mathjax_path = "bnviz/mathjax/startup.js"
    config.mathjax3_config = {"loader": {"load": [*_MATHJAX]}} | (config.mathjax3_config or {})
    url = fork.repository_url()
    options: dict[str, Any] = {"repository_url": url, "repository_branch": fork.branch()}
    options |= {f"use_{name}_button": bool(url) for name in ("repository", "issues", "edit_page")}
    if not url:  # a copy without a remote has nothing to launch from
        options["launch_buttons"] = {}
    options["extra_footer"] = _footer()
    config.html_theme_options = {**config.html_theme_options, **options}
    config.html_baseurl = config.html_baseurl or fork.site_url(url)
    config.ogp_site_url, config.ogp_site_name = config.html_baseurl, config.html_title
    config.ogp_social_cards = {"enable": False}  # a figure of the page says more


def _footer() -> str:
    day = fork.changed()
    version = importlib.metadata.version("bnviz")
    licences = "Code under the MIT licence, text and pictures under CC BY 4.0."
    return f"<p>Version {version}{', ' + day if day else ''}. {licences}</p>"


def mend_pages(app: Sphinx, error: Exception | None) -> None:
    """Put right what makes finished pages heavy or hard to use with a screen reader; guard them."""
    if error or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        before = text = page.read_text(encoding="utf-8")
        for found, wanted in _MENDED.items():
            text = re.sub(found, wanted, text)
        for handler in handlers(text):
            _LOGGER.warning("%s: %s would never run; listen from a script", page.name, handler)
        text = guarded(text)
        if text != before:
            page.write_text(text, encoding="utf-8")
