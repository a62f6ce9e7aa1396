// @ts-check
/** plotly.js, loaded once, and the page's light or dark template. */

/** @type {Promise<any> | null} */
let loading = null;

/** @param {string} url @returns {Promise<any>} the Plotly object */
export function plotly(url) {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(/** @type {any} */ (window).Plotly);
    script.onerror = () => {
      loading = null;
      script.remove();
      reject(new Error("plotly.js could not be loaded"));
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
