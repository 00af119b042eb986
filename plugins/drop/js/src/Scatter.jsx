import React, { useMemo, useState } from "react";
import { count, densityAxis, fraction, linear, nearestPoint, recallWords, sorted, ticks, waterLine } from "./model.js";
import { Axes, useWidth } from "./plot.jsx";
import { arrows } from "./ui.jsx";

const HEIGHT = 280;
const NEAR = 12; // px
const TICK = 5; // px, half of it
const MANY = 100; // classes, from which on dots are small and intervals faint

/** Recall against class density: how the rule answers the failures of the query model. */
export function Scatter({ run, index, selected, onSelect }) {
  const [width, box] = useWidth(360);
  const [hovered, setHovered] = useState(null);
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
      </p>
      <Plot {...{ run, index, selected, onSelect, width, hovered, setHovered }} />
    </section>
  );
}

function Plot({ run, index, selected, onSelect, width, hovered, setHovered }) {
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
  const marked = hovered ?? selected;
  const order = useMemo(() => sorted({ name: run.names, recall: run.recalls }, "recall", false), [run]);
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
          onMove: (i) => setHovered(order[i]),
          onChoose: (i) => onSelect(order[i]),
        })}
        onBlur={() => setHovered(null)}
        onMouseMove={(event) => setHovered(near(event))}
        onMouseLeave={() => setHovered(null)}
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
