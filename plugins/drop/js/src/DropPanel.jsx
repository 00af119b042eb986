import React, { useMemo, useState } from "react";
import { useColours, useDataset, useOwnView, useReloads } from "./app.js";
import { Draft } from "./Draft.jsx";
import { useDraft, useDrafts } from "./drafts.js";
import { useEvents, useLatest } from "./events.js";
import { Run } from "./Run.jsx";
import { css } from "./style.js";
import { Button, Message, Select } from "./ui.jsx";

/** The panel: the choice of a run, problems, and the run itself or the next step. */
export function DropPanel({ data, schema }) {
  const [failure, setFailure] = useState(null);
  const call = useEvents(schema.view, setFailure);
  const [tab, setTab] = useState("classes"); // kept when another run is chosen
  const page = useParsed(data?.page);
  const histogram = useParsed(data?.histogram);
  const report = useParsed(data?.report);
  const comparison = useParsed(data?.comparison);
  const strips = useParsed(data?.strips);
  const drafts = useDrafts(useDataset(), useParsed(data?.draft), useParsed(data?.applied));
  const [isBusy, ask] = useLatest(call, drafts.current?.id ?? page?.run?.version);
  const draft = useDraft(drafts, useParsed(data?.working), ask);
  const ownView = useOwnView();
  useColours();
  useReloads(() => call("refresh", { key: page?.key ?? null }));
  if (!page) return <div className="drop-panel drop-quiet">Loading…</div>;
  const run = draft ? draft.run : page.run;
  const form = (params) => call("open_form", { operator: "apply_drop", run: page.run?.key ?? null, ...params });
  const names = Object.fromEntries(drafts.list.map(({ id, name }) => [id, name]));
  const message = failure ?? data.message;
  return (
    <div className="drop-panel" data-cy="drop-panel" onKeyDown={press}>
      <style>{css}</style>
      <div className="drop-row">
        {page.runs.length + drafts.list.length > 0 && (
          <Select
            label="Drop run"
            value={draft?.id ?? page.key ?? ""}
            options={[...(page.key ? page.runs : ["", ...page.runs]), ...Object.keys(names)]}
            words={(key) => names[key] ?? (key || "no run yet")}
            onChange={(key) => {
              drafts.show(key in names ? key : null);
              if (!(key in names) && key) call("open_run", { key });
            }}
          />
        )}
        <Button disabled={page.can_prune === false} onClick={() => drafts.open(page.run?.key ?? null)}>
          New run
        </Button>
        <span className="drop-gap" />
        {page.key && !draft && (
          <Button onClick={() => call("open_form", { operator: "delete_drop", key: page.key })}>
            Delete run…
          </Button>
        )}
        <Button
          aria-label="Refresh"
          title="Refresh: look for runs, scores and evaluations again"
          onClick={() => call("refresh", { key: page.key })}
        >
          ↻
        </Button>
      </div>
      {message && <Message level="warning">{message}</Message>}
      {page.states?.map((state) => (
        <State key={state.words} {...state} shown={page.key} call={call} />
      ))}
      {page.changes && !draft && (
        <State words={page.changes} way="again" shown={page.key} call={call} />
      )}
      {draft && <Draft draft={{ ...draft, onForm: () => form({}) }} />}
      {run ? (
        <Run
          key={run.version}
          page={page}
          answers={{ histogram, report, comparison, strips }}
          drafts={drafts}
          draft={draft}
          tab={tab}
          setTab={setTab}
          call={call}
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

/** One line on something that is not as usual, and the way out of it. */
function State({ words, way, run: of, shown, call }) {
  const ways = {
    wait: ["Look again", () => call("refresh", { key: shown })],
    delete: ["Delete it…", () => call("open_form", { operator: "delete_drop", key: of })],
    again: ["Make it again…", () => call("open_form", { operator: "apply_drop", run: shown })],
  };
  const [name, go] = ways[way];
  return (
    <Message level="warning">
      {words}. <Button onClick={go}>{name}</Button>
    </Message>
  );
}

/** The App takes the Enter key for itself, which presses buttons everywhere else. */
function press(event) {
  if (event.key !== "Enter" || event.target.tagName !== "BUTTON") return;
  event.preventDefault();
  event.target.click();
}

/** Tables come as text, since the App copies a panel's data value by value at each event. */
function useParsed(text) {
  return useMemo(() => (text ? JSON.parse(text) : null), [text]);
}
