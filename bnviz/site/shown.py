"""Which page shows which figures, noted while the pages are read; pages whose figures have changed.

Sphinx builds a page again when its own text changes. What a figure computes stands elsewhere, so
each page is also noted with a fingerprint of its figures: of their sources, of their descriptions,
and of the scripts that draw them.
"""

import hashlib
import json
import re

from docutils import nodes
from sphinx.application import Sphinx

from bnviz import explorers
from bnviz.compile import artifacts
from bnviz.site.app import Book

__all__ = ["connect", "figures", "on_page"]

_SHOWN = re.compile(r'<figure class="bnviz" data-explorer="([a-z0-9-]+)"')
_SMALL = re.compile(r'<span class="bnviz-thumb" data-figure="([a-z0-9-]+)"')


def connect(app: Sphinx) -> None:
    """Listen to what Sphinx reads, forgets, merges and asks."""
    app.connect("doctree-read", _note)
    app.connect("env-purge-doc", lambda app, env, page: _pages(env).pop(page, None))
    app.connect("env-merge-info", lambda app, env, pages, other: _pages(env).update(_pages(other)))
    app.connect("env-get-outdated", _outdated)
    app.connect("env-updated", _fingerprint)  # before Sphinx stores its environment


def figures(env) -> list[str]:
    """Every figure that some page shows, be it as a small picture, each once."""
    pages = _pages(env)
    return list(dict.fromkeys(n for page in sorted(pages) for part in pages[page] for n in part))


def on_page(env, page: str) -> list[str]:
    """The figures of a page, each once, in their order; small pictures do not count."""
    return _pages(env).get(page, ([], []))[0]


def _pages(env) -> dict[str, tuple[list[str], list[str]]]:
    """Page -> its figures, its small pictures; kept with the environment from build to build."""
    if not hasattr(env, "bnviz_shown"):
        env.bnviz_shown = {}
    return env.bnviz_shown


def _note(app: Sphinx, doctree: nodes.document) -> None:
    text = "".join(node.astext() for node in doctree.findall(nodes.raw))
    found, small = (list(dict.fromkeys(p.findall(text))) for p in (_SHOWN, _SMALL))
    if found or small:
        _pages(app.env)[app.env.docname] = (found, small)


def _of(name: str, scripts: str) -> str:
    explorer = explorers.get(name)
    data = [explorer.to_dict(), artifacts.key(explorer), scripts]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _fingerprint(app: Book, env) -> None:
    """Note what the figures are like that the pages now show."""
    if app.builder.format == "html":
        env.bnviz_fingerprints = {name: _of(name, app.bnviz_page) for name in figures(env)}


def _outdated(app: Book, env, added: set, changed: set, removed: set) -> list[str]:
    """Pages with a figure that is not what it was when they were built."""
    before = getattr(env, "bnviz_fingerprints", {})
    if app.builder.format != "html":
        return []
    new = {name for name in figures(env) if _of(name, app.bnviz_page) != before.get(name)}
    pages = _pages(env).items()
    return [p for p, (big, small) in pages if new & {*big, *small} and p not in removed]
