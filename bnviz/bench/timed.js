// @ts-check
/** How fast some steps are. */

/**
 * Steps per second, and what the work gives: the loss of the last step.
 * @param {number} steps @param {() => Promise<number>} work
 */
export async function timed(steps, work) {
  const began = performance.now();
  const loss = await work();
  return { rate: (1000 * steps) / (performance.now() - began), loss };
}
