"""The description of a figure as the page gets it: one typed schema, checked on both sides.

`page/spec.d.ts` is the same for the page's scripts; `bnviz.site.typescript` writes it, and a test
sees that they are equal. What does not fit fails the build, with the path of the field.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

__all__ = ["FIGURE", "FigureSpec", "SimulationSpec", "checked"]

# No field more than there are, and no number out of text.
_exactly = with_config(ConfigDict(extra="forbid", strict=True))


@_exactly
class SliderSpec(TypedDict):
    """A `Slider`, with the values of its stops."""

    kind: Literal["slider"]
    name: str
    label: str
    min: float
    max: float
    value: float
    step: float
    scale: Literal["linear", "log10", "log2"]
    format: str
    note: str
    restart: bool
    switches_on: str
    stops: list[float]


@_exactly
class ChoiceSpec(TypedDict):
    """A `Choice`."""

    kind: Literal["choice"]
    name: str
    label: str
    options: list[str]
    value: str
    restart: bool


@_exactly
class ToggleSpec(TypedDict):
    """A `Toggle`."""

    kind: Literal["toggle"]
    name: str
    label: str
    value: bool
    restart: bool


@_exactly
class BindingSpec(TypedDict):
    """A `Binding`."""

    output: str
    trace: str
    attribute: str
    index: list[int]
    append: bool
    by: list[str]


@_exactly
class TemplatesSpec(TypedDict):
    """What light and dark change."""

    light: dict[str, Any]
    dark: dict[str, Any]


@_exactly
class PlotlySpec(TypedDict):
    """A plotly figure, as plotly.js takes it."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


@_exactly
class CodeSpec(TypedDict):
    """The Python of the figure: its path in the repository, and the address of its listing."""

    path: str
    url: str


@_exactly
class UrlsSpec(TypedDict):
    """Addresses of the libraries, relative to the description."""

    plotly: str


@_exactly
class ArraySpec(TypedDict):
    """Where an array lies in a module's memory, from the first byte that the module calls its own.

    The length of each axis is a polynomial in the size of the minibatch, here its coefficients.
    """

    at: int
    format: Literal["float", "double", "int32_t", "uint8_t"]
    shape: list[list[int]]


@_exactly
class FunctionSpec(TypedDict):
    """Where the numbers of a function go in and out."""

    inputs: dict[str, ArraySpec]
    outputs: dict[str, ArraySpec]


# "from" is no name that a class may give to a field
DataSpec = with_config(ConfigDict(extra="forbid", strict=True))(
    TypedDict("DataSpec", {"url": str, "from": int, "at": int, "bytes": int})
)


@_exactly
class ModuleSpec(TypedDict):
    """The functions of a figure as WebAssembly.

    `url` is its address; `data` what it stands on: bytes of which file go where; `batches` the
    sizes of the smallest and the largest minibatch.
    """

    url: str
    data: list[DataSpec]
    functions: dict[str, FunctionSpec]
    batches: list[int]


@_exactly
class SpeedSpec(TypedDict):
    """A `Speed`; without a rate it is as fast as it goes."""

    name: str
    label: str
    rate: float | None


@_exactly
class SeedSpec(TypedDict):
    """The whole numbers that may be seeds, and the first one."""

    min: int
    max: int
    value: int


ControlSpec = Annotated[SliderSpec | ChoiceSpec | ToggleSpec, Field(discriminator="kind")]


@_exactly
class FigureSpec(TypedDict):
    """What every figure has; of an `Explorer` it is all but its function."""

    kind: Literal["explorer", "simulation"]
    name: str
    title: str
    caption: str
    controls: list[ControlSpec]
    figure: PlotlySpec
    bindings: list[BindingSpec]
    readout: str
    readout_first: str
    module: ModuleSpec
    urls: UrlsSpec
    templates: TemplatesSpec
    code: CodeSpec


@_exactly
class SimulationSpec(FigureSpec):
    """A `Simulation` without its functions."""

    rows: int
    every: int
    history: int
    watch: dict[str, str]
    observed: list[str]
    speeds: list[SpeedSpec]
    seed: SeedSpec


FIGURE = {"explorer": FigureSpec, "simulation": SimulationSpec}


def checked(spec: dict[str, Any]) -> FigureSpec | SimulationSpec:
    """The description, if it fits the schema.

    Raises:
        ValueError: names the figure, and for each field that does not fit its path and the reason.
    """
    kind = FIGURE.get(spec.get("kind", ""), FigureSpec)
    try:
        return TypeAdapter(kind).validate_python(spec)
    except ValidationError as error:
        name = spec.get("name", "a figure without a name")
        lines = (
            f"  {_path(e['loc'])}: {e['msg']}"
            + ("" if e["type"] == "missing" else f", got {e['input']!r:.80}")
            for e in error.errors()
        )
        raise ValueError("\n".join([f"{name}: its description does not fit", *lines])) from None


def _path(location: tuple[int | str, ...]) -> str:
    """Where a field stands, such as controls.2.min; pydantic also names the kind of control."""
    return ".".join(str(part) for part in location if part not in ("slider", "choice", "toggle"))
