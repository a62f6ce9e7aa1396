/**
 * What a reader does with a figure, for the drivers of several browsers: evaluated in a page of the
 * built book, it leaves `reader` there, whose `train` and `sliders` say what was seen.
 */
(() => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const plain = (value) =>
    ArrayBuffer.isView(value) ? Array.from(value, String) : Array.isArray(value) ? value.map(plain) : String(value);
  const reader = (window.reader = {
    async until(condition, what) {
      const end = Date.now() + 120_000;
      while (!condition()) {
        if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
        await frame();
      }
    },
    async live(name) {
      const node = document.querySelector(`figure.bnviz[data-explorer="${name}"]`);
      node.scrollIntoView({ block: "center", behavior: "instant" });
      await reader.until(() => node.dataset.state === "live", `${name} comes to life`);
      return node;
    },
    async rest(node) {
      await reader.until(() => !node.dataset.doing, "nothing is left to do");
      await frame();
      await frame(); // the newest picture may wait for the next one
      await reader.until(() => !node.querySelector(".bnviz-hot"), "plotly has drawn");
    },
    /** Every number that is drawn, as text, which can say NaN. */
    seen(node, bindings) {
      const { data } = node.querySelector(".bnviz-plot");
      const drawn = {};
      for (const { trace, attribute } of bindings) {
        const found = data.find(({ uid }) => uid === trace);
        drawn[`${trace}.${attribute}`] = plain(found[attribute]);
        if (found.x) drawn[`${trace}.x`] = plain(found.x);
      }
      const text = (name) => node.querySelector(name).textContent;
      return { state: node.dataset.state, readout: text(".bnviz-readout"), note: text(".bnviz-note"), drawn };
    },
    async bindings(node) {
      return (await (await fetch(new URL(node.dataset.spec, document.baseURI))).json()).bindings;
    },
    /** As fast as it goes to near the end, then step by step, so that all stop at one step. */
    async train({ figure, steps }) {
      const node = await reader.live(figure);
      const press = (name) => node.querySelector(`button[name="${name}"]`).click();
      const speed = node.querySelector('[name="speed"]');
      speed.value = "fast";
      speed.dispatchEvent(new Event("change", { bubbles: true }));
      const play = node.querySelector('button[name="play"]');
      const step = () => Number(node.dataset.step);
      press("play");
      await reader.until(() => step() >= steps - 140 || play.disabled, `${figure} trains`);
      if (play.textContent === "Pause") press("play");
      await reader.rest(node);
      while (step() < steps && !play.disabled) {
        const next = step() + 1;
        press("step");
        await reader.until(() => step() >= next || play.disabled, `${figure} takes step ${next}`);
      }
      await reader.rest(node);
      const bindings = await reader.bindings(node);
      return { figure, step: step(), ...reader.seen(node, bindings) };
    },
    /** Each slider to both of its ends and back; the picture follows. */
    async sliders({ figure }) {
      const node = await reader.live(figure);
      const bindings = await reader.bindings(node);
      const found = [];
      for (const slider of node.querySelectorAll('input[type="range"]')) {
        const before = slider.value;
        for (const end of [slider.min, slider.max, before]) {
          const renders = Number(node.dataset.renders);
          slider.value = end;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
          await reader.until(() => Number(node.dataset.renders) > renders, `${figure} follows ${slider.name}`);
          await reader.rest(node);
          found.push({ slider: slider.name, end, ...reader.seen(node, bindings) });
        }
      }
      return { figure, moves: found };
    },
  });
})();
