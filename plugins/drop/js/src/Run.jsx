import React, { useMemo, useState } from "react";
import { Classes } from "./Classes.jsx";
import { Compare } from "./Compare.jsx";
import { Density } from "./Density.jsx";
import { Limit, Selection } from "./Draft.jsx";
import { Grid } from "./Grid.jsx";
import { leave, leftOf } from "./left.js";
import { count, density, measured, nearest, offsetRange, recallWords, sorted, sum } from "./model.js";
import { Report } from "./Report.jsx";
import { Scatter } from "./Scatter.jsx";
import { Score } from "./Score.jsx";
import { Strips } from "./Strips.jsx";
import { TabPanel, Tabs } from "./ui.jsx";

const TABS = { classes: "Classes", samples: "Samples", recall: "Recall", score: "Score", report: "Fairness", compare: "Compare" };

const NOTHING = { part: null, score: null, selected: null, range: null };

// What needs fields of a run
const OF_RUNS = ["score", "report"];

/** One run, or a draft, at the density of the slider.
 *
 * Moving it needs no request: all counts are here already.
 */
export function Run({ page, answers, drafts, draft, tab: wanted, setTab, open, ask, isBusy, ownView }) {
  const run = draft?.run ?? page.run;
  const scores = draft ? [] : page.scores;
  const tabs = Object.fromEntries(Object.entries(TABS).filter(([name]) => !draft || !OF_RUNS.includes(name)));
  const tab = wanted in tabs ? wanted : "classes";
  const { key, version } = run;
  const [left] = useState(() => leftOf(version));
  const [index, setIndex] = useState(() =>
    left.density == null ? run.own : nearest(run.densities, left.density),
  );
  const [settled, setSettled] = useState(index); // where the slider was let go
  const [choice, setChoice] = useState({
    part: left.part ?? null,
    score: left.score ?? null,
    selected: indexOf(run.classes, left.class_name),
    range: left.range ?? null, // a bin of the histogram
  });
  // Its field may have been deleted meanwhile
  const shown = scores.includes(choice.score) ? choice : { ...choice, score: null, range: null };

  const kept = run.counts[index];
  const base = draft && draft.choices.base === page.run?.key ? page.run : null;
  const before = base && String(base.classes) === String(run.classes) ? base.counts[index] : kept;
  const columns = useMemo(() => tableColumns(run, settled), [run, settled]);

  /** Show the choice in the grid, after a `change` of it. */
  const show = (change, at = index) => {
    const now = { ...shown, part: shown.part ?? "kept", range: null, ...change };
    setChoice(now);
    const wanted = {
      density: run.densities[at],
      part: now.part,
      score: now.score,
      class_name: now.selected === null ? null : run.classes[now.selected],
    };
    leave({ version, ...wanted, range: now.range });
    if (draft) return; // the grid shows what is written
    ownView.remember();
    ask("show", { key, version, ...wanted, ...now.range });
  };
  const select = (k) => show({ selected: k === shown.selected ? null : k });
  const showDifference = (other, which) => {
    setChoice(NOTHING); // the grid shows none of it
    leave(null);
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
        onMove={setIndex}
        onRelease={(i) => {
          setSettled(i);
          if (draft) draft.settle(run.densities[i]);
          show({}, i);
        }}
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
        scores={scores}
        isBusy={isBusy}
        onChange={show}
        ownView={ownView}
        onBack={() => {
          setChoice(NOTHING);
          leave(null);
          ownView.back();
        }}
      />}
      {!draft && <Selection onChange={(name, ids) => drafts.open(key, { [name]: ids })} />}
      {shown.selected !== null && run.recalls && (
        <div className="drop-quiet" data-cy="drop-recall">Recall: {recallWords(run, shown.selected)}</div>
      )}
      {shown.selected !== null && run.can_limit && (
        <Limit
          run={run}
          k={shown.selected}
          kept={kept}
          limits={draft?.choices.limits}
          onChange={draft ? draft.change : (change) => drafts.open(key, change, run.classes[shown.selected])}
        />
      )}
      <Tabs tabs={tabs} current={tab} onChange={setTab} />
      <TabPanel of={tab}>
        {tab === "classes" && (
          <Classes run={run} kept={kept} before={before} columns={columns} selected={shown.selected} onSelect={select} />
        )}
        {tab === "samples" && (
          <Strips
            run={run}
            draft={draft}
            kept={run.counts[settled]}
            density={run.densities[settled]}
            k={shown.selected ?? sorted(columns, run.recalls ? "recall" : "density", false)[0]}
            scores={page.scores ?? []}
            answer={answers.strips}
            ask={ask}
            onSelect={(k) => show({ selected: k })}
          />
        )}
        {tab === "recall" && (
          <Scatter run={run} index={index} selected={shown.selected} onSelect={select} />
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
            onRange={(score, range) => show({ score, range, selected: null }, settled)}
          />
        )}
        {tab === "report" && (
          <Report run={run} evaluations={page.evaluations} answer={answers.report} ask={ask}
            onHardest={(score) => show({ part: "kept", score, selected: null }, run.own)} />
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

/** The index of a class, which with group_by is a pair; null if there is none. */
function indexOf(classes, wanted) {
  const index = classes.findIndex((name) => JSON.stringify(name) === JSON.stringify(wanted));
  return wanted == null || index < 0 ? null : index;
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
  ];
  return words.filter(Boolean).join(" · ");
}
