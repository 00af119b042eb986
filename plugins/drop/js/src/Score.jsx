import React, { useState } from "react";
import { useAnswer } from "./events.js";
import { count, density as words, linear, ticks, value } from "./model.js";
import { Axes, useWidth } from "./plot.jsx";
import { arrows, Button, Legend, Select } from "./ui.jsx";

const HEIGHT = 240;

/** The distribution of a score among kept and pruned samples, counted in the data on demand. */
export function Score({ scores, open, ...more }) {
  const [wanted, setWanted] = useState(null);
  const score = scores.includes(wanted) ? wanted : scores[0]; // scores come and go
  if (scores.length > 0)
    return <Histogram key={score} {...{ scores, score, ...more }} onChoose={setWanted} />;
  return (
    <div className="drop-empty">
      <strong>No difficulty scores yet</strong>
      <p>Compute some here. Scores from elsewhere are imported in Python, as the docs say.</p>
      <Button onClick={() => open("compute_scores")}>
        Compute scores…
      </Button>
    </div>
  );
}

function Histogram({ run, scores, score, answer, density, chosen, ask, onChoose, onRange }) {
  const counts = answer?.version === run.version && answer.score === score ? answer : null;
  const fits = counts?.density === density;
  const params = { key: run.key, version: run.version, score, density };
  const again = useAnswer(ask, "count_score", params, fits);
  return (
    <section aria-busy={!fits}>
      <div className="drop-row">
        <Select label="Score" value={score} options={scores} onChange={onChoose} />
        <span className="drop-quiet" role="status">
          {fits ? `counted at density ${words(density)}` : again ? "It was not counted." : "Counting…"}
          {fits && counts.missing > 0 && `, ${count(counts.missing)} samples have no score`}
        </span>
        {again && <Button onClick={again}>Count again</Button>}
        <span className="drop-gap" />
        <Legend />
      </div>
      {counts && <Bins counts={counts} chosen={chosen?.score === score ? chosen.range : null} onRange={(range) => fits && onRange(score, range)} />}
    </section>
  );
}

function Bins({ counts, chosen, onRange }) {
  const [width, box] = useWidth(360);
  const [at, setAt] = useState(null); // the bin that the arrow keys have reached
  const { edges, kept, pruned } = counts;
  const last = kept.length - 1;
  const most = Math.max(1, ...kept.map((n, i) => n + pruned[i]));
  const frame = { left: 52, right: 12, top: 10, bottom: 36, width, height: HEIGHT };
  const x = linear([edges[0], edges[last + 1]], [frame.left, width - frame.right]);
  const y = linear([0, most], [HEIGHT - frame.bottom, frame.top]);
  const range = (i) => ({ score_range: [edges[i], edges[i + 1]], is_last: i === last });
  const about = (i) =>
    `${value(edges[i])} to ${value(edges[i + 1])}: ${count(kept[i])} kept, ${count(pruned[i])} pruned`;
  const keys = arrows({
    label: `Histogram of ${counts.score}`,
    length: kept.length,
    at,
    words: about,
    onMove: setAt,
    onChoose: (i) => onRange(range(i)),
  });
  const bar = (i, from, to) => (
    <rect
      x={x(edges[i]) + 0.5}
      width={Math.max(0.5, x(edges[i + 1]) - x(edges[i]) - 1)}
      y={y(to)}
      height={y(from) - y(to)}
    />
  );
  return (
    <div ref={box} className="drop-plot">
      <svg width={width} height={HEIGHT} {...keys} onBlur={() => setAt(null)} data-cy="drop-histogram">
        <defs>
          <pattern id="drop-hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect className="drop-hatch-ground" width="4" height="4" />
            <rect className="drop-hatch-line" width="1.5" height="4" />
          </pattern>
        </defs>
        <Axes
          frame={frame}
          x={x}
          y={y}
          xTicks={ticks(edges[0], edges[last + 1])}
          yTicks={ticks(0, most)}
          xLabel={counts.score}
          yLabel="samples"
        />
        {kept.map((n, i) => {
          const isChosen = chosen?.score_range[0] === edges[i];
          const marks = `${isChosen ? " drop-chosen" : ""}${i === at ? " drop-reached" : ""}`;
          return (
            <g key={i} className={`drop-bin${marks}`} onClick={() => onRange(range(i))} data-cy="drop-bin">
              <title>{about(i)}</title>
              <rect className="drop-bin-area" x={x(edges[i])} width={Math.max(0, x(edges[i + 1]) - x(edges[i]))} y={frame.top} height={HEIGHT - frame.top - frame.bottom} />
              <g className="drop-kept">{bar(i, 0, n)}</g>
              <g className="drop-hatched">{bar(i, n, n + pruned[i])}</g>
            </g>
          );
        })}
      </svg>
      <p className="drop-quiet">Click a bar to see its samples, of the part that is chosen above.</p>
    </div>
  );
}
