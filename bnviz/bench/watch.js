/**
 * What the benchmark measures inside a page of the book; evaluates to an object of functions.
 *
 * A move begins at the start of a frame, where browsers hand out input, and is over once the frame
 * with the new picture has been painted: style, layout and painting count, and so does the wait for
 * the next frame.
 */
(() => {
  /** @returns {Promise<number>} */
  const frame = () => new Promise(requestAnimationFrame);
  /** @param {number} ms */
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  /** The first task after the painting of the frame that is being made. */
  const painted = () =>
    new Promise((resolve) => {
      const channel = new MessageChannel();
      channel.port1.onmessage = resolve;
      channel.port2.postMessage(0);
    });

  /** @param {HTMLElement} node @returns {Promise<void>} */
  const drawn = (node) =>
    new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        observer.disconnect();
        resolve();
      });
      observer.observe(node, { attributeFilter: ["data-renders"] });
    });

  /** The slider of that name. @param {HTMLElement} node @param {string} name @returns {HTMLInputElement} */
  const sliderOf = (node, name) => {
    const slider = node.querySelector(`input[type=range][name="${name}"]`);
    if (!(slider instanceof HTMLInputElement)) throw new Error(`there is no slider ${name}`);
    return slider;
  };

  /** One of the page's own modules. @param {string} file @returns {Promise<any>} */
  const own = (file) => {
    const script = document.querySelector('script[src*="explorer.js"]');
    return import(new URL(file, /** @type {HTMLScriptElement} */ (script).src).href);
  };

  /** The slider's places, spread over its whole length. @param {HTMLInputElement} slider @param {number} k */
  const place = (slider, k) => {
    const [low, high] = [Number(slider.min), Number(slider.max)];
    return low + (high - low) * ((k * 0.618) % 1);
  };

  /** @param {HTMLInputElement} slider @param {number} value */
  const move = (slider, value) => {
    slider.value = String(value);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };

  return {
    /**
     * Milliseconds of each of `count` moves of a slider, as when it is dragged.
     * @param {HTMLElement} node @param {string} name @param {number} count
     */
    async drag(node, name, count) {
      const slider = sliderOf(node, name);
      const times = [];
      for (let k = 0; k < count + 3; k++) {
        await frame();
        const began = performance.now();
        const change = drawn(node);
        move(slider, place(slider, k));
        await change;
        await frame(); // drawn between two frames, a picture is shown with the second
        await painted();
        times.push(performance.now() - began);
      }
      return times.slice(3); // the first moves of a drag hide plotly's marks
    },

    /**
     * The same pictures, drawn by plotly.js alone, with data that is there already.
     * @param {HTMLElement} node @param {string} name @param {number} count
     */
    async redraw(node, name, count) {
      const slider = sliderOf(node, name);
      const plot = /** @type {PlotlyElement} */ (node.querySelector(".bnviz-plot"));
      const { config } = await own("plotly.js"); // with another, it starts anew
      const pictures = [];
      for (let k = 0; k < 2; k++) {
        const change = drawn(node);
        move(slider, place(slider, k + 1));
        await change;
        pictures.push(plot.data.map((trace) => ({ ...trace })));
      }
      await pause(500); // plotly has drawn, and rests
      const times = [];
      for (let k = 0; k < count + 3; k++) {
        await frame();
        const began = performance.now();
        await Plotly.react(plot, pictures[k % 2], { ...plot.layout }, config);
        await painted();
        times.push(performance.now() - began);
        await frame();
      }
      return times.slice(3);
    },

    /**
     * Milliseconds of computing for one picture, without any drawing: of a training, from the question
     * to the answer of its worker.
     * @param {HTMLElement} node
     * @param {{figure: string, controls: number[], batch?: number}} asked batch: of a training
     * @param {number} count
     */
    async computing(node, asked, count) {
      const spec = await (await fetch(/** @type {string} */ (node.dataset.spec))).json();
      const address = (/** @type {string} */ path) => new URL(path, new URL(node.dataset.spec ?? "", location.href)).href;
      const { ask } = await own("runtime.js");
      const { Compiled } = await own("compiled.js");
      const here = spec.kind === "explorer" && (await Compiled.load(spec.module, address, 0));
      const times = [];
      for (let k = 0; k < count; k++) {
        const began = performance.now();
        if (here) here.run("compute", { controls: asked.controls });
        else await ask("look", asked);
        times.push(performance.now() - began);
      }
      return times;
    },

    /**
     * Milliseconds from the start of a frame to the painting of the next, with nothing to do.
     * @param {number} count
     */
    async empty(count) {
      const times = [];
      for (let k = 0; k < count; k++) {
        await frame();
        const began = performance.now();
        await frame();
        await painted();
        times.push(performance.now() - began);
      }
      return times;
    },

    /** Frames and new pictures within some seconds. @param {HTMLElement} node @param {number} seconds */
    async frames(node, seconds) {
      const gaps = [];
      const first = Number(node.dataset.renders);
      const began = await frame();
      let last = began;
      while (last - began < 1000 * seconds) {
        const now = await frame();
        gaps.push(now - last);
        last = now;
      }
      const spent = (last - began) / 1000;
      return {
        frames: gaps.length / spent,
        pictures: (Number(node.dataset.renders) - first) / spent,
        late: (100 * gaps.filter((gap) => gap > 50).length) / gaps.length,
      };
    },
  };
})();
