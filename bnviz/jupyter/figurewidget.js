// @ts-check
/**
 * Front end of `FigureWidget`: draws the figure that the kernel holds, in the width it is given.
 *
 * The kernel is asked for two things: for plotly.js, once per page however many figures there are,
 * and for the whole figure, whenever a view begins or something rare has changed. The frequent
 * change, `_py2js_update`, carries its own data, and is answered when it has been drawn.
 */

const RARE = ["restyle", "relayout", "addTraces", "deleteTraces", "moveTraces"];
/** @type {Record<string, new (buffer: ArrayBuffer) => ArrayBufferView>} */
const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
};
const CONFIG = { displayModeBar: false };
const PATIENCE = 60000; // milliseconds for plotly.js to arrive

/**
 * What anywidget hands to a view.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(event: string, call: (...given: any[]) => void) => void} on
 * @property {(event: string, call: (...given: any[]) => void) => void} off
 * @property {(message: object) => void} send
 */

/** What the kernel sent, with arrays instead of bytes. @param {any} value @returns {any} */
function revive(value) {
  if (value === "_undefined_") return undefined;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(revive);
  if ("dtype" in value && "buffer" in value) {
    const { buffer, byteOffset, byteLength } = value.buffer;
    return new TYPES[value.dtype](buffer.slice(byteOffset, byteOffset + byteLength));
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, revive(part)]));
}

/**
 * Ask the kernel, and wait for the answer of that name.
 * @param {Model} model @param {string} what @param {number} patience
 * @returns {Promise<DataView<ArrayBuffer>[]>}
 */
function ask(model, what, patience) {
  return new Promise((resolve, reject) => {
    /** @param {{answer?: string}} message @param {DataView<ArrayBuffer>[]} buffers */
    const answer = (message, buffers) => {
      if (message.answer !== what) return;
      model.off("msg:custom", answer);
      resolve(buffers);
    };
    model.on("msg:custom", answer);
    model.send({ ask: what });
    setTimeout(() => reject(new Error(`the kernel did not send ${what}`)), patience);
  });
}

/** plotly.js, one for all figures of the page. @param {Model} model @returns {Promise<PlotlyLibrary>} */
async function library(model) {
  const page = /** @type {any} */ (globalThis);
  page.bnvizPlotly ??= load(model);
  try {
    return await page.bnvizPlotly;
  } catch {
    page.bnvizPlotly = load(model); // the kernel that was asked may be gone; this one is not
    return page.bnvizPlotly;
  }
}

/** @param {Model} model @returns {Promise<PlotlyLibrary>} */
async function load(model) {
  const [script] = await ask(model, "plotly", PATIENCE);
  // as a module with a `module` of its own, it leaves the page's other scripts alone
  const parts = ["const module = { exports: {} };\n", script, "\nexport default module.exports;"];
  const url = URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
  try {
    return (await import(url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * ipywidgets gives sliders and lists no name for a screen reader: their label is the name.
 * @param {HTMLElement} el
 */
function nameControls(el) {
  for (const control of el.closest(".bnviz")?.querySelectorAll(".bnviz-control") ?? []) {
    const label = control.querySelector(".bnviz-label")?.textContent;
    if (label) control.querySelector("[role=slider], select")?.setAttribute("aria-label", label);
  }
}

/** @param {{model: Model, el: HTMLElement}} view */
function render({ model, el }) {
  let gone = false;
  /** @type {PlotlyLibrary | null} */
  let plotly = null;
  /** @type {Promise<unknown>} */
  let queue = Promise.resolve();
  const plot = el.appendChild(document.createElement("div"));

  /** One drawing after the other; an error must not block the next. @param {() => unknown} draw */
  const enqueue = (draw) => {
    queue = queue.then(() => (gone ? null : draw())).catch((error) => console.error(error));
  };

  const all = async () => {
    plotly ??= await library(model);
    nameControls(el);
    await ask(model, "figure", PATIENCE);
    const layout = revive(model.get("_widget_layout"));
    plot.style.height = `${layout.height ?? 450}px`;
    await plotly.react(plot, revive(model.get("_widget_data")), layout, CONFIG);
  };

  const update = () => {
    const message = revive(model.get("_py2js_update"));
    if (message === null) return;
    enqueue(async () => {
      const { style_data: traces, layout_data: layout, style_traces: which } = message;
      try {
        await plotly?.update(plot, traces ?? {}, layout ?? {}, which);
      } finally {
        model.send({ drawn: message.trace_edit_id }); // else the kernel would wait for ever
      }
    });
  };

  const rare = () => enqueue(all);
  const resized = new ResizeObserver(() => {
    if (plotly && plot.clientWidth) enqueue(() => plotly?.Plots.resize(plot));
  });

  plot.style.height = `${model.get("_widget_layout").height ?? 450}px`;
  enqueue(all);
  resized.observe(plot);
  model.on("change:_py2js_update", update);
  for (const name of RARE) model.on(`change:_py2js_${name}`, rare);
  return () => {
    gone = true;
    resized.disconnect();
    model.off("change:_py2js_update", update);
    for (const name of RARE) model.off(`change:_py2js_${name}`, rare);
    plotly?.purge(plot);
  };
}

export default { render };
