/** What the page's scripts use of other people's: plotly.js, and no more of it. */

/** plotly.js, once it is there. */
interface PlotlyLibrary {
  newPlot(root: HTMLElement, data: PlotlyTrace[], layout: PlotlyLayout, config: object): Promise<PlotlyElement>;
  react(root: HTMLElement, data: PlotlyTrace[], layout: PlotlyLayout, config: object): Promise<PlotlyElement>;
  update(root: HTMLElement, traces: object, layout: object, which?: number[] | null): Promise<PlotlyElement>;
  downloadImage(figure: object, options: object): Promise<string>;
  purge(root: HTMLElement): void;
  Plots: { resize(root: HTMLElement): Promise<void> };
}

declare var Plotly: PlotlyLibrary;

/** A trace as a figure gives it; its attributes depend on its type. */
interface PlotlyTrace {
  [attribute: string]: any;
}

interface PlotlyLayout {
  height?: number;
  [attribute: string]: any;
}

/** An element in which plotly.js has drawn. */
interface PlotlyElement extends HTMLElement {
  data: PlotlyTrace[];
  layout: PlotlyLayout;
  _fullData: PlotlyFullTrace[];
  _fullLayout: PlotlyFullLayout;
}

/** What plotly.js draws a trace with, its own choices filled in. */
interface PlotlyFullTrace {
  type: string;
  visible: boolean | "legendonly";
  opacity?: number;
  xaxis: string;
  yaxis: string;
  mode: string;
  fill?: string;
  fillcolor: string;
  line: { width: number; color: string; dash: string };
  marker: {
    color: string;
    size: number;
    symbol: string;
    opacity?: number;
    line?: { width: number; color: string };
  };
  orientation?: "h" | "v";
  width?: number;
  coloraxis?: string;
  colorscale: [number, string][];
  zmin: number;
  zmax: number;
  texttemplate?: string;
  textfont: { size: number; family: string; color?: string };
}

interface PlotlyFullLayout {
  width: number;
  height: number;
  font: { color: string };
  [axis: string]: any;
}
