/** Pictures that the reader gives: dropped, pasted, chosen as files, or taken by the camera. They stay in memory. */

import { h, append, objectUrl, releaseUrl, replace } from "../dom.js";
import * as camera from "./camera.js";

const ACCEPT = "image/*,.heic,.heif,.avif,.jxl,.tif,.tiff";
const MAX_PHOTOS = 16;

/** A place for pictures. */
export class PhotoInput {
  /**
   * @param {{label: string, multiple?: boolean, signal: AbortSignal, onchange: (photos: File[]) => void}} options Its
   *   name, whether it takes several pictures, the signal that ends it, and what is told of each change.
   */
  constructor({ label, multiple = false, signal, onchange }) {
    this.multiple = multiple;
    this.signal = signal;
    this.onchange = onchange;
    /** @type {File[]} */
    this.photos = [];
    this.stage = h("div", { class: "stage" });
    this.buttons = h("div", { class: "row" });
    this.root = h("section", {
      class: "photo-input", "aria-label": label, ondragover: (event) => this.drag(event, true),
      ondragleave: (event) => this.drag(event, false), ondrop: (event) => this.drop(event),
    }, h("p", { class: "label" }, label), this.stage, this.buttons);
    this.render();
  }

  /** Take pictures in place of those it has, or beside them where it takes several. */
  give(files) {
    if (!files.length) return;
    this.stopCamera();
    const kept = this.multiple ? this.photos : [];
    const photos = [...kept, ...files].slice(0, this.multiple ? MAX_PHOTOS : kept.length + 1);
    this.change(photos);
  }

  /** Have no picture. */
  clear() {
    this.change([]);
  }

  change(photos) {
    for (const photo of this.photos) if (!photos.includes(photo)) releaseUrl(photo);
    this.photos = photos;
    this.render();
    this.onchange(photos);
  }

  drag(event, over) {
    event.preventDefault();
    this.root.classList.toggle("over", over);
  }

  drop(event) {
    this.drag(event, false);
    event.stopPropagation();
    this.give([...event.dataTransfer.files]);
  }

  render() {
    /** @type {HTMLElement[]} The pictures as they are shown, in their order. */
    this.figures = this.photos.map((photo) => this.figure(photo));
    replace(this.stage, this.figures.length ? this.figures : h("p", { class: "hint" }, "Drop or paste a picture here"));
    this.stage.className = `stage ${this.photos.length ? (this.multiple ? "several" : "one") : "empty"}`;
    const file = h("input", {
      type: "file", accept: ACCEPT, multiple: this.multiple, hidden: true, onchange: () => this.give([...file.files]),
    });
    const words = this.photos.length === 0 ? "Choose a picture" : this.multiple ? "Add a picture" : "Choose another";
    replace(this.buttons, file,
      h("button", { type: "button", class: !this.photos.length && "primary", onclick: () => file.click() }, `${words} …`),
      camera.isAvailable() && h("button", { type: "button", onclick: () => this.openCamera() }, "Use the camera"));
  }

  figure(photo) {
    const figure = h("figure", { class: "picture" });
    const image = h("img", { src: objectUrl(photo), alt: photo.name, decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(h("p", { class: "hint" },
      `This browser cannot show ${photo.name}. The services may read it all the same.`)));
    append(figure, image, this.multiple && h("button", {
      type: "button", class: "remove", "aria-label": `Remove ${photo.name}`,
      onclick: () => this.change(this.photos.filter((each) => each !== photo)),
    }, "×"));
    return figure;
  }

  /**
   * The first picture as it is shown, upright, once its size is known.
   *
   * @returns {Promise<HTMLImageElement|null>} Null where the browser cannot show it.
   */
  async image() {
    const image = this.figures[0]?.querySelector("img");
    if (!image) return null;
    return image.decode().then(() => image, () => null);
  }

  /**
   * Mark the picture that a call refused, until the pictures change.
   *
   * @param {number|null} index Null for none.
   */
  mark(index) {
    this.figures.forEach((figure, at) => figure.classList.toggle("refused", at === index));
  }

  openCamera() {
    this.stopCamera();
    if (!this.multiple && this.photos.length) this.clear(); // and with it what was said of it
    this.filming = new AbortController();
    this.stage.className = "stage camera";
    replace(this.buttons);
    camera.open(this.stage, {
      signal: AbortSignal.any([this.signal, this.filming.signal]),
      ontake: (photo) => this.give([photo]),
      onstop: () => this.stopCamera(),
    });
  }

  /** Turn the camera off, if it is on. */
  stopCamera() {
    if (!this.filming) return;
    this.filming.abort();
    this.filming = null;
    this.render();
  }
}
