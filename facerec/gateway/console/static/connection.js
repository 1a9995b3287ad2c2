/** Whether the services answer: says so at the top of the page while they do not, and waits until they do again. */

const POLL_MILLISECONDS = 1000;
const SLOW_MILLISECONDS = 3000;

let waiting = null;
let problem = "";
let slow = 0;
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
  problem = `${why.charAt(0).toUpperCase()}${why.slice(1)}. Trying again …`;
  waiting ??= untilReady();
  say();
  const ready = waiting;
  return (signal) => Promise.race([ready, ended(signal)]);
}

/** Note that a call was answered. */
export function found() {
  if (!waiting) problem = "";
  say();
}

/**
 * Note that a call begins: while it has no answer for some seconds, the page says so.
 *
 * @returns {() => void} To be called when it has ended.
 */
export function began() {
  let isSlow = false;
  const timer = setTimeout(() => {
    isSlow = true;
    slow += 1;
    say();
  }, SLOW_MILLISECONDS);
  return () => {
    clearTimeout(timer);
    if (isSlow) slow -= 1;
    say();
  };
}

function say() {
  const notice = document.getElementById("connection");
  const text = problem || (slow ? "The service is slow: it has not answered yet. Waiting …" : "");
  if (notice.textContent !== text) notice.textContent = text; // what is set again is read out again
  notice.hidden = !text;
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
