/** The curve of a calibration: both error rates over the threshold, on a logarithmic scale, with their intervals. */

import { h, svg } from "../../dom.js";
import * as format from "../../parts/format.js";

const WIDTH = 720;
const HEIGHT = 320;
const MARGIN = { left: 64, right: 16, top: 12, bottom: 40 };
const LOWEST = 1e-6;
const DECADES = 6;

/**
 * The largest threshold of the chart, in which the curve's interesting part lies.
 *
 * @param {Object[]} curve The operating points.
 * @returns {number} A distance.
 */
export function lastThreshold(curve) {
  return Math.max(0.8, ...curve.map((point) => point.threshold).filter((value) => value <= 1.2));
}

/**
 * The chart.
 *
 * @param {Object[]} curve The operating points, by rising thresholds.
 * @param {{current: number, chosen: number}} marks The collection's threshold, and the one that is looked at.
 * @returns {HTMLElement}
 */
export function chart(curve, marks) {
  const last = lastThreshold(curve);
  const x = (threshold) => MARGIN.left + (threshold / last) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value) => {
    const share = -Math.log10(Math.min(1, Math.max(value, LOWEST))) / DECADES;
    return MARGIN.top + share * (HEIGHT - MARGIN.top - MARGIN.bottom);
  };
  const points = curve.filter((point) => point.threshold <= last);
  return h("figure", { class: "chart" },
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "False match rate and false non-match rate by threshold" },
      grid(last, x, y),
      series(points, "fmr", x, y), series(points, "fnmr", x, y),
      mark(marks.current, "current", x), mark(marks.chosen, "chosen", x)),
    h("figcaption", {},
      h("span", { class: "key fmr" }, "false match rate"), " ",
      h("span", { class: "key fnmr" }, "false non-match rate"), " ",
      h("span", { class: "key current" }, `in use: ${format.distance(marks.current)}`)));
}

function grid(last, x, y) {
  const lines = [];
  for (let decade = 0; decade <= DECADES; decade += 1) {
    const value = 10 ** -decade;
    lines.push(svg("line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(value), y2: y(value), class: "grid" }),
      svg("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, `${Number((value * 100).toPrecision(1))} %`));
  }
  for (let tenth = 0; tenth <= Math.round(last * 10); tenth += 1) {
    lines.push(svg("text", { x: x(tenth / 10), y: HEIGHT - MARGIN.bottom + 18, "text-anchor": "middle" }, (tenth / 10).toFixed(1)));
  }
  lines.push(svg("text", { x: WIDTH / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "threshold (distance)"));
  return lines;
}

/** A rate as a line where it is not 0, which has no place on the scale, over the band of its interval. */
function series(points, name, x, y) {
  const known = points.filter((point) => point[name]);
  if (!known.length) return null;
  const at = (key, some = known) => some.map((point) => `${x(point.threshold).toFixed(1)},${y(point[name][key]).toFixed(1)}`);
  return [
    svg("polygon", { class: `band ${name}`, points: [...at("high"), ...at("low").reverse()].join(" ") }),
    svg("polyline", { class: `line ${name}`, points: at("value", known.filter((point) => point[name].value > 0)).join(" ") }),
  ];
}

function mark(threshold, name, x) {
  return svg("line", { class: `mark ${name}`, x1: x(threshold), x2: x(threshold), y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
}
