/** The list of a collection's people, with a search. */

import { h, replace } from "../../dom.js";
import * as format from "../../parts/format.js";
import { failure } from "../../parts/messages.js";
import { labelTags, personAddress, suspendedTag } from "../../parts/people.js";
import { callShown } from "../../parts/shown_call.js";
import { showPages, table } from "../../parts/table.js";

const PAGE_SIZE = 50;
const SEARCH_MILLISECONDS = 250;

/**
 * Show the list.
 *
 * @param {HTMLElement} root Where.
 * @param {import("../../main.js").Context} context
 */
export async function showList(root, context) {
  const search = h("input", { id: "search", type: "search", autocomplete: "off" });
  const labels = h("input", { id: "labels", placeholder: "site=berlin", autocomplete: "off" });
  const suspended = h("input", { type: "checkbox" });
  const results = h("div");
  let latest = 0;
  const list = async () => {
    const mine = ++latest;
    try {
      const request = listRequest(search.value, labels.value, suspended.checked, context.collectionId);
      await showPages(results, (token) => fetchPage(request, token, context, () => mine === latest), peopleTable);
    } catch (error) {
      if (error.name !== "AbortError" && mine === latest) replace(results, failure(error));
    }
  };
  let timer;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(list, SEARCH_MILLISECONDS);
  };
  search.addEventListener("input", later);
  labels.addEventListener("input", later);
  suspended.addEventListener("change", list);
  replace(root,
    h("h1", {}, "People"),
    h("form", { class: "row", role: "search", onsubmit: (event) => { event.preventDefault(); list(); } },
      h("label", { for: "search" }, "Name or id"), search,
      h("label", { for: "labels" }, "Labels"), labels,
      h("label", { class: "choice" }, suspended, "Suspended only")),
    results);
  await list();
}

/** The request of ListPersons for what was typed. Throws an error for labels of another form. */
function listRequest(text, labels, isSuspended, collectionId) {
  const request = { collectionId, pageSize: PAGE_SIZE };
  if (text.trim()) request.query = text.trim();
  const chosen = Object.create(null); // any text may be a key
  for (const pair of labels.split(/[\s,]+/).filter(Boolean)) {
    const at = pair.indexOf("=");
    if (at < 1) throw new Error(`a label is searched as key=value, such as site=berlin, not ${pair}`);
    (chosen[pair.slice(0, at)] ??= { values: [] }).values.push(pair.slice(at + 1));
  }
  const filter = { ...(Object.keys(chosen).length && { labels: chosen }), ...(isSuspended && { suspended: true }) };
  if (Object.keys(filter).length) request.filter = filter;
  return request;
}

async function fetchPage(request, pageToken, context, isLatest) {
  const asked = pageToken ? { ...request, pageToken } : request;
  const answer = await callShown("MatcherService/ListPersons", asked, context);
  if (!isLatest()) throw new DOMException("another search has begun", "AbortError");
  return { items: answer.persons, next: answer.nextPageToken };
}

function peopleTable(persons) {
  if (!persons.length) return h("p", { class: "notice" }, "Nobody is found.");
  return table("People", ["Name", "Id", "Faces", "Labels", "Changed"], persons.map((person) => [
    [h("a", { href: personAddress(person.personId) }, person.displayName || person.personId), suspendedTag(person)],
    person.personId,
    format.count(person.faceCount),
    labelTags(person.labels),
    format.time(person.updateTime),
  ]));
}
