import React, { useMemo, useState } from "react";
import { Bar } from "./Classes.jsx";
import { useAnswer } from "./events.js";
import { useClassList } from "./list.jsx";
import { count, density, fraction, sum } from "./model.js";
import { Button, Message, Name, Select } from "./ui.jsx";

/** Two runs or drafts side by side: class densities, and the samples that only one of them keeps. */
export function Compare({ run, draft, runs, drafts, answer, ask, onShow }) {
  const [wanted, setWanted] = useState(null);
  const [mine, others] = [run.key, Object.fromEntries(drafts.map((one) => [one.id, one]))];
  const options = [...runs, ...Object.keys(others)].filter((key) => key !== mine);
  const other = options.includes(wanted) ? wanted : options.includes(answer?.other) ? answer.other : null;
  const side = (which, key) => {
    const one = others[key];
    if (!one) return { [`${which}_key`]: key };
    return { [`${which}_choices`]: one.choices, [`${which}_density`]: one.density }; // null where it starts
  };
  const isOfRuns = !draft && !(other in others);
  const asked = [mine, other].map((key) => others[key]?.asked ?? key).join(" ");
  const [name, params] = isOfRuns
    ? ["compare", { key: mine, version: run.version, other }]
    : ["compare_drafts", { id: run.version, asked, ...side("first", mine), ...side("second", other) }];
  const fits = isOfRuns ? answer?.version === run.version && answer.other === other : answer?.asked === asked;
  const again = useAnswer(ask, name, params, other === null || fits);
  if (options.length === 0)
    return <p className="drop-quiet">There is no second run to compare with. New run makes one.</p>;
  const words = (key) => key || "choose a run";
  return (
    <section>
      <div className="drop-row">
        <span>{mine}, at {draft ? "" : "its own "}density {density(draft?.density ?? run.density)}, against</span>
        <Select
          label="The run to compare with"
          value={other ?? ""}
          options={other ? options : ["", ...options]}
          words={words}
          onChange={(key) => setWanted(key || null)}
        />
        {again && <Button onClick={again}>Compare again</Button>}
      </div>
      {other && fits && (
        <Difference mine={mine} other={other} both={answer}
          onShow={isOfRuns ? (which) => onShow(other, which) : null} />
      )}
    </section>
  );
}

function Difference({ mine, other, both, onShow }) {
  const [first, second] = both.densities;
  const columns = useMemo(
    () => ({
      name: both.names,
      first,
      second,
      changed: first.map((d, k) => Math.abs((d ?? 0) - (second[k] ?? 0))),
    }),
    [both],
  );
  const { rows, header, search, pager, empty } = useClassList(columns, { by: "changed", descending: true });
  const parts = { first: `Only in ${mine}`, second: `Only in ${other}`, both: "In both" };
  return (
    <>
      {both.warnings.map((words) => (
        <Message key={words} level="warning">{words}</Message>
      ))}
      <div className="drop-row">
        {Object.entries(parts).map(([which, words]) => {
          const line = `${words}: ${count(sum(both[which]))}`;
          return onShow ? <Button key={which} onClick={() => onShow(which)}>{line}</Button> : <span key={which}>{line}</span>;
        })}
      </div>
      <div className="drop-row drop-legend drop-quiet" data-cy="drop-legend">
        <i className="drop-kept-sample" /> {mine} <i className="drop-other-sample" /> {other}
      </div>
      {search}
      {pager}
      <table className="drop-table" data-cy="drop-comparison">
        <thead>
          <tr>
            {header({ name: "Class" }, { className: "drop-name" })}
            {header({ changed: "Class densities" })}
            {header({ first: mine }, { className: "drop-number", title: mine })}
            {header({ second: other }, { className: "drop-number", title: other })}
            <th className="drop-number" title="Samples that only one of the two runs keeps">Only</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((k) => (
            <tr key={k}>
              <td className="drop-name" title={both.names[k]}><Name>{both.names[k]}</Name></td>
              <td>
                <Bar kept={first[k] ?? 0} size={1} most={1} title={mine} />
                <Bar kept={second[k] ?? 0} size={1} most={1} title={other} className="drop-other" />
              </td>
              <td className="drop-number">{first[k] === null ? "none" : fraction(first[k])}</td>
              <td className="drop-number">{second[k] === null ? "none" : fraction(second[k])}</td>
              <td className="drop-number">{count(both.first[k])} | {count(both.second[k])}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {empty}
    </>
  );
}
