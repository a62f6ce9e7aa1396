"""A content security policy for each page: its own files, and the inline scripts it was built with.

A script from elsewhere, or one that somebody's text brought into a page, does not run. The theme's
few inline scripts are let in by their hashes, so they need no 'unsafe-inline'. Inline handlers are
not: a page must have none, because the search parses other pages under its own policy. Styles need
'unsafe-inline': plotly.js and MathJax write them while they draw. WebAssembly, where a browser
counts the worker as part of its page, needs 'wasm-unsafe-eval'; nothing needs `eval`.
"""

import base64
import hashlib
import re
from html import escape
from html.parser import HTMLParser

__all__ = ["guarded", "handlers", "policy"]

_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL)
_DATA = re.compile(r'\btype="(?!module|text/javascript|application/javascript)')
_META = re.compile(r'\n? *<meta http-equiv="Content-Security-Policy"[^>]*>')


def policy(html: str) -> str:
    """The policy that lets in what stands in a finished page now.

    >>> policy("<script>let a = 1;</script>").split("; ")[1]  # doctest: +ELLIPSIS
    "script-src 'self' 'wasm-unsafe-eval' 'sha256-...='"
    """
    inline = [
        text
        for attributes, text in _SCRIPT.findall(html)
        if "src=" not in attributes and not _DATA.search(attributes)
    ]
    hashes = " ".join(sorted({_hash(text) for text in inline}))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval' {hashes}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )


class _Handlers(HTMLParser):
    """Collects attributes such as `onclick`; not what looks like one inside a script."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f'<{tag} {name}="{value}">' for name, value in attrs if name[:2] == "on"]


def handlers(html: str) -> list[str]:
    """The inline handlers of a page, which its policy refuses.

    >>> handlers('<b ONCLICK=f()>press</b> <script>a = "<b onclick=g()>"</script> <p title="on=1">')
    ['<b onclick="f()">']
    """
    parser = _Handlers()
    parser.feed(html)
    return parser.found


def guarded(html: str) -> str:
    """The page with its policy right after its encoding: one, however often it is called."""
    html = _META.sub("", html)
    element = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(html))}">'
    return re.sub(r"(<head>\s*<meta charset=[^>]*>)", rf"\1\n    {element}", html, count=1)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
