/** Faces in a picture: boxes with names over it, thumbnails, and pictures of one face alone. */

import { h, svg } from "../dom.js";

const MAX_LABEL = 24;
const LABEL_PIXELS = { height: 22, letter: 8.5 }; // as the style sheet sets them, at most
const THUMBNAIL_PIXELS = 112;
const THUMBNAIL_MARGIN = 0.3;

/**
 * A box in pixels of an upright picture, as the contract has it.
 *
 * @typedef {{top: number, right: number, bottom: number, left: number}} Box
 */

/**
 * A box with a margin, a share of its size, as far as it is within a picture.
 *
 * @param {Box} box
 * @param {HTMLImageElement} image A picture that has its size.
 * @param {number} margin
 * @returns {Box}
 */
export function within(box, image, margin = 0) {
  const [x, y] = [(box.right - box.left) * margin, (box.bottom - box.top) * margin];
  const clamp = (value, end) => Math.round(Math.min(Math.max(value, 0), end));
  return {
    top: clamp(box.top - y, image.naturalHeight), bottom: clamp(box.bottom + y, image.naturalHeight),
    left: clamp(box.left - x, image.naturalWidth), right: clamp(box.right + x, image.naturalWidth),
  };
}

/**
 * Boxes with names to lay over a picture, for the eye alone: what they say is beside it as text.
 *
 * @param {HTMLImageElement} image A picture that has its size.
 * @param {Array<{box: Box, label: string, known: boolean}>} faces
 * @returns {{root: SVGElement, highlight: (index: number|null) => void}}
 */
export function boxes(image, faces) {
  const inside = faces.map(({ box }) => within(box, image));
  const texts = faces.map(({ label }) => (label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label));
  const places = labelPlaces(inside, texts, image);
  const groups = faces.map(({ known }, index) => group(inside[index], image, texts[index], places[index], known));
  const root = svg("svg", { class: "boxes", "aria-hidden": "true" }, groups);
  const highlight = (index) => {
    root.classList.toggle("dimmed", index !== null);
    groups.forEach((each, at) => each.classList.toggle("highlighted", at === index));
  };
  return { root, highlight };
}

function group(box, image, label, { isBelow, isEnd }, known) {
  const x = (value) => `${(value / image.naturalWidth) * 100}%`;
  const y = (value) => `${(value / image.naturalHeight) * 100}%`;
  const size = { x: x(box.left), y: y(box.top), width: x(box.right - box.left), height: y(box.bottom - box.top), rx: 4 };
  return svg("g", { class: known ? "known" : "unknown" },
    svg("rect", { ...size, class: "outline" }), svg("rect", { ...size, class: "line" }),
    svg("text", {
      x: x(isEnd ? box.right : box.left), y: y(isBelow ? box.bottom : box.top), dy: isBelow ? "1.2em" : "-0.4em",
      "text-anchor": isEnd ? "end" : "start",
    }, label));
}

/** Where the labels go: above a box or below it, and from its left or up to its right, where they cover no other label. */
function labelPlaces(found, texts, image) {
  const scale = image.naturalWidth / (image.clientWidth || image.naturalWidth);
  const [height, letter] = [LABEL_PIXELS.height * scale, LABEL_PIXELS.letter * scale];
  const taken = [];
  return found.map((box, index) => {
    const width = texts[index].length * letter;
    const choices = [[false, false], [false, true], [true, false], [true, true]].map(([isBelow, isEnd]) => {
      const left = isEnd ? box.right - width : box.left;
      const top = isBelow ? box.bottom : box.top - height;
      return { isBelow, isEnd, left, top, right: left + width, bottom: top + height };
    });
    const fits = (each) => each.left >= 0 && each.right <= image.naturalWidth && each.top >= 0 && each.bottom <= image.naturalHeight;
    const isFree = (each) => taken.every((other) => overlap(each, other) === 0);
    const place = choices.find((each) => fits(each) && isFree(each)) ?? choices.find(fits) ?? choices[0];
    taken.push(place);
    return place;
  });
}

/**
 * The pixels that two boxes have in common.
 *
 * @param {Box} a
 * @param {Box} b
 * @returns {number}
 */
export function overlap(a, b) {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return Math.max(0, width) * Math.max(0, height);
}

/**
 * A small picture of a face.
 *
 * @param {HTMLImageElement} image A picture that has its size.
 * @param {Box} box
 * @returns {HTMLCanvasElement}
 */
export function thumbnail(image, box) {
  const part = square(within(box, image, THUMBNAIL_MARGIN));
  const canvas = h("canvas", { class: "thumbnail", width: THUMBNAIL_PIXELS, height: THUMBNAIL_PIXELS, "aria-hidden": "true" });
  canvas.getContext("2d").drawImage(image, part.left, part.top, part.size, part.size, 0, 0, THUMBNAIL_PIXELS, THUMBNAIL_PIXELS);
  return canvas;
}

function square(box) {
  const size = Math.max(1, Math.min(box.right - box.left, box.bottom - box.top));
  return { left: (box.left + box.right - size) / 2, top: (box.top + box.bottom - size) / 2, size };
}
