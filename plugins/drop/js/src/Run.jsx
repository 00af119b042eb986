import React, { useMemo, useState } from "react";
import { Classes } from "./Classes.jsx";
import { Compare } from "./Compare.jsx";
import { Density } from "./Density.jsx";
import { Limit, Selection } from "./Draft.jsx";
import { Grid } from "./Grid.jsx";
import { leave, leftOf } from "./left.js";
import { count, density, indexOf, measured, nearest, offsetRange, recallWords, same, sorted, sum } from "./model.js";
import { Report } from "./Report.jsx";
import { Scatter } from "./Scatter.jsx";
import { Score } from "./Score.jsx";
import { Strips } from "./Strips.jsx";
import { TabPanel, Tabs } from "./ui.jsx";

const TABS = { classes: "Classes", samples: "Samples", recall: "Recall", score: "Score", report: "Fairness", compare: "Compare" };

const NOTHING = { density: null, part: null, score: null, class_name: null, range: null };

// What needs fields of a run
const OF_RUNS = ["score", "report"];

/** One run, or a draft, at the density of the slider.
 *
 * Moving it needs no request: all counts are here already. What is chosen is kept as a density and as
 * the name of a class, for other tables of the same run or draft may have others.
 */
export function Run({ page, answers, drafts, draft, tab: wanted, setTab, open, ask, isBusy, ownView }) {
  const run = draft?.run ?? page.run;
  const scores = draft ? [] : page.scores;
  const tabs = Object.fromEntries(Object.entries(TABS).filter(([name]) => !draft || !OF_RUNS.includes(name)));
  const tab = wanted in tabs ? wanted : "classes";
  const { key, version } = run;
  const nothing = { ...NOTHING, version };
  const [left, setLeft] = useState(() => ({ ...nothing, ...leftOf(version) })); // of a run
  const [moved, setMoved] = useState(null); // the density of a slider that is not let go yet
  const choice = draft ? { ...nothing, density: draft.density, class_name: draft.class_name } : left;
  // Its field may have been deleted meanwhile
  const shown = scores.includes(choice.score) ? choice : { ...choice, score: null, range: null };
  const at = (density) => (density === null ? run.own : nearest(run.densities, density));
  const settled = at(shown.density);
  const index = at(moved ?? shown.density);
  const selected = indexOf(run.classes, shown.class_name);

  const kept = run.counts[index];
  const base = draft && draft.choices.base === page.run?.key ? page.run : null;
  const before =
    (base && same(base.classes, run.classes) && base.counts[base.densities.indexOf(run.densities[index])]) || kept;
  const columns = useMemo(() => tableColumns(run, settled), [run, settled]);

  /** Show the choice in the grid, after a `change` of it. */
  const show = (change) => {
    setMoved(null);
    if (draft) return draft.settle(change); // the grid shows what is written
    const now = { ...shown, density: run.densities[index], part: shown.part ?? "kept", range: null, ...change };
    note(now);
    ownView.remember();
    const { range, ...wanted } = now;
    ask("show", { key, ...wanted, ...range });
  };
  const note = (now) => (setLeft(now), leave(now));
  const noteNothing = () => note({ ...nothing, density: shown.density }); // the grid shows none of it
  const select = (k) => show({ class_name: k === selected ? null : run.classes[k] });
  const showDifference = (other, which) => {
    noteNothing();
    ownView.remember();
    ask("show_difference", { key, version, other, which });
  };

  return (
    <>
      <div className="drop-quiet drop-facts">{facts(run, draft)}</div>
      <Density
        run={run}
        index={index}
        kept={sum(kept)}
        onMove={setMoved}
        onRelease={(density) => show({ density })}
        onKeep={
          !draft &&
          (() => open("set_density", { key, density: run.densities[index] }))
        }
      />
      {draft && !run.group_by && (
        <div className="drop-quiet" data-cy="drop-offsets">
          Offsets that take class sizes off a model trained on these:{" "}
          {offsetRange(kept).map(([k, by]) => `${by > 0 ? "+" : ""}${by.toFixed(2)} (${run.names[k]})`).join(" to ")}
        </div>
      )}
      {!draft && <Grid
        run={run}
        kept={kept}
        shown={shown}
        selected={selected}
        scores={scores}
        isBusy={isBusy}
        onChange={show}
        ownView={ownView}
        onBack={() => {
          noteNothing();
          ownView.back();
        }}
      />}
      {!draft && <Selection onChange={(name, ids) => drafts.open(key, { [name]: ids })} />}
      {selected !== null && run.recalls && (
        <div className="drop-quiet" data-cy="drop-recall">Recall: {recallWords(run, selected)}</div>
      )}
      {selected !== null && run.can_limit && (
        <Limit
          run={run}
          k={selected}
          kept={kept}
          limits={draft?.choices.limits}
          onChange={draft ? draft.change : (change) => drafts.open(key, change, shown.class_name)}
        />
      )}
      <Tabs tabs={tabs} current={tab} onChange={setTab} />
      <TabPanel of={tab}>
        {tab === "classes" && (
          <Classes run={run} kept={kept} before={before} columns={columns} selected={selected} onSelect={select} />
        )}
        {tab === "samples" && (
          <Strips
            run={run}
            draft={draft}
            kept={run.counts[settled]}
            density={run.densities[settled]}
            k={selected ?? sorted(columns, run.recalls ? "recall" : "density", false)[0]}
            scores={page.scores ?? []}
            answer={answers.strips}
            ask={ask}
            onSelect={(k) => show({ class_name: run.classes[k] })}
          />
        )}
        {tab === "recall" && (
          <Scatter run={run} index={index} selected={selected} onSelect={select} />
        )}
        {tab === "score" && (
          <Score
            run={run}
            scores={scores}
            answer={answers.histogram}
            density={run.densities[settled]}
            chosen={shown.score !== null && shown.range ? shown : null}
            open={open}
            ask={ask}
            onRange={(score, range) => show({ score, range, class_name: null, density: run.densities[settled] })}
          />
        )}
        {tab === "report" && (
          <Report run={run} evaluations={page.evaluations} answer={answers.report} ask={ask}
            onHardest={(score) => show({ part: "kept", score, class_name: null, density: run.density })} />
        )}
        {tab === "compare" && (
          <Compare
            run={run}
            draft={draft}
            runs={page.runs}
            drafts={drafts.list}
            answer={answers.comparison}
            ask={ask}
            onShow={showDifference}
          />
        )}
      </TabPanel>
    </>
  );
}

/** The columns to sort classes by, at the density where the slider was let go. */
function tableColumns(run, index) {
  const kept = run.counts[index];
  return {
    name: run.names,
    recall: run.recalls?.map((_, k) => measured(run, k)),
    kept,
    density: run.sizes.map((size, k) => kept[k] / size),
    size: run.sizes,
  };
}

function facts(run, draft) {
  const words = [
    `${count(run.names.length)} classes of ${run.label_field}`,
    run.group_by && `by ${run.group_by}`,
    `rule ${run.rule}`,
    run.select === "random" ? "chosen at random" : `by ${run.select}`,
    run.recalls_from && `recalls: ${run.recalls_from}`,
    !draft && `density ${density(run.density)}`,
    run.left_out > 0 && `${count(run.left_out)} left out by their scores`,
  ];
  return words.filter(Boolean).join(" · ");
}
