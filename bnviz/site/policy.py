"""A content security policy for each page: its own files, and the inline scripts it was built with.

A script from elsewhere, or one that somebody's text brought into a page, does not run. The theme's
few inline scripts and `onclick` attributes are let in by their hashes, so they need no
'unsafe-inline'. Styles do: plotly.js and MathJax write them while they draw. WebAssembly, where a
browser counts the worker as part of its page, needs 'wasm-unsafe-eval'; nothing needs `eval`.
"""

import base64
import hashlib
import re
from html import escape, unescape

__all__ = ["guarded", "policy"]

_SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL)
_HANDLER = re.compile(r"<[^>]*?\son[a-z]+=\"([^\"]*)\"")
_DATA = re.compile(r'\btype="(?!module|text/javascript|application/javascript)')
_META = re.compile(r'\n? *<meta http-equiv="Content-Security-Policy"[^>]*>')


def policy(html: str) -> str:
    """The policy that lets in what stands in a finished page now.

    >>> policy("<script>let a = 1;</script>").split("; ")[1]  # doctest: +ELLIPSIS
    "script-src 'self' 'wasm-unsafe-eval' 'unsafe-hashes' 'sha256-...='"
    """
    inline = [
        text
        for attributes, text in _SCRIPT.findall(html)
        if "src=" not in attributes and not _DATA.search(attributes)
    ]
    bodies = _SCRIPT.sub("", html)  # what looks like an attribute inside a script is none
    inline += [unescape(text) for text in _HANDLER.findall(bodies)]
    hashes = " ".join(sorted({_hash(text) for text in inline}))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval' 'unsafe-hashes' {hashes}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
        )
    )


def guarded(html: str) -> str:
    """The page with its policy right after its encoding: one, however often it is called."""
    html = _META.sub("", html)
    element = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy(html))}">'
    return re.sub(r"(<head>\s*<meta charset=[^>]*>)", rf"\1\n    {element}", html, count=1)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
