import React, { useMemo, useState } from "react";
import { count, densityAxis, indexOf, linear, matching, nearestPoint, PAGE_SIZE, recallWords, sorted, ticks, waterLine } from "./model.js";
import { Axes, useWidth } from "./plot.jsx";
import { arrows, Search } from "./ui.jsx";

const HEIGHT = 280;
const NEAR = 12; // px
const TICK = 5; // px, half of it
const NAMED = 10; // classes, the worst, of which the names are written
const LINE = 13; // px, between two names
const MANY = 100; // classes, from which on dots are small and intervals faint

/** Recall against class density: how the rule answers the failures of the query model. */
export function Scatter({ run, index, selected, onSelect }) {
  const [width, box] = useWidth(360);
  const [hovered, setHovered] = useState(null); // a class
  const [text, setText] = useState("");
  const found = useMemo(
    () => (text.trim() ? matching(run.names.map((_, k) => k), run.names, text) : []),
    [run, text],
  );
  if (!run.recalls)
    return <p className="drop-quiet">The rule “{run.rule}” needs no recalls, so this run has none.</p>;
  return (
    <section ref={box}>
      <p className="drop-quiet">
        {run.intervals
          ? "Dots: the recall of each class that its quota follows from, and the fraction of the class that is " +
            "kept. Bars: the measured recall, a tick, with its 95 % interval; smoothing moves dots off the ticks."
          : "Recall of each class, as it was given, and the fraction of the class that is kept."}
        {run.levels && " The line is Algorithm 1: min(1, c (1 - recall))."}
        {onFloor(run, index).length > 0 && " Rings: classes that keep no more than their floor."}
      </p>
      {run.names.length > PAGE_SIZE && (
        <div className="drop-row">
          <Search value={text} onChange={setText} />
          {text.trim() && <span className="drop-quiet" role="status">{count(found.length)} found</span>}
        </div>
      )}
      <Plot {...{ run, index, selected, onSelect, width, hovered, setHovered, found }} />
    </section>
  );
}

/** Names beside their points; one that would lie on another is left out. */
function Names({ at, width }) {
  const placed = [];
  for (const [name, x, y] of at) {
    const words = name.length > 24 ? `${name.slice(0, 11)}…${name.slice(-11)}` : name;
    const long = 6.5 * words.length;
    const left = x + 8 + long > width ? x - 8 - long : x + 8;
    const isFree = placed.every((one) => Math.abs(one.y - y) > LINE || left > one.left + one.long || left + long < one.left);
    if (isFree) placed.push({ words, left, long, y });
  }
  return (
    <g className="drop-names" aria-hidden="true">
      {placed.map(({ words, left, y }) => (
        <text key={`${words} ${left} ${y}`} x={left} y={y} dy="0.32em">{words}</text>
      ))}
    </g>
  );
}

/** The classes that keep as few samples as they must, whatever the rule would give them. */
const onFloor = ({ floors, counts, sizes }, index) =>
  (floors ?? []).flatMap((floor, k) => (floor > 0 && floor < sizes[k] && counts[index][k] <= floor ? [k] : []));

function Plot({ run, index, selected, onSelect, width, hovered, setHovered, found }) {
  const kept = run.counts[index];
  const low = useMemo(() => {
    const least = Math.min(...run.recalls, ...(run.intervals ?? []).map((i) => i[0]));
    return Math.max(0, Math.min(least, 0.95) - 0.02);
  }, [run]);
  const frame = { left: 44, right: 12, top: 10, bottom: 36, width, height: HEIGHT };
  const x = linear([low, 1], [frame.left, width - frame.right]);
  const end = densityAxis(Math.max(...kept.map((n, k) => n / run.sizes[k])));
  const y = linear([0, end], [HEIGHT - frame.bottom, frame.top]);
  const points = run.recalls.map((recall, k) => [x(recall), y(kept[k] / run.sizes[k])]);
  const dot = ([px, py]) => `M${px.toFixed(1)} ${py.toFixed(1)}h0`;
  const whisker = ([from, to], k) => {
    const height = points[k][1];
    const tick = run.observed[k] === null ? "" : `M${x(run.observed[k]).toFixed(1)} ${(height - TICK).toFixed(1)}v${2 * TICK}`;
    return `M${x(from).toFixed(1)} ${height.toFixed(1)}H${x(to).toFixed(1)}${tick}`;
  };
  const isMany = points.length > MANY;
  const near = (event) => {
    const area = event.currentTarget.getBoundingClientRect();
    return nearestPoint(points, event.clientX - area.left, event.clientY - area.top, NEAR);
  };
  const hover = (k) => setHovered(k === null ? null : run.classes[k]);
  const marked = indexOf(run.classes, hovered) ?? selected;
  const order = useMemo(() => sorted({ name: run.names, recall: run.recalls }, "recall", false), [run]);
  const rings = onFloor(run, index).map((k) => dot(points[k])).join("");
  const marks = [...new Set([...(marked === null ? [] : [marked]), ...found.slice(0, NAMED), ...(found.length ? [] : order.slice(0, NAMED))])];
  const words = (k) => `recall ${recallWords(run, k)}; ${count(kept[k])} of ${count(run.sizes[k])} kept`;
  return (
    <div className="drop-plot">
      <svg
        width={width}
        height={HEIGHT}
        {...arrows({
          label: "Recall against class density",
          length: order.length,
          at: marked === null ? null : order.indexOf(marked),
          words: (i) => `${run.names[order[i]]}: ${words(order[i])}`,
          onMove: (i) => hover(order[i]),
          onChoose: (i) => onSelect(order[i]),
        })}
        onBlur={() => hover(null)}
        onMouseMove={(event) => hover(near(event))}
        onMouseLeave={() => hover(null)}
        onClick={(event) => near(event) !== null && onSelect(near(event))}
        style={{ cursor: hovered === null ? "default" : "pointer" }}
        data-cy="drop-scatter"
      >
        <Axes
          frame={frame}
          x={x}
          y={y}
          xTicks={ticks(low, 1)}
          yTicks={[0, 0.25, 0.5, 0.75, 1].map((part) => part * end)}
          xLabel="recall"
          yLabel="class density"
        />
        {run.intervals && (
          <path
            className={isMany ? "drop-whiskers drop-many" : "drop-whiskers"}
            d={run.intervals.map(whisker).join("")}
          />
        )}
        {run.levels && (
          <polyline
            className="drop-line"
            points={waterLine(run.levels[index], low, end).map(([r, d]) => `${x(r)},${y(d)}`).join(" ")}
          />
        )}
        <path className={isMany ? "drop-dots drop-many" : "drop-dots"} d={points.map(dot).join("")} />
        {rings && <path className={isMany ? "drop-dots drop-many drop-rings" : "drop-dots drop-rings"} d={rings} />}
        {found.length > 0 && <path className="drop-dots drop-found" d={found.map((k) => dot(points[k])).join("")} />}
        <Names at={marks.map((k) => [run.names[k], ...points[k]])} width={width} />
        {marked !== null && (
          <>
            {run.intervals && (
              <path className="drop-whiskers drop-marked" d={whisker(run.intervals[marked], marked)} />
            )}
            <path className="drop-dots drop-marked" d={dot(points[marked])} />
          </>
        )}
      </svg>
      <p className="drop-quiet drop-hover" aria-live="polite">
        {marked === null ? (
          "Point at a class to read it, click to see its samples."
        ) : (
          <>
            <b>{run.names[marked]}</b>: {words(marked)}
          </>
        )}
      </p>
    </div>
  );
}
