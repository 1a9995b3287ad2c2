/** Elements of the page. Text is always set as text, so nothing that a service answers is read as HTML. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children.
 *
 * @param {string} tag Its name.
 * @param {Object<string, any>} attributes A function is a listener (`onclick`); true is an attribute without a value;
 *   false, null and undefined are left out; `value` and `checked` are set as properties.
 * @param {...(Node|string|number|null|undefined|false|Array)} children Texts and nodes; lists are flattened.
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * An element of SVG, as `h`.
 *
 * @param {string} tag
 * @param {Object<string, any>} attributes
 * @param {...any} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

/**
 * Add children to an element, as `h` does.
 *
 * @param {Element} element
 * @param {...any} children
 */
export function append(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/**
 * Put children in place of those that an element has.
 *
 * @param {Element} element
 * @param {...any} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/**
 * Have a screen reader say a text, without moving the focus.
 *
 * @param {string} text
 */
export function announce(text) {
  const region = document.getElementById("announcements");
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = text; });
}

const urls = new Map();

/**
 * The URL of a blob for an image, until `releaseUrls`.
 *
 * @param {Blob} blob
 * @returns {string}
 */
export function objectUrl(blob) {
  if (!urls.has(blob)) urls.set(blob, URL.createObjectURL(blob));
  return urls.get(blob);
}

/**
 * Free the URL of a blob that is not shown any more.
 *
 * @param {Blob} blob
 */
export function releaseUrl(blob) {
  URL.revokeObjectURL(urls.get(blob) ?? "");
  urls.delete(blob);
}

/** Free the URLs of all blobs: the pictures of a page that is left. */
export function releaseUrls() {
  for (const url of urls.values()) URL.revokeObjectURL(url);
  urls.clear();
}
