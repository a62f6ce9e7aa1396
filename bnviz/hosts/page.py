"""Sphinx extension: figures that compute in the reader's browser, with nothing from other hosts.

At build time it exports the PyTorch function of every registered figure to ONNX, writes what a page
needs under `_static/bnviz/`, and adds scripts only to pages that hold a figure.

In a Markdown page the directive `{explorer} NAME` shows a figure; in a notebook `bnviz.show(NAME)`
leaves the same HTML behind.
"""

import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from bnviz import artifacts, assets, drawing, explorers, theme
from bnviz.explorer import Explorer, Simulation
from bnviz.hosts import fork
from bnviz.hosts.html import figure_html
from bnviz.poster import poster

__all__ = ["setup"]

_log = logging.getLogger(__name__)
_PAGE = Path(__file__).parent.parent / "page"
_FIGURE = re.compile(r'<figure class="bnviz" data-explorer="([a-z0-9-]+)"')
_NOTE = re.compile(r'(<p class="bnviz-note">)[^<]*(</p>)')
_STILL = (
    "This drawing moves in a browser with JavaScript, from a web server: open the published book, "
    "or run <code>make serve</code>."
)
_ORT = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


class ExplorerDirective(SphinxDirective):
    """`{explorer} NAME`: a figure in a Markdown page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            html = figure_html(explorers.get(self.arguments[0]), {})
        except ValueError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict:
    """Register the directive and the build steps."""
    app.add_directive("explorer", ExplorerDirective)
    app.connect("config-inited", _complete_config)
    app.connect("builder-inited", _write_assets)
    app.connect("html-page-context", _bring_figures_to_life)
    app.connect("html-page-context", _tidy_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _complete_config(app: Sphinx, config) -> None:
    """MathJax comes with the book; links lead to the repository that the book is built from."""
    config.html_context.setdefault("default_mode", "auto")
    config.mathjax_path = "bnviz/mathjax/tex-mml-chtml.js"
    url = fork.repository_url()
    options = {"repository_url": url, "repository_branch": fork.branch()}
    options |= {f"use_{name}_button": bool(url) for name in ("repository", "issues", "edit_page")}
    if not url:  # a copy without a remote has nothing to launch from
        options["launch_buttons"] = {}
    config.html_theme_options = {**config.html_theme_options, **options}


def _write_assets(app: Sphinx) -> None:
    """Everything the pages load, below `_static/bnviz/`."""
    if app.builder.format != "html":
        return
    home = Path(app.outdir) / "_static" / "bnviz"
    modules = assets.node_modules()
    app.bnviz_urls = urls = _write_libraries(home, modules)
    app.bnviz_page = _write_scripts(home)
    app.bnviz_figures = {
        name: _write_figure(home / "figures", explorers.get(name), urls)
        for name in explorers.names()
    }


def _write_libraries(home: Path, modules: Path) -> dict[str, str]:
    """Copy plotly.js, onnxruntime-web and MathJax; addresses relative to `_static/bnviz/`."""
    version = _version(modules / "onnxruntime-web")
    ort = home / f"ort-{version}"
    for file in _ORT:
        source = modules / "onnxruntime-web" / "dist" / file
        if file.endswith(".wasm"):  # packed here, because not every server would
            _write(ort / f"{file}.gz", lambda s=source: gzip.compress(s.read_bytes(), mtime=0))
        else:
            _write(ort / file, source.read_bytes)
    plotly = modules / "plotly.js-cartesian-dist-min"
    name = f"plotly-{_version(plotly)}.min.js"
    _write(home / name, (plotly / "plotly-cartesian.min.js").read_bytes)
    mathjax = modules / "mathjax" / "es5"
    _write(home / "mathjax" / "tex-mml-chtml.js", (mathjax / "tex-mml-chtml.js").read_bytes)
    fonts = "output/chtml/fonts/woff-v2"
    shutil.copytree(mathjax / fonts, home / "mathjax" / fonts, dirs_exist_ok=True)
    return {
        "plotly": f"../{name}",
        "ort": f"../{ort.name}/{_ORT[0]}",
        "loader": f"../{ort.name}/{_ORT[1]}",
        "wasm": f"../{ort.name}/{_ORT[2]}.gz",
    }


def _write_scripts(home: Path) -> str:
    """Copy the page's own modules into a folder named by their content; returns its name."""
    sources = sorted(p for p in _PAGE.iterdir() if p.suffix in (".js", ".css"))
    folder = f"page-{_digest(*(p.read_bytes() for p in sources))}"
    for source in sources:
        _write(home / folder / source.name, source.read_bytes)
    return f"bnviz/{folder}"


def _write_figure(folder: Path, explorer: Explorer, urls: dict[str, str]) -> dict[str, str]:
    """Graphs, description and posters of one figure; returns their file names."""
    graphs = {}
    for name, graph in artifacts.graphs(explorer).items():
        graphs[name] = f"{explorer.name}.{name}.{_digest(graph)}.onnx.gz"
        _write(folder / graphs[name], lambda g=graph: gzip.compress(g, mtime=0))
    first = drawing.first(explorer)
    spec = explorer.to_dict() | {
        "figure": _rounded(first.figure),
        "readout_first": first.readout,
        "graphs": graphs,
        "urls": urls,
        "templates": {mode: theme.template(mode) for mode in ("light", "dark")},
    }
    if isinstance(explorer, Simulation):
        spec["observed"] = drawing.observed_names(explorer)
    text = json.dumps(spec, separators=(",", ":"), sort_keys=True).encode()
    names = {"spec": f"{explorer.name}.{_digest(text)}.json"}
    _write(folder / names["spec"], lambda: text)
    for mode in ("light", "dark"):
        names[mode] = f"{explorer.name}.{_digest(text)}.{mode}.svg"
        _write(folder / names[mode], lambda m=mode: poster(first.figure, m).encode())
    return names


def _bring_figures_to_life(app, pagename, templatename, context, doctree) -> None:
    """Point each figure of a page to its description and posters; add the scripts."""
    body = context.get("body", "")
    if not _FIGURE.search(body) and "bnviz-stored" not in body:
        return
    address = context["pathto"]

    def complete(match: re.Match) -> str:
        name = match[1]
        if name not in app.bnviz_figures:
            raise ExtensionError(f"{pagename}: no figure is called {name!r}; run its cell again")
        files = app.bnviz_figures[name]
        spec = address(f"_static/bnviz/figures/{files['spec']}", 1)
        return f'{match[0]} data-spec="{spec}"'

    def posters(match: re.Match) -> str:
        files = app.bnviz_figures[match[2]]
        images = (
            f'<img class="bnviz-poster dark-light only-{mode}-poster" alt="" width="700" '
            f'src="{address(f"_static/bnviz/figures/{files[mode]}", 1)}">'
            for mode in ("light", "dark")
        )
        return match[1] + "".join(images)

    body = _FIGURE.sub(complete, body)
    body = re.sub(r'(<figure class="bnviz" data-explorer="([a-z0-9-]+)"[^>]*>)', posters, body)
    body = _NOTE.sub(rf"\1{_STILL}\2", body)
    plotly = address(f"_static/bnviz/figures/{app.bnviz_urls['plotly']}", 1)
    context["body"] = body.replace(
        '<div class="bnviz-stored">', f'<div class="bnviz-stored" data-plotly="{plotly}">'
    )
    app.add_css_file(f"{app.bnviz_page}/explorer.css")
    app.add_js_file(f"{app.bnviz_page}/explorer.js", type="module")


def _tidy_scripts(app, pagename, templatename, context, doctree) -> None:
    """Each script once, and none of Thebe's: its library would come from another host."""
    kept = {}
    for script in context.get("script_files", []):
        attributes = getattr(script, "attributes", {})
        text = f"{getattr(script, 'filename', script)} {sorted(attributes.items())}"
        if "thebe" not in text.lower():
            kept.setdefault(text, script)
    context["script_files"] = list(kept.values())


def _rounded(value):
    """Drawn numbers to four digits: enough for a screen, and half the bytes."""
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _version(package: Path) -> str:
    return json.loads((package / "package.json").read_text())["version"]


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def _write(path: Path, content) -> None:
    """Write unless it is there: names change with content, so what is there is right."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content())
