// @ts-check
/**
 * Draws figures with plotly.js, in a document of jsdom. A line of JSON comes in on stdin for each
 * figure, a line goes out on stdout when it is drawn:
 *
 *     {"data": [...], "layout": {...}, "template": {...}, "width": 700, "png": 1400}
 *     {"svg": "..."} or {"png": "base64"} or {"refused": "why"} or {"failed": "why"}
 */
const fs = require("node:fs");
const readline = require("node:readline");
const { JSDOM, VirtualConsole } = require("jsdom");
const { measure } = require("./boxes.cjs");
const { canvases } = require("./canvas.cjs");
const { png } = require("./png.cjs");
const { tidy } = require("./tidy.cjs");

// What Plotly.validate says of attributes that have no effect, or of traces without data, is no fault.
const FAULTS = ["object", "schema", "value"];
const HEIGHT = 450; // plotly's own

/** @typedef {{data: any[], layout: any, template: any, width: number, png?: number}} Order */

/** A window with plotly.js in it. */
function prepared() {
  const virtualConsole = new VirtualConsole(); // plotly's log must not get between the answers
  const { window } = new JSDOM("<!DOCTYPE html><body></body>", { runScripts: "outside-only", virtualConsole });
  measure(window);
  canvases(window);
  window.URL.createObjectURL = () => ""; // plotly.js asks for it when it is loaded
  window.eval(fs.readFileSync(require.resolve("plotly.js-cartesian-dist-min"), "utf8"));
  return window;
}

/** The ids in a picture are plotly's random ones: let each begin anew. @param {any} window */
function calm(window) {
  let seed = 1;
  window.Math.random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
}

/** Its check takes the name of a colour axis for a mistake. @param {{code: string, astr: string}} found */
const isFault = ({ code, astr }) => FAULTS.includes(code) && astr !== "coloraxis";

/** @param {{x?: any[], y?: any[], z?: any[]}} trace */
const hasData = ({ x, y, z }) => [x, y, z].some((values) => values?.length);

/** Its check may throw where no trace has data, as before the first step of a training.
 * @param {any[]} data @param {any} layout @param {any} window @returns {any[]} */
function checked(data, layout, window) {
  try {
    return window.Plotly.validate(data, layout) ?? [];
  } catch (error) {
    if (data.some(hasData)) throw error;
    return [];
  }
}

/** @param {Order} order @param {any} window @returns {Promise<object>} */
async function answer({ data, layout, template, width, png: wide }, window) {
  const fault = checked(data, layout, window).find(isFault);
  if (fault) return { refused: fault.msg };
  calm(window);
  const figure = { data, layout: { ...layout, template }, config: { staticPlot: true } };
  const size = { width, height: layout.height ?? HEIGHT };
  const drawn = await window.Plotly.toImage(figure, { format: "svg", imageDataOnly: true, ...size });
  const svg = tidy(drawn, template.layout.font.family);
  return wide ? { png: png(svg, wide, window).toString("base64") } : { svg };
}

async function main() {
  const window = prepared();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const said = await answer(JSON.parse(line), window).catch((error) => ({ failed: `${error?.stack ?? error}` }));
    process.stdout.write(`${JSON.stringify(said)}\n`);
  }
}

main();
