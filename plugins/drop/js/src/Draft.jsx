import React from "react";
import { clearSelected, useSelected } from "./app.js";
import { limitOf, withLimit } from "./drafts.js";
import { count } from "./model.js";
import { Button, Message, Select, Typed } from "./ui.jsx";

const KINDS = {
  "": "as the rule says",
  all: "all of it",
  least: "at least",
  most: "at most",
  exactly: "exactly",
};
const CHOICES = {
  samples: "Samples",
  recalls: "Class recalls",
  rule: "Rule",
  select: "Selection",
  keep: "Keep",
};

/** What is chosen in a draft, and what becomes of it. */
export function Draft({ draft }) {
  const { choices, offered, problem, working } = draft;
  const { limits = [], keep_ids = [], left_out = [] } = choices;
  const words = [
    ...limits.map(([name, kind, n]) => `${[].concat(name).join(" / ")}: ${KINDS[kind]}${kind === "all" ? "" : ` ${count(n)}`}`),
    keep_ids.length && `kept always: ${samples(keep_ids.length)}`,
    left_out.length && `left out: ${samples(left_out.length)}`,
  ].filter(Boolean);
  const cannot = draft.isBusy || !!working || !!problem || draft.isUnmeasured;
  return (
    <section className="drop-message drop-info drop-draft" aria-label={draft.id} aria-busy={draft.isBusy} data-cy="drop-draft">
      <div className="drop-row">
        {offered &&
          Object.entries(CHOICES).map(([name, label]) =>
            (name === "keep" && choices.select === "random") ? null : (
              <label key={name} className="drop-choice">
                <span className="drop-quiet">{label}</span>
                <Select
                  label={label}
                  value={choices[name]}
                  options={withValue(Object.keys(offered[name]), choices[name])}
                  words={(value) => offered[name][value] ?? value}
                  onChange={(value) => draft.change({ [name]: value })}
                />
              </label>
            ),
          )}
      </div>
      {words.length > 0 && <div data-cy="drop-by-hand">{words.join(" · ")}</div>}
      <Selection onChange={(name, ids) => draft.change(placed(choices, name, ids))} />
      <div role="status">
        {working
          ? `${working.label}${working.done ? `, ${Math.round(100 * working.done)} %` : ""}…`
          : draft.again
            ? "This was not read."
            : draft.isBusy
              ? "Deciding…"
              : draft.isUnmeasured
                ? "These recalls must be measured first: the model looks at every image."
                : "Nothing is written before you apply it."}
      </div>
      {problem && <b role="alert">It cannot be: {problem}.</b>}
      {draft.warnings.map((words) => <Message key={words} level="warning">{words}</Message>)}
      <div className="drop-row">
        {draft.isUnmeasured && !working && <Button onClick={draft.measure}>Measure recalls</Button>}
        {draft.again && <Button onClick={draft.again}>Read it again</Button>}
        <Button disabled={cannot} onClick={draft.apply}>Apply as a new run</Button>
        <Button disabled={draft.steps.length < 2} onClick={draft.undo}>Undo</Button>
        <Button onClick={draft.discard}>Discard</Button>
        <span className="drop-gap" />
        {!working && <Button onClick={draft.onForm}>More in the form…</Button>}
      </div>
    </section>
  );
}

/** What the samples that are selected in the grid can become in a draft. */
export function Selection({ onChange }) {
  const selected = useSelected();
  if (selected.length === 0) return null;
  const become = (name) => () => {
    onChange(name, selected);
    clearSelected();
  };
  return (
    <div className="drop-row" data-cy="drop-selection">
      {samples(selected.length)} selected:
      <Button onClick={become("keep_ids")}>Keep always</Button>
      <Button onClick={become("left_out")}>Leave out</Button>
    </div>
  );
}

/** How many samples of one class are kept, by hand. */
export function Limit({ run, k, kept, limits, onChange }) {
  const name = run.classes[k];
  const [kind, number] = limitOf(limits, name) ?? ["", kept[k]];
  const choose = (kind, number) => onChange({ limits: withLimit(limits, name, kind && [kind, number]) });
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
        <Typed
          label={`Samples of ${run.names[k]}`}
          max={run.sizes[k]}
          value={number}
          onChange={(number) => choose(kind, number)}
        />
      )}
      <span className="drop-quiet">of {count(run.sizes[k])}</span>
    </div>
  );
}

const samples = (n) => `${count(n)} ${n === 1 ? "sample" : "samples"}`;

/** Samples in one of the two lists, and no more in the other one. */
function placed(choices, name, ids) {
  const other = name === "keep_ids" ? "left_out" : "keep_ids";
  const these = new Set(ids);
  const rest = (of) => (choices[of] ?? []).filter((id) => !these.has(id));
  return { [name]: [...rest(name), ...ids], [other]: rest(other) };
}

const withValue = (options, value) => (options.includes(value) ? options : [value, ...options]);
