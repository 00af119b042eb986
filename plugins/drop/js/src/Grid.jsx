import React from "react";
import { count, sum, value } from "./model.js";
import { Button, Segments, Select } from "./ui.jsx";

/** Which samples the grid shows. No part is pressed before somebody has chosen one. */
export function Grid({ run, kept, shown, selected, scores, isBusy, onChange, ownView, onBack }) {
  const { part, score, range } = shown;
  const total = (values) => (selected === null ? sum(values) : values[selected]);
  const all = total(run.sizes);
  const many = (n) => (range ? "" : ` ${count(n)}`); // the histogram has the counts of a bin
  const parts = {
    kept: `Kept${many(total(kept))}`,
    pruned: `Pruned${many(all - total(kept))}`,
    all: `Both${many(all)}`,
  };
  return (
    <section className="drop-row" aria-busy={isBusy} data-cy="drop-grid">
      <span>Show</span>
      <Segments
        label="Which samples the grid shows"
        options={parts}
        value={part}
        onChange={(part) => onChange({ part, range })}
      />
      {selected !== null && (
        <>
          <span className="drop-chip" data-cy="drop-shown">
            of <b>{run.names[selected]}</b>
          </span>
          <Button onClick={() => onChange({ class_name: null })}>All classes</Button>
        </>
      )}
      {range && (
        <>
          <span className="drop-chip" data-cy="drop-range">
            with <b>{score}</b> from {range.score_range.map(value).join(" to ")}
          </span>
          <Button onClick={() => onChange({})}>All values</Button>
        </>
      )}
      {scores.length > 0 && (
        <Select
          label="Order of the grid"
          value={score ?? ""}
          options={["", ...scores]}
          words={(name) => (name === "" ? "in dataset order" : `hardest first: ${name}`)}
          onChange={(name) => onChange({ score: name || null })}
        />
      )}
      {part === "all" && (
        <span className="drop-quiet" data-cy="drop-colours">
          tagged kept or pruned
        </span>
      )}
      {ownView.isAway && (
        <Button disabled={isBusy} onClick={onBack}>{ownView.isAll ? "Back to all samples" : "Back to your view"}</Button>
      )}
      {isBusy && <span className="drop-quiet">Updating…</span>}
    </section>
  );
}
