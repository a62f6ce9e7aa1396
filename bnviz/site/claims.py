"""Sphinx extension: the directive `{claims}` writes the ledger into a page, and `claims.json`."""

import dataclasses
import json
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bnviz.experiments.verdicts import VERDICTS
from bnviz.site import ledger
from bnviz.site.intervals import intervals
from bnviz.site.parts import Part
from bnviz.site.verdict import VerdictRole, badge, read_verdicts, say_verdicts

__all__ = ["setup"]


class ClaimsDirective(SphinxDirective):
    """`{claims}`: every claim with its measurement and verdict."""

    def run(self) -> list[nodes.Node]:
        book = Path(self.env.doc2path(self.env.docname)).parent
        for path in ledger.files(book):
            self.env.note_dependency(str(path))
        try:
            claims = ledger.read(book)
        except ValueError as error:
            raise self.error(str(error)) from error
        return [self._tally(claims), *(self._entry(claim) for claim in claims)]

    def _tally(self, claims: list[ledger.Claim]) -> nodes.Node:
        counts = {v: sum(c.verdict == v for c in claims) for v in VERDICTS}
        parts = [f"{badge(verdict)} {count}" for verdict, count in counts.items() if count]
        html = f'<p class="bnviz-tally">{len(claims)} claims: {", ".join(parts)}.</p>'
        return nodes.raw("", html, format="html")

    def _entry(self, claim: ledger.Claim) -> nodes.Node:
        entry = nodes.container(classes=["bnviz-claim"], ids=[claim.id.lower()])
        said = escape(", ".join(claim.sources))
        head = f'<p class="bnviz-claim-head"><b>{claim.id}</b> {badge(claim.verdict)} {said}</p>'
        entry += nodes.raw("", head, format="html")
        where = f"{{doc}}`{claim.chapter}`"
        if claim.figure:
            address = f"{claim.chapter}.html#{claim.figure}"
            where += f', figure <a href="{address}">{claim.figure}</a>'
        commands = "; ".join(f"`{command}`" for command in claim.commands)
        lines = [f"**{claim.claim}**", "", claim.measured, ""]
        lines += [f"*{claim.verdict.capitalize()}*: {claim.why}", ""] if claim.why else []
        lines += [f"Shown in {where}." + (f" Recompute: {commands}" if commands else "")]
        self._nested(lines, entry)
        for part in claim.parts:
            entry += self._part(part)
        return entry

    def _part(self, part: Part) -> nodes.Node:
        entry = nodes.container(classes=["bnviz-part"])
        self._nested([part.says, ""], entry)
        head = f'<p class="bnviz-claim-head">{badge(part.verdict)} {escape(part.because)}</p>'
        plot = _plot(part) if part.effects else ""
        entry += nodes.raw("", f"{head}{plot}", format="html")
        self._nested([f"- {name}: {value}" for name, value in part.values.items()], entry)
        commands = "; ".join(f"`{command}`" for command in part.commands)
        rival = part.rival and f"The rival: {part.rival}"
        foot = [part.protocol, part.rule, rival, commands and f"Recompute: {commands}"]
        if said := " ".join(filter(None, foot)):
            head = '<details class="bnviz-how"><summary>How it was decided</summary>'
            entry += nodes.raw("", head, format="html")
            self._nested([said], entry)
            entry += nodes.raw("", "</details>", format="html")
        return entry

    def _nested(self, lines: list[str], entry: nodes.Element) -> None:
        self.state.nested_parse(StringList(lines, "claims"), 0, entry)


def _plot(part: Part) -> str:
    said = "Ratio" if part.factor else "Difference"
    return intervals(part.effects, part.margin, f"{said} in {part.unit}", factor=part.factor)


def setup(app: Sphinx) -> dict:
    """Register directive and role, and write the data beside the page."""
    app.add_directive("claims", ClaimsDirective)
    app.add_role("verdict", VerdictRole())
    app.connect("env-check-consistency", read_verdicts)
    app.connect("html-page-context", _add_style)
    app.connect("html-page-context", say_verdicts)
    app.connect("build-finished", _write_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add_style(app, pagename, templatename, context, doctree) -> None:
    """Beside the figures' own styles, which `bnviz.site.figures` has copied by then."""
    body = context.get("body", "")
    if "bnviz-claim" in body or "bnviz-said" in body:
        app.add_css_file(f"{app.bnviz_page}/claims.css")


def _write_data(app: Sphinx, error: Exception | None) -> None:
    """`_static/bnviz/claims.json`: the same rows for programs."""
    book = Path(app.srcdir) / "book"
    if error or app.builder.format != "html" or not ledger.files(book):
        return
    rows = [dataclasses.asdict(claim) for claim in ledger.read(book)]
    target = Path(app.outdir) / "_static" / "bnviz" / "claims.json"
    target.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
