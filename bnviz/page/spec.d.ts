// Written by `python -m bnviz.site.typescript` from bnviz/site/spec.py; change it there.

/** A `Slider`, with the values of its stops. */
export interface SliderSpec {
  kind: "slider";
  name: string;
  label: string;
  min: number;
  max: number;
  value: number;
  step: number;
  scale: "linear" | "log10" | "log2";
  format: string;
  note: string;
  restart: boolean;
  switches_on: string;
  stops: number[];
}

/** A `Choice`. */
export interface ChoiceSpec {
  kind: "choice";
  name: string;
  label: string;
  options: string[];
  value: string;
  restart: boolean;
}

/** A `Toggle`. */
export interface ToggleSpec {
  kind: "toggle";
  name: string;
  label: string;
  value: boolean;
  restart: boolean;
}

/** A plotly figure, as plotly.js takes it. */
export interface PlotlySpec {
  data: Record<string, any>[];
  layout: Record<string, any>;
}

/** A `Binding`. */
export interface BindingSpec {
  output: string;
  trace: string;
  attribute: string;
  index: number[];
  append: boolean;
  by: string[];
}

/** None */
export interface DataSpec {
  url: string;
  from: number;
  at: number;
  bytes: number;
}

/** Where an array lies in a module's memory, from the first byte that the module calls its own.

    The length of each axis is a polynomial in the size of the minibatch, here its coefficients.
     */
export interface ArraySpec {
  at: number;
  format: "float" | "double" | "int32_t" | "uint8_t";
  shape: number[][];
}

/** Where the numbers of a function go in and out. */
export interface FunctionSpec {
  inputs: Record<string, ArraySpec>;
  outputs: Record<string, ArraySpec>;
}

/** The functions of a figure as WebAssembly.

    `url` is its address; `data` what it stands on: bytes of which file go where; `batches` the
    sizes of the smallest and the largest minibatch.
     */
export interface ModuleSpec {
  url: string;
  data: DataSpec[];
  functions: Record<string, FunctionSpec>;
  batches: number[];
}

/** Addresses of the libraries, relative to the description. */
export interface UrlsSpec {
  plotly: string;
}

/** What light and dark change. */
export interface TemplatesSpec {
  light: Record<string, any>;
  dark: Record<string, any>;
}

/** The Python of the figure: its path in the repository, and the address of its listing. */
export interface CodeSpec {
  path: string;
  url: string;
}

/** What every figure has; of an `Explorer` it is all but its function. */
export interface FigureSpec {
  kind: "explorer" | "simulation";
  name: string;
  title: string;
  caption: string;
  controls: (SliderSpec | ChoiceSpec | ToggleSpec)[];
  figure: PlotlySpec;
  bindings: BindingSpec[];
  readout: string;
  readout_first: string;
  module: ModuleSpec;
  urls: UrlsSpec;
  templates: TemplatesSpec;
  code: CodeSpec;
}

/** A `Speed`; without a rate it is as fast as it goes. */
export interface SpeedSpec {
  name: string;
  label: string;
  rate: number | null;
}

/** The whole numbers that may be seeds, and the first one. */
export interface SeedSpec {
  min: number;
  max: number;
  value: number;
}

/** A `Simulation` without its functions. */
export interface SimulationSpec {
  kind: "explorer" | "simulation";
  name: string;
  title: string;
  caption: string;
  controls: (SliderSpec | ChoiceSpec | ToggleSpec)[];
  figure: PlotlySpec;
  bindings: BindingSpec[];
  readout: string;
  readout_first: string;
  module: ModuleSpec;
  urls: UrlsSpec;
  templates: TemplatesSpec;
  code: CodeSpec;
  rows: number;
  every: number;
  history: number;
  watch: Record<string, string>;
  observed: string[];
  speeds: SpeedSpec[];
  seed: SeedSpec;
}
