// @ts-check
/** What a reader can do with any figure besides moving it: link, picture, full screen, code. */
import { element } from "./controls.js";
import { get } from "./fetching.js";
import { config } from "./plotly.js";

/** @param {import("./figure.js").Explorer} figure @returns {HTMLElement} a menu that opens */
export function more(figure) {
  const menu = element("details", { className: "bnviz-more" }, element("summary", {}, "More"));
  const list = element("div", { className: "bnviz-menu" });
  /** @param {string} name @param {string} text @param {string} title @param {(button: HTMLButtonElement) => void} act */
  const entry = (name, text, title, act) => {
    const button = element("button", { type: "button", name, title }, text);
    button.addEventListener("click", () => act(button));
    list.append(button);
  };
  entry("link", "Copy link", "Copy a link to this figure with these values", (b) => copyLink(figure, b));
  entry("save", "Save picture", "Save what you see as a PNG file", () => savePicture(figure));
  if (document.fullscreenEnabled) {
    entry("fullscreen", "Full screen", "Show this figure alone; Escape ends it", () => fullScreen(figure));
  }
  if (figure.spec.code) {
    entry("code", "See the code", "The Python functions that compute this figure", () => showCode(figure));
  }
  menu.append(list);
  document.addEventListener("click", (event) => {
    const inside = menu.contains(/** @type {Node} */ (event.target));
    if (event.isTrusted && !inside) menu.open = false; // a download is clicked by a script
  });
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  return menu;
}

/** @param {import("./figure.js").Explorer} figure @param {HTMLButtonElement} button */
async function copyLink(figure, button) {
  const query = new URLSearchParams(figure.state()).toString();
  const link = `${location.href.split("#")[0]}#${figure.spec.name}?${query}`;
  try {
    await navigator.clipboard.writeText(link);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy link"), 1500);
  } catch {
    history.replaceState(null, "", link); // no clipboard: the address bar holds the link
  }
}

/**
 * The picture as it is now, on the page's own background, twice as sharp as on the screen.
 * @param {import("./figure.js").Explorer} figure
 */
async function savePicture(figure) {
  await figure.rest();
  const { clientWidth: width, clientHeight: height } = figure.plot;
  const layout = { ...figure.plot.layout, paper_bgcolor: background() };
  await figure.plotly?.downloadImage(
    { data: figure.plot.data, layout: figure.layout(layout), config },
    { format: "png", scale: 2, width, height, filename: `${figure.spec.name}` },
  );
}

const background = () => getComputedStyle(document.body).backgroundColor;

/**
 * The figure fills the screen, its drawing what the controls leave.
 * @param {import("./figure.js").Explorer} figure
 */
async function fullScreen(figure) {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  const { height } = figure.plot.layout;
  const fit = () => {
    const alone = document.fullscreenElement === figure.node;
    const rest = figure.node.scrollHeight - figure.plot.offsetHeight;
    figure.resize(alone ? Math.max(height, window.innerHeight - rest - 8) : height);
    if (!alone) document.removeEventListener("fullscreenchange", fit);
  };
  document.addEventListener("fullscreenchange", fit);
  await figure.node.requestFullscreen();
}

/**
 * The module that holds the figure's functions, highlighted when the book was built.
 * @param {import("./figure.js").Explorer} figure
 */
async function showCode(figure) {
  const dialog = element("dialog", { className: "bnviz-code" });
  const close = element("button", { type: "button", name: "close" }, "Close");
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  const { path, url } = figure.spec.code;
  const body = element("div", { className: "bnviz-listing", tabIndex: 0 }, "Loading …");
  const head = element("p", {}, element("strong", {}, figure.spec.title), ` ${path} `, close);
  dialog.append(head, body);
  figure.node.append(dialog);
  dialog.showModal();
  try {
    const response = await get(figure.address(url));
    body.innerHTML = await response.text(); // made by the build from the package's own source
  } catch (error) {
    body.textContent = `The code could not be loaded (${/** @type {Error} */ (error).message}). It stands in ${path}.`;
  }
}
