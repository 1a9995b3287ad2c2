/** Signing in with an API key, which the browser then holds in a cookie that no script can read. */

import { h, replace, announce } from "./dom.js";
import * as connection from "./connection.js";
import { useToken, CallError } from "./rpc.js";
import { failure } from "./parts/messages.js";

const PATH = "/console/session";

/**
 * The state of the session.
 *
 * @returns {Promise<{keysRequired: boolean, signedIn: boolean}>} Throws CallError.
 */
export async function read() {
  const end = connection.began(); // the gateway asks the matcher whether a key is required
  try {
    return await take(await fetch(PATH, { headers: { accept: "application/json" } }));
  } finally {
    end();
  }
}

/**
 * Sign in with a key.
 *
 * @param {string} key
 * @param {boolean} remember Whether the session outlives the browser.
 * @returns {Promise<{keysRequired: boolean, signedIn: boolean}>} Throws CallError where the key is not accepted.
 */
async function signIn(key, remember) {
  const headers = { "content-type": "application/json" };
  return take(await fetch(PATH, { method: "POST", headers, body: JSON.stringify({ key, remember }) }));
}

/** Sign out, and forget the key. */
export async function signOut() {
  await fetch(PATH, { method: "DELETE" });
  useToken("");
}

async function take(response) {
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new CallError(answer.message ?? "the gateway does not answer", { code: answer.code });
  useToken(answer.csrf_token ?? "");
  return { keysRequired: answer.keys_required, signedIn: answer.signed_in };
}

/**
 * Show the form to sign in.
 *
 * @param {HTMLElement} root Where.
 * @param {string} why Why it is needed, or an empty text.
 * @param {() => void} done Called when signed in.
 */
export function showForm(root, why, done) {
  const key = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true });
  const remember = h("input", { type: "checkbox" });
  const problem = h("div", { role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    replace(problem);
    try {
      await signIn(key.value.trim(), remember.checked);
      announce("Signed in");
      done();
    } catch (error) {
      replace(problem, failure(error));
      key.select();
    }
  };
  replace(
    root,
    h("form", { class: "card sign-in", onsubmit: submit },
      h("h1", {}, "Sign in"),
      why && h("p", { class: "notice" }, why),
      h("label", { for: "key" }, "API key"), key,
      h("p", { class: "hint" }, "The key decides what you see and may do. It is kept sealed in a cookie until the browser is closed or the session ends."),
      h("label", { class: "choice" }, remember, "Remember me until the session ends"),
      problem,
      h("button", { class: "primary" }, "Sign in")),
  );
  key.focus();
}
