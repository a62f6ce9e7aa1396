"""The schema of `spec.py` as TypeScript for the page: `python -m bnviz.site.typescript`."""

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from typing_extensions import is_typeddict

from bnviz.site.spec import FIGURE

__all__ = ["FILE", "declarations"]

FILE = Path(__file__).parents[1] / "page" / "spec.d.ts"
_HEAD = (
    "// Written by `python -m bnviz.site.typescript` from bnviz/site/spec.py; change it there.\n"
)
_PLAIN = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    Any: "any",
}


def declarations() -> str:
    """One exported interface for each TypedDict that a description is made of.

    Raises:
        TypeError: for a type that has no translation here.
    """
    found: dict[str, str] = {}
    for kind in FIGURE.values():
        _declare(kind, found)
    return "\n".join([_HEAD, *found.values()])


def _declare(kind: type, found: dict[str, str]) -> None:
    if kind.__name__ in found:
        return
    hints = get_type_hints(kind, include_extras=True)
    body = "".join(f"  {name}: {_translate(hint, found)};\n" for name, hint in hints.items())
    found[kind.__name__] = f"/** {kind.__doc__} */\nexport interface {kind.__name__} {{\n{body}}}\n"


def _translate(hint: Any, found: dict[str, str]) -> str:
    if hint in _PLAIN:
        return _PLAIN[hint]
    if is_typeddict(hint):
        _declare(hint, found)
        return hint.__name__
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _translate(inner[0], found)
    if origin is Literal:
        return " | ".join(f'"{value}"' for value in inner)
    if origin in (Union, types.UnionType):
        return " | ".join(_translate(part, found) for part in inner)
    if origin is list:
        part = _translate(inner[0], found)
        return f"({part})[]" if "|" in part else f"{part}[]"
    if origin is dict:
        return f"Record<string, {_translate(inner[1], found)}>"
    raise TypeError(
        f"{hint!r} has no translation to TypeScript; add one to bnviz/site/typescript.py"
    )


if __name__ == "__main__":
    FILE.write_text(declarations(), encoding="utf-8")
