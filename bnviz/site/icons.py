"""The theme's icon fonts, cut down to the icons that the book shows: 3 kB instead of 156."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder

__all__ = ["icons_in", "trim_icons"]

_FONTS = Path("vendor") / "fontawesome" / "webfonts"
# `.fa-list:before,.fa-list-squares:before{content:"\f03a"}` says which sign a name stands for.
_NAMED = re.compile(r'((?:\.fa-[\w-]+::?before,?\s*)+)\{\s*content:\s*"\\([0-9a-f]+)";?\s*\}')
_WRITTEN = re.compile(r"[\ue000-\uf8ff]|\\([ef][0-9a-f]{3})\b")


def icons_in(styles: Iterable[str], texts: Iterable[str]) -> set[int]:
    r"""Code points of the icons that pages show.

    Args:
        styles: style sheets; some of their rules give icons their names, others show icons.
        texts: pages and scripts, which show icons by name.

    >>> icons_in([r'.fa-bars:before{content:"\f0c9"} .fa-x:before{content:"\f00d"}'], ["fa-bars"])
    {61641}
    """
    signs: dict[str, int] = {}
    shown: set[int] = set()
    for style in styles:
        for names, sign in _NAMED.findall(style):
            signs |= dict.fromkeys(re.findall(r"fa-[\w-]+", names), int(sign, 16))
        for found in _WRITTEN.finditer(_NAMED.sub("", style)):
            shown.add(int(found[1], 16) if found[1] else ord(found[0]))
    names = {name for text in texts for name in re.findall(r"\bfa-[\w-]+", text)}
    return shown | {signs[name] for name in names & signs.keys()}


def trim_icons(app: Sphinx, error: Exception | None) -> None:
    """Write the icon fonts of the finished book anew, from the whole ones of its theme."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    static = out / "_static"
    texts = [*out.rglob("*.html"), *_scripts(static)]
    shown = icons_in(map(_text, static.rglob("*.css")), map(_text, texts))
    builder = cast(StandaloneHTMLBuilder, app.builder)
    for folder in builder.theme.get_theme_dirs():
        for file in sorted((Path(folder) / "static" / _FONTS).glob("*.woff2")):
            _cut(file, shown, static / _FONTS / file.name)


def _cut(file: Path, shown: set[int], wanted: Path) -> None:
    font = TTFont(file, recalcTimestamp=False)
    options = subset.Options(flavor="woff2")
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=shown)
    cutter.subset(font)
    subset.save_font(font, wanted, options)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _scripts(static: Path) -> list[Path]:
    """Scripts that may put icons into a page: not the libraries, which are large and have none."""
    return [*static.glob("*.js"), *(static / "scripts").glob("*.js")]
