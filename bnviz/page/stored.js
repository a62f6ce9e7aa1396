// @ts-check
/** Draw a plain plotly figure of a notebook: its data stands in the page as JSON. */
import { config, followWidth, plotly, templateNow } from "./plotly.js";

/** @param {HTMLElement} node whose data-plotly is the address of plotly.js */
export async function drawStored(node) {
  const { figure, templates } = JSON.parse(node.querySelector("script")?.textContent ?? "");
  if (!figure.layout.height) figure.layout.height = 360;
  const plot = document.createElement("div");
  plot.className = "bnviz-plot";
  plot.style.height = `${figure.layout.height}px`;
  try {
    const library = await plotly(new URL(node.dataset.plotly ?? "", document.baseURI).href);
    const draw = () =>
      library.react(plot, figure.data, { ...figure.layout, template: templateNow(templates), autosize: true }, config);
    node.append(plot);
    await draw();
    followWidth(library, plot);
    node.querySelectorAll(".bnviz-poster").forEach((poster) => poster.remove());
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  } catch {
    plot.remove(); // the poster stays
  }
}
