/** The console: its pages, the session, and what all pages share. */

import { h, replace, releaseUrls } from "./dom.js";
import { call, whenUnauthenticated, CallError } from "./rpc.js";
import { Access } from "./access.js";
import * as session from "./session.js";
import { failure, reading } from "./parts/messages.js";
import { CodePanel } from "./parts/code_panel.js";
import tryPage from "./pages/try.js";
import peoplePage from "./pages/people.js";
import reviewPage from "./pages/review.js";
import thresholdsPage from "./pages/thresholds.js";
import healthPage from "./pages/health.js";

/**
 * A page.
 *
 * @typedef {Object} Page
 * @property {string} path The first part of the address after `#/`.
 * @property {string} title What the navigation calls it.
 * @property {string[]} methods It is shown to callers who may call at least one of these.
 * @property {(root: HTMLElement, parts: string[], context: Context) => (void|Promise<void>)} render Shows it; `parts`
 *   are the rest of the address, decoded.
 */

/**
 * What pages share.
 *
 * @typedef {Object} Context
 * @property {string} collectionId The collection chosen.
 * @property {Access} access What the caller may do.
 * @property {AbortSignal} signal Ends when the page is left: pass it to every call.
 * @property {(call: import("./parts/snippets.js").Call) => void} showCall Shows a call as code.
 * @property {() => void} refresh Shows the page again.
 */

/** @type {Page[]} */
const PAGES = [tryPage, peoplePage, reviewPage, thresholdsPage, healthPage];

const content = document.getElementById("content");
const code = new CodePanel(document.getElementById("code"));
let access = new Access({});
let collectionIds = ["default"];
let left = new AbortController();

async function start(why = "") {
  left.abort();
  replace(content, reading());
  code.clear();
  showFrame();
  try {
    const state = await session.read();
    if (state.keysRequired && !state.signedIn) {
      session.showForm(content, why, () => start());
      return;
    }
    access = new Access((await call("CollectionService/GetCaller", {})).caller);
    collectionIds = await readCollections();
  } catch (error) {
    if (error.code !== "unauthenticated") replace(content, failure(error));
    return;
  }
  code.keysRequired = access.keysRequired;
  showFrame();
  await show();
}

async function readCollections() {
  if (access.collectionIds.length) return access.collectionIds;
  if (!access.may("ListCollections")) return ["default"];
  // The page Health says why no matcher is ready, so the pages are shown already, and again when one is.
  const onLost = (wait) => wait().then(() => start());
  try {
    const { collections } = await call("CollectionService/ListCollections", { pageSize: 1000 }, { onLost });
    return collections.map((each) => each.collectionId);
  } catch (error) {
    if (error.code !== "unavailable") throw error;
    return [sessionStorage.getItem("collection") ?? "default"];
  }
}

function chosenCollection() {
  const chosen = sessionStorage.getItem("collection");
  return collectionIds.includes(chosen) ? chosen : collectionIds.includes("default") ? "default" : collectionIds[0];
}

function address() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean);
  try {
    return parts.map(decodeURIComponent);
  } catch {
    return [];
  }
}

function allowedPages() {
  return PAGES.filter((page) => access.mayAny(page.methods));
}

function showFrame() {
  const current = address()[0];
  const links = allowedPages();
  replace(document.getElementById("navigation"), links.map((page) => h("a", {
    href: `#/${page.path}`, "aria-current": page.path === current && "page",
  }, page.title)));
  const choose = (event) => {
    sessionStorage.setItem("collection", event.target.value);
    show();
  };
  const leave = async () => {
    await session.signOut();
    access = new Access({});
    start();
  };
  replace(
    document.getElementById("account"),
    access.isKnown && collectionIds.length > 1 && h("label", {}, "Collection ",
      h("select", { onchange: choose }, collectionIds.map((id) => h("option", {
        selected: id === chosenCollection(),
      }, id)))),
    access.isKnown && access.keysRequired && [h("span", { class: "hint" }, access.name),
      h("button", { onclick: leave }, "Sign out")],
  );
}

async function show() {
  left.abort();
  left = new AbortController();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  releaseUrls();
  const [path, ...parts] = address();
  const pages = allowedPages();
  const page = pages.find((each) => each.path === path) ?? (path ? null : pages[0]);
  if (!page) {
    replace(content, h("p", { class: "notice" }, refused(path)));
    return;
  }
  if (!path) history.replaceState(null, "", `#/${page.path}`);
  showFrame();
  document.title = `${page.title} – facerec`;
  code.clear();
  const waiting = reading();
  const root = h("div", { class: `page ${page.path}` }, waiting);
  replace(content, root);
  content.focus({ preventScroll: true });
  const context = {
    collectionId: chosenCollection(), access, signal: left.signal, refresh: show,
    showCall: (shown) => code.show(shown),
  };
  try {
    await page.render(root, parts, context);
  } catch (error) {
    waiting.remove();
    if (error.name !== "AbortError" && error.code !== "unauthenticated") root.prepend(failure(error));
  }
}

/** Why a page is not shown. */
function refused(path) {
  const wanted = PAGES.find((each) => each.path === path);
  const has = `It has ${access.roles.length ? access.roleNames : "no role"}${access.scores ? "" : ", without scores"}.`;
  if (wanted) return `Your key may not use this page, which requires ${access.required(wanted.methods)}. ${has}`;
  if (allowedPages().length) return "There is no such page.";
  return `Your key may not use any page of the console: they require ${access.required(PAGES.flatMap(({ methods }) => methods))}. ${has}`;
}

whenUnauthenticated((error) => {
  if (error instanceof CallError) start("The session has ended, or the key is no longer valid.");
});
window.addEventListener("hashchange", () => { if (access.isKnown) show(); });
start();
