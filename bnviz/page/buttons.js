// @ts-check
/**
 * What the theme's buttons do, by the name in `data-call`. An `onclick` would need a gap in the
 * policy of every page, also of the search, which parses the others. Not a module, so that it runs
 * from a file too.
 */
addEventListener("click", (event) => {
  const button = /** @type {Element} */ (event.target).closest("button[data-call]");
  const call = /** @type {HTMLElement | null} */ (button)?.dataset.call;
  if (call === "print") print();
  if (call === "toggleFullScreen") /** @type {any} */ (window).toggleFullScreen();
});
