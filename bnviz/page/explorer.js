// @ts-check
/**
 * Bring the figures of a page to life. Each `<figure class="bnviz" data-explorer data-spec>` gets its
 * first drawing at once, and its functions when it is near and the page is idle, or on first touch.
 *
 * data-state: static (drawn, not computing) | loading | live | failed
 */
import { offerRetry } from "./controls.js";
import { get } from "./fetching.js";
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

/** Call once when an element comes near the screen. @param {Element} node @param {string} margin @param {() => void} call */
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

/**
 * Draw a figure; what goes wrong is said, and can be tried again.
 * @param {HTMLElement} node @param {Explorer | null} begun @param {number} attempt
 */
async function mount(node, begun = null, attempt = 0) {
  let figure = begun;
  try {
    figure ??= await described(node, attempt);
    await figure.draw();
  } catch (error) {
    const note = /** @type {HTMLElement} */ (node.querySelector(".bnviz-note"));
    node.dataset.state = "failed";
    note.textContent = `This figure could not be drawn: ${/** @type {Error} */ (error).message}. The picture shows how it begins. `;
    offerRetry(note, () => {
      node.dataset.state = "static";
      note.textContent = "Trying again …";
      mount(node, figure, attempt + 1);
    });
    return;
  }
  figures.push(figure);
  followLink(figure);
  const thrifty = /** @type {any} */ (navigator).connection?.saveData;
  if (!thrifty) whenNear(node, "400px", () => idle().then(() => figure.wake()));
}

/** @param {HTMLElement} node @param {number} attempt @returns {Promise<Explorer>} not yet drawn */
async function described(node, attempt) {
  const address = new URL(node.dataset.spec ?? "", document.baseURI);
  const response = await get(address.href, attempt);
  let spec;
  try {
    spec = await response.json();
  } catch {
    throw new Error("its description did not arrive whole");
  }
  const Kind = spec.kind === "simulation" ? Simulation : Explorer;
  return new Kind(node, spec, address);
}

/** What the address asks for: the name of a figure and its values, if any. */
function asked() {
  let hash = location.hash.slice(1);
  try {
    hash = decodeURIComponent(hash); // some programs encode the ? and = of a link
  } catch {
    // a broken link is taken as it is
  }
  return hash.split("?");
}

/** `#drift?lr=0.1&batch=8` puts these values into the figure and shows it. @param {Explorer} figure */
function followLink(figure) {
  const [name, query] = asked();
  if (name !== figure.spec.name || query === undefined) return;
  figure.node.scrollIntoView({ block: "start" });
  figure.restore(new URLSearchParams(query));
}

/** A figure that is far away is drawn once it is near. */
function showAsked() {
  const [name, query] = asked();
  if (query === undefined) return;
  document.querySelector(`figure.bnviz[data-explorer="${CSS.escape(name)}"]`)?.scrollIntoView();
}

/** @type {Explorer[]} */
const figures = [];
window.addEventListener("hashchange", () => {
  showAsked();
  figures.forEach(followLink);
});
for (const node of document.querySelectorAll("figure.bnviz[data-spec]")) {
  whenNear(node, "1200px", () => mount(/** @type {HTMLElement} */ (node)));
}
for (const node of document.querySelectorAll(".bnviz-stored")) {
  whenNear(node, "1200px", () => drawStored(/** @type {HTMLElement} */ (node)));
}
// light and dark follow the page's switch
new MutationObserver(() => figures.forEach((figure) => figure.rest())).observe(
  document.documentElement,
  { attributeFilter: ["data-theme", "data-mode"] },
);
showAsked();

// on paper too, which paper.js has made light by now
addEventListener("beforeprint", () => figures.forEach((figure) => figure.rest()));
