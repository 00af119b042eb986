import assert from "node:assert/strict";
import { test } from "node:test";
import * as model from "../src/model.js";

const columns = {
  name: ["ant", "bee", "cat", "dog"],
  recall: [0.9, 0.5, 0.9, 0.7],
  density: [0.1, 1, 0.1, 0.6],
};

test("worst classes come first, and ties stay in the order of names", () => {
  assert.deepEqual(model.sorted(columns, "recall", false), [1, 3, 0, 2]);
});

test("descending is the exact reverse", () => {
  assert.deepEqual(model.sorted(columns, "recall", true), [2, 0, 3, 1]);
});

test("names are in the order in which Python sent them", () => {
  assert.deepEqual(model.sorted(columns, "name", false), [0, 1, 2, 3]);
  assert.deepEqual(model.sorted(columns, "name", true), [3, 2, 1, 0]);
});

test("a search ignores case and spaces around, and takes $ and dots as they are", () => {
  const names = ["$price", "a.b", "A.B c", "axb"];
  assert.deepEqual(model.matching([3, 2, 1, 0], names, " a.b "), [2, 1]);
  assert.deepEqual(model.matching([0, 1], names, "$"), [0]);
  assert.deepEqual(model.matching([0, 1], names, "  "), [0, 1]);
});

test("pages hold every class once, and a page beyond the last is the last", () => {
  const order = Array.from({ length: 60 }, (_, i) => 59 - i);
  const pages = [0, 1, 2].map((i) => model.pageOf(order, i));
  assert.deepEqual(pages.flatMap((page) => page.rows), order);
  assert.equal(pages[2].rows.length, 10);
  assert.deepEqual(model.pageOf(order, 7), pages[2]);
  assert.deepEqual(model.pageOf([], 0), { pages: 1, current: 0, start: 0, rows: [] });
});

test("the slider starts at the density nearest to the one that was left", () => {
  const densities = [0.25, 0.333, 0.5, 1];
  assert.equal(model.nearest(densities, 0.333), 1);
  assert.equal(model.nearest(densities, 0.45), 2);
  assert.equal(model.nearest(densities, 0), 0);
});

test("a density shows the digits it has", () => {
  assert.equal(model.density(0.5), "0.50");
  assert.equal(model.density(0.29), "0.29");
  assert.equal(model.density(0.333), "0.333");
  assert.equal(model.density(1 / 3), "0.333333");
});

test("a class of which next to nothing is pruned or kept looks unlike one that is whole or empty", () => {
  assert.deepEqual([0, 0.0001, 0.0005, 0.9994, 0.9999, 1].map(model.fraction), [
    "0.000", "<0.001", "0.001", "0.999", ">0.999", "1.000",
  ]);
});

test("bars reach from the bottom to their share of the height", () => {
  assert.equal(model.barsPath([5, 10], 10, 100), "M0 100V50.00h1V100zM1 100V0.00h1V100z");
});

test("a scale of a single value does not divide by zero", () => {
  assert.equal(model.linear([2, 2], [10, 20])(2), 10);
  assert.equal(model.linear([0, 2], [10, 20])(1), 15);
});

test("ticks are round and inside", () => {
  assert.deepEqual(model.ticks(0, 1), [0, 0.5, 1]);
  assert.deepEqual(model.ticks(0.62, 1), [0.7, 0.8, 0.9, 1]);
  assert.deepEqual(model.ticks(0, 180), [0, 50, 100, 150]);
  assert.deepEqual(model.ticks(3, 3), [3]);
});

test("the water-filling line is flat at 1 as far as classes are saturated", () => {
  assert.deepEqual(model.waterLine(4, 0.5), [[0.5, 1], [0.75, 1], [1, 0]]);
  assert.deepEqual(model.waterLine(0.5, 0), [[0, 0.5], [1, 0]]);
});

test("the nearest point is found within the radius only", () => {
  const points = [[0, 0], [10, 0], [10, 5]];
  assert.equal(model.nearestPoint(points, 9, 1, 6), 1);
  assert.equal(model.nearestPoint(points, 30, 30, 6), null);
});

test("a recall is said as it was measured, and the smoothed one beside it", () => {
  const run = { recalls: [0.52, 0.5, 0.5], observed: [0.5, null, 0.5], intervals: [[0.25, 0.75], [0, 1], [0.25, 0.75]] };
  assert.equal(
    model.recallWords(run, 0),
    "measured 0.500; 95 % interval 0.250 to 0.750; the rule used 0.520, smoothed",
  );
  assert.equal(model.recallWords(run, 1), "no validation sample; the rule used 0.500");
  assert.equal(model.recallWords(run, 2), "measured 0.500; 95 % interval 0.250 to 0.750");
  assert.equal(model.recallWords({ recalls: [0.5], observed: null, intervals: null }, 0), "given 0.500");
});

test("half a thousandth goes to the even side, as in Python", () => {
  assert.deepEqual([0.8125, 0.0625, 0.9375, 0.8126].map(model.fraction), [
    "0.812", "0.062", "0.938", "0.813",
  ]);
});

test("an axis of densities ends where all have room, and the line with it", () => {
  assert.deepEqual([0.03, 0.11, 0.25, 0.6, 1].map(model.densityAxis), [0.05, 0.25, 0.25, 1, 1]);
  assert.deepEqual(model.waterLine(0.5, 0, 0.25), [[0.5, 0.25], [1, 0]]);
});

test("offsets reach from the largest class to the smallest, as class_offsets has them", () => {
  // -log(n / total) less its mean, of 8, 2 and 4 samples, and of none, which counts as one
  const [low, high] = model.offsetRange([8, 2, 4]);
  assert.deepEqual([low[0], high[0]], [0, 1]);
  assert.ok(Math.abs(low[1] + Math.log(2)) < 1e-12 && Math.abs(high[1] - Math.log(2)) < 1e-12);
  assert.deepEqual(model.offsetRange([1, 0]).map(([, by]) => by), [0, 0]);
});

test("a class is found by its name, or by its pair of names, and by nothing else", () => {
  assert.equal(model.indexOf(["a,b", "c"], "c"), 1);
  assert.equal(model.indexOf([["a", "b"], ["a", "c"]], ["a", "c"]), 1);
  assert.equal(model.indexOf(["a", ""], ""), 1);
  for (const gone of [null, undefined, "d", ["c"]]) assert.equal(model.indexOf(["a", "c"], gone), null);
  assert.equal(model.same(["a,b", "c"], ["a", "b,c"]), false);
});
