/** The queue of what a service lists for review, with the threshold within which it looks. */

import { call } from "../../rpc.js";
import * as format from "../../parts/format.js";
import { callShown } from "../../parts/shown_call.js";
import { Queue } from "./queue.js";

const PAGE_SIZE = 20;

/**
 * Show the first item of a list.
 *
 * @param {HTMLElement} root Where.
 * @param {{method: string, items: string, examined: string, noun: string}} list The method of CollectionService, the
 *   fields of its answer that have the items and how many were examined, and of what.
 * @param {import("../../main.js").Context} context
 * @param {(item: any, threshold: number) => Promise<{body: Node, choices: import("./queue.js").Choice[]}>} show What to
 *   show of an item.
 */
export async function showQueue(root, list, context, show) {
  const named = { collectionId: context.collectionId };
  const { collection } = await call("CollectionService/GetCollection", named, { signal: context.signal });
  const threshold = collection.settings.duplicateThreshold;
  const fetchPage = async (pageToken) => {
    const request = { ...named, pageToken, pageSize: PAGE_SIZE };
    const answer = await callShown(`CollectionService/${list.method}`, request, context);
    const how = answer.exact ? ", each compared with all" : " by the index";
    const examined = `${format.counted(answer[list.examined], list.noun)} examined${how}.`;
    return { items: answer[list.items], next: answer.nextPageToken, examined };
  };
  await new Queue(root, fetchPage, (item) => show(item, threshold)).next();
}
