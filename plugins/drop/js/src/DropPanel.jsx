import React, { useMemo, useState } from "react";
import { useColours, useDataset, useOwnView, useReloads } from "./app.js";
import { Draft } from "./Draft.jsx";
import { useDraft, useDrafts } from "./drafts.js";
import { useEvents, useLatest } from "./events.js";
import { Run } from "./Run.jsx";
import { css } from "./style.js";
import { Button, Message, Select } from "./ui.jsx";

// The forms that begin with the run that is shown
const OF_A_RUN = { export_run: "Take away…", open_panels: "FiftyOne’s panels…", delete_drop: "Delete run…" };

// Ways out of what is not as usual: words, and the form that is opened, or none to look again
const WAYS = {
  wait: (key) => ["Look again", null, { key }],
  follow: (job) => ["Follow or cancel it…", "running", { job }],
  delete: (key) => ["Delete it…", "delete_drop", { key }],
  again: (run) => ["Make it again…", "apply_drop", { run }],
};

/** The panel: the choice of a run, problems, and the run itself or the next step. */
export function DropPanel({ data, schema }) {
  const [failures, setFailures] = useState({});
  const call = useEvents(schema.view, setFailures);
  const [tab, setTab] = useState("classes"); // kept when another run is chosen
  const page = useParsed(data?.page);
  const histogram = useParsed(data?.histogram);
  const report = useParsed(data?.report);
  const comparison = useParsed(data?.comparison);
  const strips = useParsed(data?.strips);
  const drafts = useDrafts(useDataset(), useParsed(data?.draft), useParsed(data?.applied));
  const [isBusy, ask] = useLatest(call, drafts.current?.id ?? page?.run?.version);
  const draft = useDraft(drafts, data ?? {}, ask, call);
  const ownView = useOwnView();
  useColours();
  useReloads(() => call("refresh", { key: page?.key ?? null }));
  if (!page) return <div className="drop-panel drop-quiet">Loading…</div>;
  const run = draft ? draft.run : page.run;
  const open = (operator, params) => call("open_form", { operator, ...params });
  const message = failures.click ?? failures.read ?? data.message ?? data.unread;
  return (
    <div className="drop-panel" data-cy="drop-panel" onKeyDown={press}>
      <style>{css}</style>
      <div className="drop-row">
        {page.runs.length + drafts.list.length > 0 && (
          <Select
            label="Drop run"
            value={draft?.id ?? page.key ?? ""}
            options={[...(page.key ? [] : [""]), ...page.runs, ...drafts.list.map(({ id }) => id)]}
            words={(key) => key || "no run yet"}
            onChange={(key) => {
              drafts.show(key); // none of that name for a run
              if (page.runs.includes(key)) call("open_run", { key });
            }}
          />
        )}
        <Button disabled={page.can_prune === false} onClick={() => drafts.open(page.run?.key ?? null)}>
          New run
        </Button>
        <Button
          aria-label="Refresh"
          title="Refresh: look for runs, scores and evaluations again"
          onClick={() => call("refresh", { key: page.key })}
        >
          ↻
        </Button>
        <span className="drop-gap" />
        {page.key &&
          !draft &&
          Object.entries(OF_A_RUN).map(([operator, words]) => (
            <Button key={operator} onClick={() => open(operator, { key: page.key })}>{words}</Button>
          ))}
      </div>
      {message && <Message level="warning">{message}</Message>}
      {[...(page.states ?? []), ...(page.changes && !draft ? [{ words: page.changes, way: "again" }] : [])].map(
        ({ words, way, of }) => {
          const [name, operator, params] = WAYS[way](of ?? page.key);
          return (
            <Message key={words} level="warning">
              {words}. <Button onClick={() => (operator ? open(operator, params) : call("refresh", params))}>{name}</Button>
            </Message>
          );
        },
      )}
      {draft && <Draft draft={{ ...draft, onForm: () => open("apply_drop", { run: page.run?.key ?? null }) }} />}
      {run ? (
        <Run
          key={run.version}
          page={page}
          answers={{ histogram, report, comparison, strips }}
          drafts={drafts}
          draft={draft}
          tab={tab}
          setTab={setTab}
          open={open}
          ask={ask}
          isBusy={isBusy}
          ownView={ownView}
        />
      ) : draft ? null : (
        <div className="drop-empty">
          <strong>{page.title}</strong>
          <p>{page.text}</p>
        </div>
      )}
    </div>
  );
}

/** The App takes the Enter key for itself, which presses buttons everywhere else, here once if held. */
function press(event) {
  if (event.key !== "Enter" || event.target.tagName !== "BUTTON") return;
  event.preventDefault();
  if (!event.repeat) event.target.click();
}

/** Tables come as text, since the App copies a panel's data value by value at each event. */
function useParsed(text) {
  return useMemo(() => (text ? JSON.parse(text) : null), [text]);
}
