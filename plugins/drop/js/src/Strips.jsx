import React, { useState } from "react";
import { mediaOf, selectSamples, useSelected } from "./app.js";
import { useAnswer } from "./events.js";
import { count } from "./model.js";
import { Button, Pager, Select, within } from "./ui.jsx";

const PAGE = 12; // as Python has it
const MOST_SHOWN = 10_000; // samples of one class of a draft, as Python has it

/** Kept beside pruned samples of one class: what the rule cuts there, with one's own eyes. */
export function Strips({ run, draft, kept, density, k, scores, answer, ask, onSelect }) {
  const [wanted, setWanted] = useState(scores[0] ?? "");
  const [page, setPage] = useState(0);
  const score = scores.includes(wanted) ? wanted : "";
  const [name, pruned] = [run.classes[k], run.sizes[k] - kept[k]];
  const most = draft ? MOST_SHOWN : Infinity;
  const pages = Math.max(1, Math.ceil(Math.min(Math.max(kept[k], pruned), most) / PAGE));
  const current = Math.min(page, pages - 1);
  const asked = `${draft?.asked ?? run.version} ${k} ${density} ${score} ${current}`;
  const of = draft ? { id: draft.id, choices: draft.choices } : { key: run.key, version: run.version };
  const params = { ...of, asked, density, class_name: name, score: score || null, page: current };
  const fits = answer?.asked === asked;
  const waits = draft && (draft.isBusy || draft.answer.isOld); // its tables are not those of its choices
  const again = useAnswer(ask, "strips", params, fits || !!waits);
  const parts = { Kept: [kept[k], answer?.kept], Pruned: [pruned, answer?.pruned] };
  return (
    <section aria-busy={!fits} data-cy="drop-strips">
      <div className="drop-row">
        <Select label="Class" value={String(k)} options={run.names.map((_, i) => String(i))}
          words={(i) => run.names[i]} onChange={(i) => (setPage(0), onSelect(Number(i)))} />
        <Select label="Order" value={score} options={["", ...scores]}
          words={(name) => (name ? `hardest first: ${name}` : "at random")}
          onChange={(name) => (setPage(0), setWanted(name))} />
        {again && <Button onClick={again}>Read them again</Button>}
        <Pager pages={pages} current={current} onChange={setPage} />
      </div>
      <div className="drop-strips">
        {Object.entries(parts).map(([part, [n, samples]]) => (
          <Strip key={part} label={`${part}: ${count(n)} of ${run.names[k]}`}
            samples={(fits && samples) || []} />
        ))}
      </div>
      <p className="drop-quiet">Click images to select them in the grid as well.</p>
    </section>
  );
}

function Strip({ label, samples }) {
  const [at, setAt] = useState(0); // the one that the tab key reaches
  const selected = useSelected();
  const toggle = (id) =>
    selectSamples(selected.includes(id) ? selected.filter((one) => one !== id) : [...selected, id]);
  return (
    <div role="group" aria-label={label} onKeyDown={within} className="drop-strip">
      <div>{label}</div>
      {samples.map(([id, path], i) => (
        <button key={id} type="button" aria-pressed={selected.includes(id)}
          tabIndex={i === Math.min(at, samples.length - 1) ? 0 : -1}
          onFocus={() => setAt(i)} onClick={() => toggle(id)} data-cy="drop-thumbnail">
          <img src={mediaOf(path)} alt={`sample ${i + 1}`} loading="lazy" />
        </button>
      ))}
    </div>
  );
}
