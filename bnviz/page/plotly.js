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

export const config = {
  displayModeBar: false,
  responsive: true,
  doubleClick: false,
  scrollZoom: false,
};
