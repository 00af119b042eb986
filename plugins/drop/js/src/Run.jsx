import React, { useCallback, useMemo, useRef, useState } from "react";
import { Classes } from "./Classes.jsx";
import { Compare } from "./Compare.jsx";
import { Density } from "./Density.jsx";
import { Grid } from "./Grid.jsx";
import { count, density, nearest, sum } from "./model.js";
import { Report } from "./Report.jsx";
import { Scatter } from "./Scatter.jsx";
import { Score } from "./Score.jsx";
import { Tabs } from "./ui.jsx";

const TABS = { classes: "Classes", recall: "Recall", score: "Score", report: "Fairness", compare: "Compare" };

/** One run at the density of the slider. Moving it asks nobody: all counts are here already. */
export function Run({ page, state, counted, tab, setTab, call }) {
  const { run } = page;
  const mine = state.key === run.key ? state : {}; // as it was left
  const [index, setIndex] = useState(() =>
    mine.density == null ? run.own : nearest(run.densities, mine.density),
  );
  const [settled, setSettled] = useState(index); // where the slider was let go
  const [shown, setShown] = useState({
    part: mine.part ?? null,
    score: page.scores.includes(mine.score) ? mine.score : null,
    selected: indexOf(run.classes, mine.class_name),
  });
  const [isBusy, ask] = useLatest(useCallback((params, done) => call("show", params, done), [call]));

  const kept = run.counts[index];
  const columns = useMemo(() => tableColumns(run, settled), [run, settled]);

  /** Show what is chosen in the grid; `change` says what is chosen differently. */
  const show = (change, at = index, range = {}) => {
    const now = { ...shown, part: shown.part ?? "kept", ...change };
    setShown(now);
    ask({
      key: run.key,
      density: run.densities[at],
      part: now.part,
      score: now.score,
      class_name: now.selected === null ? null : run.classes[now.selected],
      ...range,
    });
  };
  const select = (k) => show({ selected: k === shown.selected ? null : k });

  return (
    <>
      <div className="drop-quiet drop-facts">{facts(run)}</div>
      <Density
        run={run}
        index={index}
        kept={sum(kept)}
        onMove={setIndex}
        onRelease={(i) => {
          setSettled(i);
          show({}, i);
        }}
        onKeep={() =>
          call("open_form", { operator: "set_density", key: run.key, density: run.densities[index] })
        }
      />
      <Grid
        run={run}
        kept={kept}
        shown={shown}
        scores={page.scores}
        isBusy={isBusy}
        onChange={show}
      />
      <Tabs tabs={TABS} chosen={tab} onChange={setTab} />
      {tab === "classes" && (
        <Classes run={run} kept={kept} columns={columns} selected={shown.selected} onSelect={select} />
      )}
      {tab === "recall" && (
        <Scatter run={run} index={index} selected={shown.selected} onSelect={select} />
      )}
      {tab === "score" && (
        <Score
          run={run}
          scores={page.scores}
          found={counted.histogram}
          density={run.densities[settled]}
          call={call}
          onRange={(score, range, isLast) =>
            show({ score, selected: null }, settled, { score_range: range, is_last: isLast })
          }
        />
      )}
      {tab === "report" && (
        <Report run={run} evaluations={page.evaluations} found={counted.report} call={call} />
      )}
      {tab === "compare" && (
        <Compare run={run} runs={page.runs} found={counted.comparison} call={call} />
      )}
    </>
  );
}

/** The index of a class, which with group_by is a pair; null if there is none. */
function indexOf(classes, wanted) {
  const index = classes.findIndex((name) => JSON.stringify(name) === JSON.stringify(wanted));
  return wanted == null || index < 0 ? null : index;
}

/** What classes can be sorted by, at the density where the slider was let go. */
function tableColumns(run, index) {
  const kept = run.counts[index];
  return {
    name: run.names,
    recall: run.recalls,
    density: run.sizes.map((size, k) => kept[k] / size),
    size: run.sizes,
  };
}

function facts(run) {
  const words = [
    `${count(run.names.length)} classes of ${run.label_field}`,
    run.group_by && `by ${run.group_by}`,
    `rule ${run.rule}`,
    run.select === "random" ? "chosen at random" : `by ${run.select}`,
    run.recalls_from && `recalls: ${run.recalls_from}`,
    `density ${density(run.density)}`,
  ];
  return words.filter(Boolean).join(" · ");
}

/** One request at a time; of those made meanwhile the last one only is sent, so it wins. */
function useLatest(send) {
  const [isBusy, setBusy] = useState(false);
  const waiting = useRef(null);
  const flying = useRef(false);
  const ask = useCallback(
    (params) => {
      if (flying.current) {
        waiting.current = params;
        return;
      }
      flying.current = true;
      setBusy(true);
      send(params, () => {
        flying.current = false;
        setBusy(false);
        const next = waiting.current;
        waiting.current = null;
        if (next) ask(next);
      });
    },
    [send],
  );
  return [isBusy, ask];
}
