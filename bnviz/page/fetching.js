// @ts-check
/** Fetch what a figure needs, and say in plain words what went wrong. */

/**
 * @param {string} url @param {number} attempt above 0 the browser's own copy is not trusted
 * @returns {Promise<Response>}
 * @throws {Error} a sentence without its full stop: which file, what happened, what to do
 */
export async function get(url, attempt = 0) {
  const name = url.split("/").pop();
  let response;
  try {
    response = await fetch(url, { cache: attempt ? "reload" : "default" });
  } catch {
    throw new Error(`${name} could not be loaded; check the connection to the network`);
  }
  if (!response.ok) throw new Error(`${name} could not be loaded (status ${response.status})`);
  return response;
}

/** Another address for the same file, past a copy that a browser kept. @param {string} url @param {number} attempt */
export const anew = (url, attempt) => (attempt ? `${url}?again=${attempt}` : url);

/**
 * Bytes of a file, unpacked if they are gzipped, whose sum of check reveals damage.
 * @param {string} url @param {number} attempt
 * @returns {Promise<ArrayBuffer>}
 */
export async function getBytes(url, attempt = 0) {
  const response = await get(url, attempt);
  try {
    return await unpack(await response.arrayBuffer());
  } catch {
    throw new Error(`${url.split("/").pop()} did not arrive whole`);
  }
}

/** @param {ArrayBuffer} bytes */
async function unpack(bytes) {
  const head = new Uint8Array(bytes, 0, Math.min(bytes.byteLength, 2));
  if (head[0] !== 0x1f || head[1] !== 0x8b) return bytes; // the server unpacked it
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain).arrayBuffer();
}
