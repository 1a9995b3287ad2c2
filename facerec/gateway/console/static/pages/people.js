/** People: the list of a collection, a person with their faces, and what has become of an erasure. */

import { showList } from "./people/list.js";
import { showPerson } from "./people/person.js";
import { showErasure } from "./people/erasure.js";

async function render(root, [view, id], context) {
  if (view === "person" && id) await showPerson(root, id, context);
  else if (view === "erasure" && id) await showErasure(root, id, context);
  else await showList(root, context);
}

export default { path: "people", title: "People", methods: ["ListPersons"], render };
