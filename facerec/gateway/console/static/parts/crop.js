/** A picture of one face alone, cut from one that shows several. */

import { h } from "../dom.js";
import { overlap, within } from "./boxes.js";

const MARGINS = [1, 0.75, 0.5, 0.35]; // of the box's size; encodings need about a quarter
const MAX_OTHER = 0.1;
const COVER = "#808080";

const made = new WeakSet();

/**
 * Cut a face out of an upright picture, without loss, with a margin as wide as the other faces leave. What is left of
 * them in it is covered, so that it shows one face.
 *
 * @param {HTMLImageElement} image
 * @param {import("./boxes.js").Box[]} boxes All faces of the picture.
 * @param {number} index The face to cut out.
 * @param {string} name The name of the picture's file.
 * @returns {Promise<File>} A PNG, such as `door-face-2.png`.
 */
export async function crop(image, boxes, index, name) {
  const others = boxes.filter((_, at) => at !== index);
  const parts = MARGINS.map((margin) => within(boxes[index], image, margin));
  const isAlone = (part) => others.every((other) => overlap(part, other) <= MAX_OTHER * area(other));
  const part = parts.find(isAlone) ?? parts.at(-1);
  const canvas = h("canvas", { width: part.right - part.left, height: part.bottom - part.top });
  const drawing = canvas.getContext("2d");
  drawing.drawImage(image, -part.left, -part.top);
  if (!isAlone(part)) cover(drawing, image, part, others, within(boxes[index], image, MARGINS.at(-1) / 2));
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  const file = new File([blob], `${name.replace(/\.[^.]*$/, "")}-face-${index + 1}.png`, { type: "image/png" });
  made.add(file);
  return file;
}

/** Whether a file was made by `crop`, so that the reader has it only once they download it. */
export function isCutOut(file) {
  return made.has(file);
}

/** Cover the other faces, and draw the face itself over that again. */
function cover(drawing, image, part, others, own) {
  drawing.fillStyle = COVER;
  for (const other of others) {
    drawing.fillRect(other.left - part.left, other.top - part.top, other.right - other.left, other.bottom - other.top);
  }
  const [width, height] = [own.right - own.left, own.bottom - own.top];
  drawing.drawImage(image, own.left, own.top, width, height, own.left - part.left, own.top - part.top, width, height);
}

function area(box) {
  return (box.right - box.left) * (box.bottom - box.top);
}
