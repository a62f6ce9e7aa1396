// @ts-check
/**
 * Bring the figures of a page to life. Each `<figure class="bnviz" data-explorer data-spec>` gets its
 * first drawing at once, and the runtime when it is near and the page is idle, or on first touch.
 *
 * data-state: static (drawn, not computing) | loading | live | failed
 */
import { Explorer } from "./figure.js";
import { Simulation } from "./simulation.js";
import { drawStored } from "./stored.js";

/** Wait until the browser has nothing better to do. */
const idle = () =>
  new Promise((resolve) =>
    "requestIdleCallback" in window
      ? requestIdleCallback(resolve, { timeout: 2000 })
      : setTimeout(resolve, 300),
  );

/** Call once when an element comes near the screen. */
function whenNear(node, margin, call) {
  const observer = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      call();
    },
    { rootMargin: margin },
  );
  observer.observe(node);
}

async function mount(node) {
  try {
    const response = await fetch(node.dataset.spec);
    if (!response.ok) throw new Error(`the description of the figure is missing (${response.status})`);
    const spec = await response.json();
    const Kind = spec.kind === "simulation" ? Simulation : Explorer;
    const figure = new Kind(node, spec, new URL(node.dataset.spec, document.baseURI));
    await figure.draw();
    figures.push(figure);
    followLink(figure);
    const thrifty = /** @type {any} */ (navigator).connection?.saveData;
    if (!thrifty) whenNear(node, "400px", () => idle().then(() => figure.wake()));
  } catch (error) {
    node.dataset.state = "failed";
    const note = node.querySelector(".bnviz-note");
    note.textContent = `This figure could not be drawn: ${error.message}. Reload the page to try again.`;
  }
}

/** `#drift?lr=0.1&batch=8` puts these values into the figure and shows it. */
function followLink(figure) {
  const [name, query] = decodeURIComponent(location.hash.slice(1)).split("?");
  if (name !== figure.spec.name || query === undefined) return;
  figure.node.scrollIntoView({ block: "start" });
  figure.restore(new URLSearchParams(query));
}

/** @type {Explorer[]} */
const figures = [];
window.addEventListener("hashchange", () => figures.forEach(followLink));
for (const node of document.querySelectorAll("figure.bnviz[data-spec]")) {
  whenNear(node, "1200px", () => mount(/** @type {HTMLElement} */ (node)));
}
for (const node of document.querySelectorAll(".bnviz-stored")) {
  whenNear(node, "1200px", () => drawStored(node));
}
// light and dark follow the page's switch
new MutationObserver(() => figures.forEach((figure) => figure.rest())).observe(
  document.documentElement,
  { attributeFilter: ["data-theme", "data-mode"] },
);
if (location.hash.includes("?")) {
  const name = location.hash.slice(1).split("?")[0];
  document.querySelector(`figure.bnviz[data-explorer="${CSS.escape(name)}"]`)?.scrollIntoView();
}

/* Paper is light, whatever the screen is. */
let onScreen = "";
addEventListener("beforeprint", () => {
  onScreen ||= document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  figures.forEach((figure) => figure.rest());
});
addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = onScreen || document.documentElement.dataset.theme;
  onScreen = "";
});
