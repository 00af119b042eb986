import React, { useMemo } from "react";
import { Bar } from "./Classes.jsx";
import { useClassList } from "./list.jsx";
import { count, density, fraction, sum } from "./model.js";
import { Button, Message, Name, Select } from "./ui.jsx";

/** Two runs side by side: class densities, and the samples that only one of them keeps. */
export function Compare({ run, runs, answer, ask, onShow }) {
  const others = runs.filter((key) => key !== run.key);
  const fits = answer?.version === run.version && others.includes(answer.other) ? answer : null;
  if (others.length === 0)
    return <p className="drop-quiet">There is no second run to compare with. New run makes one.</p>;
  return (
    <section>
      <div className="drop-row">
        <span>{run.key}, at its own density {density(run.density)}, against</span>
        <Select
          label="The run to compare with"
          value={fits?.other ?? ""}
          options={fits ? others : ["", ...others]}
          words={(key) => key || "choose a run"}
          onChange={(other) => other && ask("compare", { key: run.key, version: run.version, other })}
        />
      </div>
      {fits && <Difference mine={run.key} both={fits} onShow={onShow} />}
    </section>
  );
}

function Difference({ mine, both, onShow }) {
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
  const show = (which) => onShow(both.other, which);
  return (
    <>
      {both.warnings.map((words) => (
        <Message key={words} level="warning">{words}</Message>
      ))}
      <div className="drop-row">
        <Button onClick={() => show("first")}>Only in {mine}: {count(sum(both.first))}</Button>
        <Button onClick={() => show("second")}>Only in {both.other}: {count(sum(both.second))}</Button>
        <Button onClick={() => show("both")}>In both: {count(sum(both.both))}</Button>
      </div>
      <div className="drop-row drop-legend drop-quiet" data-cy="drop-legend">
        <i className="drop-kept-sample" /> {mine} <i className="drop-other-sample" /> {both.other}
      </div>
      {search}
      {pager}
      <table className="drop-table" data-cy="drop-comparison">
        <thead>
          <tr>
            {header({ name: "Class" }, { className: "drop-name" })}
            {header({ changed: "Class densities" })}
            {header({ first: mine }, { className: "drop-number", title: mine })}
            {header({ second: both.other }, { className: "drop-number", title: both.other })}
            <th className="drop-number" title="Samples that only one of the two runs keeps">Only</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((k) => (
            <tr key={k}>
              <td className="drop-name" title={both.names[k]}><Name>{both.names[k]}</Name></td>
              <td>
                <Bar kept={first[k] ?? 0} size={1} most={1} title={mine} />
                <Bar kept={second[k] ?? 0} size={1} most={1} title={both.other} className="drop-other" />
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
