/** Whether the services answer: says so at the top of the page while they do not, and waits until they do again. */

const POLL_MILLISECONDS = 1000;

let waiting = null;
const missing = new Set();

/**
 * Note that a call found a service unreachable; the page says so until one answers.
 *
 * @param {string} why A sentence without its full stop.
 * @param {string[]} services The full names of the services that the call needs.
 * @returns {(signal?: AbortSignal) => Promise<void>} Waits until all that calls have missed are ready, or the signal ends
 *   it.
 */
export function lost(why, services) {
  for (const service of services) missing.add(service);
  const notice = document.getElementById("connection");
  notice.textContent = `${why.charAt(0).toUpperCase()}${why.slice(1)}. Trying again …`;
  notice.hidden = false;
  waiting ??= untilReady();
  const ready = waiting;
  return (signal) => Promise.race([ready, ended(signal)]);
}

/** Note that a call was answered. */
export function found() {
  if (!waiting) document.getElementById("connection").hidden = true;
}

async function untilReady() {
  for (;;) {
    await new Promise((resolve) => { setTimeout(resolve, POLL_MILLISECONDS); });
    const states = await fetch("/ready").then((response) => response.json()).catch(() => null);
    if (states && [...missing].every((service) => states.services[service])) break;
  }
  waiting = null;
  missing.clear();
  found();
}

function ended(signal) {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (signal?.aborted) reject(signal.reason);
  });
}
