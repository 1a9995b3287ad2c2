/** Pictures from the camera. */

import { h, announce, replace } from "../dom.js";

const QUALITY = 0.95;

/** What to do where the browser gives no camera, by the name of its error. */
const PROBLEMS = {
  NotAllowedError: "This page may not use the camera. Allow it in the browser's settings of this site, then try again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera is used by another program. Close that, then try again.",
};

/** Whether the browser offers a camera to this page: only over HTTPS and on this machine. */
export function isAvailable() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

/**
 * Show the camera's picture with a button that takes it.
 *
 * @param {HTMLElement} root Where.
 * @param {{signal: AbortSignal, ontake: (photo: File) => void, onstop: () => void}} options The signal stops it.
 * @returns {Promise<void>} When the camera runs, or a message says why it does not.
 */
export async function open(root, { signal, ontake, onstop }) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
  } catch (error) {
    const text = PROBLEMS[error.name] ?? `The camera cannot be used: ${error.message}`;
    replace(root, h("p", { class: "notice", role: "alert" }, text), h("button", { type: "button", onclick: onstop }, "Close"));
    return;
  }
  const close = () => stream.getTracks().forEach((track) => track.stop());
  signal.addEventListener("abort", close, { once: true });
  if (signal.aborted) {
    close();
    return;
  }
  const video = h("video", { autoplay: true, playsinline: true, "aria-label": "Picture of the camera" });
  video.muted = true;
  video.srcObject = stream;
  const take = h("button", { type: "button", class: "primary", disabled: true, onclick: async () => ontake(await capture(video)) }, "Take the picture");
  replace(root, video, h("div", { class: "row" }, take, h("button", { type: "button", onclick: onstop }, "Stop the camera")));
  video.addEventListener("loadeddata", () => {
    take.disabled = false; // before that there is nothing to take
    take.focus();
    announce("The camera is on");
  }, { once: true });
}

function capture(video) {
  const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", QUALITY);
  });
}
