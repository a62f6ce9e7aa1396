// @ts-check
/** plotly.js, loaded once, and the page's light or dark template. */

import { anew } from "./fetching.js";

/** @type {Promise<PlotlyLibrary> | null} */
let loading = null;
let attempt = 0;

/** @param {string} url @returns {Promise<PlotlyLibrary>} */
export function plotly(url) {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = anew(url, attempt);
    script.onload = script.onerror = () => {
      const library = /** @type {any} */ (window).Plotly; // none if the file was no script
      if (library) {
        resolve(library);
        return;
      }
      loading = null;
      attempt += 1;
      script.remove();
      reject(new Error("plotly.js could not be loaded; check the connection to the network"));
    };
    document.head.append(script);
  });
  return loading;
}

/** @param {{light: object, dark: object}} templates */
export function templateNow(templates) {
  return document.documentElement.dataset.theme === "dark" ? templates.dark : templates.light;
}

const SETTLED = 100; // milliseconds without another width until a figure is drawn for it

/**
 * Draw a figure again whenever its column has another width. plotly's own `responsive` looks once,
 * when the window changes; the sidebar slides in and out for a third of a second after that.
 * @param {PlotlyLibrary} library @param {HTMLElement} plot in which plotly has drawn
 */
export function followWidth(library, plot) {
  const drawn = /** @type {PlotlyElement} */ (plot);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  const fit = () => {
    const width = plot.clientWidth; // 0 while it is hidden
    if (width && Math.abs(drawn._fullLayout.width - width) > 1) library.Plots.resize(plot);
  };
  new ResizeObserver(() => {
    clearTimeout(waiting);
    waiting = setTimeout(fit, SETTLED);
  }).observe(plot);
}

export const config = {
  displayModeBar: false,
  doubleClick: false,
  scrollZoom: false,
};
