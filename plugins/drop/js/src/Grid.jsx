import React from "react";
import { count, sum } from "./model.js";
import { Button, Segments, Select } from "./ui.jsx";

/** Which samples the grid shows. No part is pressed before one was asked for. */
export function Grid({ run, kept, shown, scores, isBusy, onChange }) {
  const { part, score, selected } = shown;
  const chosen = (values) => (selected === null ? sum(values) : values[selected]);
  const all = chosen(run.sizes);
  const parts = {
    kept: `Kept ${count(chosen(kept))}`,
    pruned: `Pruned ${count(all - chosen(kept))}`,
    all: `Both ${count(all)}`,
  };
  return (
    <section className="drop-row" aria-busy={isBusy} data-cy="drop-grid">
      <span>Show</span>
      <Segments
        label="Which samples the grid shows"
        options={parts}
        chosen={part}
        onChange={(value) => onChange({ part: value })}
      />
      {selected !== null && (
        <>
          <span className="drop-chip" data-cy="drop-shown">
            of <b>{run.names[selected]}</b>
          </span>
          <Button onClick={() => onChange({ selected: null })}>All classes</Button>
        </>
      )}
      {scores.length > 0 && (
        <Select
          label="Order of the grid"
          value={score ?? ""}
          options={["", ...scores]}
          words={(name) => (name === "" ? "in dataset order" : `hardest first: ${name}`)}
          onChange={(value) => onChange({ score: value || null })}
        />
      )}
      {isBusy && <span className="drop-quiet">Updating…</span>}
    </section>
  );
}
