import React, { useState } from "react";
import { count } from "./model.js";
import { Button, Select } from "./ui.jsx";

const KINDS = {
  "": "as the rule says",
  all: "all of it",
  least: "at least",
  most: "at most",
  exactly: "exactly",
};

/** The limits of some classes, by row: what they would keep is counted as soon as one changes.
 *
 * `counts` is null until there is a draft, and `problem` says what cannot be.
 */
export function useDraft({ run, answer, ask }) {
  const [steps, setSteps] = useState([{}]); // the last is what holds, those before it are undone to
  const limits = steps[steps.length - 1];
  const asList = (limits) => Object.entries(limits).map(([k, limit]) => [Number(k), ...limit]);
  const list = asList(limits);
  const fits =
    answer?.version === run.version && JSON.stringify(answer.limits) === JSON.stringify(list);
  const counted = list.length > 0 && answer?.version === run.version ? answer : null;
  const params = { key: run.key, version: run.version };
  const go = (steps, density) => {
    setSteps(steps);
    const limits = asList(steps[steps.length - 1]);
    if (limits.length) ask("draft", { ...params, limits, density });
  };
  return {
    limits,
    counts: counted?.counts ?? null,
    problem: fits && counted ? (counted.problem ?? null) : null,
    isBusy: list.length > 0 && !fits,
    set: (k, limit, density) => {
      const { [k]: _, ...others } = limits;
      go([...steps, limit ? { ...others, [k]: limit } : others], density);
    },
    undo: (density) => go(steps.slice(0, -1), density),
    discard: () => setSteps([{}]),
    apply: (density, done) => ask("apply_draft", { ...params, limits: list, density }, done),
  };
}

/** How many samples of one class are kept, by hand. */
export function Limit({ run, k, kept, density, draft }) {
  const [kind, number] = draft.limits[k] ?? ["", kept[k]];
  const choose = (kind, number) => draft.set(k, kind ? [kind, number] : null, density);
  return (
    <div className="drop-row" data-cy="drop-limit">
      Keep of <b>{run.names[k]}</b>
      <Select
        label={`How many samples of ${run.names[k]} are kept`}
        value={kind}
        options={Object.keys(KINDS)}
        words={(kind) => KINDS[kind]}
        onChange={(kind) => choose(kind, kind === "all" ? run.sizes[k] : number)}
      />
      {kind && kind !== "all" && (
        <input
          className="drop-search drop-samples"
          type="number"
          min={0}
          max={run.sizes[k]}
          aria-label={`Samples of ${run.names[k]}`}
          value={number}
          onChange={(event) => choose(kind, Math.round(Number(event.target.value)))}
          onWheel={(event) => event.currentTarget.blur()}
        />
      )}
      <span className="drop-quiet">of {count(run.sizes[k])}</span>
    </div>
  );
}

/** What the draft is about, and what becomes of it. */
export function Draft({ run, draft, density, kept }) {
  const [isApplying, setApplying] = useState(false);
  const names = Object.keys(draft.limits).map((k) => run.names[k]);
  if (names.length === 0) return null;
  const apply = () => {
    setApplying(true);
    draft.apply(density, () => setApplying(false));
  };
  return (
    <div className="drop-message drop-info" role="status" data-cy="drop-draft">
      <span aria-hidden="true">i</span>
      <span>
        A draft, and nothing is written: {names.length === 1 ? "one class has a limit" : `${names.length} classes have limits`} of
        yours, the others share the rest{draft.isBusy ? "…" : `, ${count(kept)} samples in all.`}
        {draft.problem && <b role="alert"> It cannot be: {draft.problem}.</b>}
        <span className="drop-row">
          <Button disabled={draft.isBusy || isApplying || draft.problem !== null} onClick={apply}>
            {isApplying ? "Writing…" : "Apply as a new run"}
          </Button>
          <Button onClick={() => draft.undo(density)}>Undo</Button>
          <Button onClick={draft.discard}>Discard</Button>
        </span>
      </span>
    </div>
  );
}
