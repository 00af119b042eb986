// Computed in the browser: order, pages, positions. Quotas come from Python.

export const PAGE_SIZE = 25;

// -- numbers in words -----------------------------------------------------------------------------

export const count = (n) => n.toLocaleString("en-US");

/** Three digits. Nearly nothing looks unlike nothing, and nearly all unlike all. */
export function fraction(x) {
  if (x > 0 && x < 0.0005) return "<0.001";
  if (x < 1 && x >= 0.9995) return ">0.999";
  // Half a thousandth, of which only sixteenths have one, goes to the even side as in Python
  const half = Number.isInteger(x * 16) && !Number.isInteger(x * 8);
  return (half ? (2 * Math.round(x * 500)) / 1000 : x).toFixed(3);
}

/** Steps of a hundredth, but the run's own density may have more digits. */
export const density = (d) =>
  Math.abs(d * 100 - Math.round(d * 100)) < 1e-9 ? d.toFixed(2) : String(Number(d.toPrecision(6)));

export const value = (x) =>
  x === 0 || (Math.abs(x) >= 0.001 && Math.abs(x) < 1e5)
    ? String(Number(x.toPrecision(3)))
    : x.toExponential(1);

export const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);

// -- classes by their names -----------------------------------------------------------------------

/** Classes are texts, and with group_by lists of texts. */
export const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The index of a class, null if there is none: another answer may have other classes. */
export function indexOf(classes, wanted) {
  const index = wanted == null ? -1 : classes.findIndex((name) => same(name, wanted));
  return index < 0 ? null : index;
}

// -- the slider -----------------------------------------------------------------------------------

/** The index of the density nearest to one, among ascending densities. */
export function nearest(densities, wanted) {
  let best = 0;
  densities.forEach((d, i) => {
    if (Math.abs(d - wanted) < Math.abs(densities[best] - wanted)) best = i;
  });
  return best;
}

// -- classes in order -----------------------------------------------------------------------------

/** The classes, as indices, by a column; ties stay in the order of their names. */
export function sorted(columns, by, descending) {
  const column = columns[by];
  const order = Array.from(columns.name, (_, k) => k);
  const compare = column && by !== "name" ? (a, b) => column[a] - column[b] || a - b : (a, b) => a - b;
  return order.sort(descending ? (a, b) => compare(b, a) : compare);
}

/** The classes whose name contains the text, whatever its case. */
export function matching(order, names, text) {
  const wanted = text.trim().toLowerCase();
  return wanted ? order.filter((k) => names[k].toLowerCase().includes(wanted)) : order;
}

export function pageOf(order, page) {
  const pages = Math.max(1, Math.ceil(order.length / PAGE_SIZE));
  const current = Math.min(Math.max(0, page), pages - 1);
  const start = current * PAGE_SIZE;
  return { pages, current, start, rows: order.slice(start, start + PAGE_SIZE) };
}

// -- positions ------------------------------------------------------------------------------------

/** One path of vertical bars in a box of the given height, one unit wide each. */
export function barsPath(values, most, height) {
  return values
    .map((n, i) => {
      const top = height - (height * n) / most;
      return `M${i} ${height}V${top.toFixed(2)}h1V${height}z`;
    })
    .join("");
}

export function linear([from, to], [start, end]) {
  const unit = from === to ? 0 : (end - start) / (to - from);
  return (x) => start + (x - from) * unit;
}

/** About five round numbers from low to high. */
export function ticks(low, high) {
  if (!(high > low)) return [low];
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const round = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++)
    round.push(Number((i * step).toPrecision(12)));
  return round;
}

/** The recall of a class as it was measured, or given. What the rule used may be smoothed. */
export const measured = (run, k) => run.observed?.[k] ?? run.recalls[k];

/** All that is known of the recall of a class, in words. */
export function recallWords(run, k) {
  if (run.observed?.[k] === null) return `no validation sample; the rule used ${fraction(run.recalls[k])}`;
  const words = [`${run.observed ? "measured" : "given"} ${fraction(measured(run, k))}`];
  if (run.intervals) words.push(`95 % interval ${run.intervals[k].map(fraction).join(" to ")}`);
  if (run.observed && run.observed[k] !== run.recalls[k])
    words.push(`the rule used ${fraction(run.recalls[k])}, smoothed`);
  return words.join("; ");
}

/** The classes with the least and the greatest offset, each as [row, offset].
 *
 * An offset takes the share of a class in the kept samples off the logit of a trained model: its
 * log, less the mean of all.
 */
export function offsetRange(kept) {
  const logs = kept.map((n) => Math.log(Math.max(n, 1)));
  const mean = sum(logs) / logs.length;
  const ends = [Math.max(...logs), Math.min(...logs)];
  return ends.map((log) => [logs.indexOf(log), mean - log]);
}

/** The end of an axis of densities: the least of a few round ones that has room for all. */
export const densityAxis = (most) => [0.05, 0.1, 0.25, 0.5, 1].find((end) => most <= end) ?? 1;

/** The corners of min(1, c (1 - recall)) over recalls from `low` to 1, as far as `end` upwards. */
export function waterLine(level, low, end = 1) {
  const atLow = level * (1 - low);
  if (atLow <= end) return [[low, atLow], [1, 0]];
  const corners = [[1 - end / level, end], [1, 0]];
  return end < 1 ? corners : [[low, 1], ...corners];
}

/** The index of the point nearest to (x, y), or null beyond the radius. */
export function nearestPoint(points, x, y, radius) {
  let best = null;
  let least = radius * radius;
  points.forEach(([px, py], i) => {
    const distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance <= least) [best, least] = [i, distance];
  });
  return best;
}
