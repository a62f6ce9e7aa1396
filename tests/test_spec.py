"""The description of a figure fits one schema, which the page's scripts know as TypeScript."""

import copy
import json
from pathlib import Path

import pytest

from bnviz.site import typescript
from bnviz.site.spec import checked

DESCRIPTIONS = Path(__file__).parents[1] / "_build" / "html" / "_static" / "bnviz" / "figures"


def described(name: str) -> dict:
    """The description of a figure in the built book."""
    path = next(p for p in sorted(DESCRIPTIONS.glob(f"{name}.*.json")) if ".code." not in p.name)
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_page_knows_the_same_schema():
    written = typescript.FILE.read_text(encoding="utf-8")
    assert written == typescript.declarations(), "run `make format`"


@pytest.mark.parametrize("name", ["scale-shift", "drift"])
def test_a_description_comes_through_as_it_is(name):
    spec = described(name)
    assert checked(copy.deepcopy(spec)) == spec


@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("drift", ("controls", 1, "min"), "low", r"controls\.1\.min: .*number, got 'low'"),
        ("drift", ("bindings", 0, "index"), [1.5], r"bindings\.0\.index\.0: .*integer"),
        ("drift", ("speeds", 0, "rate"), "fast", r"speeds\.0\.rate: "),
        ("drift", ("seed", "max"), None, r"seed\.max: "),
        ("scale-shift", ("controls", 0, "kind"), "dial", r"controls\.0: .*dial"),
        ("scale-shift", ("headline",), "x", r"headline: Extra inputs are not permitted, got 'x'"),
        ("scale-shift", ("figure", "layout"), None, r"figure\.layout: .*dictionary, got None"),
        ("scale-shift", ("kind",), "film", r"kind: "),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(name, place, value, message):
    spec = described(name)
    *way, last = place
    part = spec
    for key in way:
        part = part[key]
    part[last] = value
    with pytest.raises(ValueError, match=rf"{name}: its description does not fit\n  {message}"):
        checked(spec)


def test_a_missing_field_is_named():
    spec = described("drift")
    del spec["bindings"][2]["trace"]
    with pytest.raises(ValueError, match=r"bindings\.2\.trace: Field required$"):
        checked(spec)
