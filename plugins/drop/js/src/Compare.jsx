import React, { useMemo, useState } from "react";
import { Bar, CLASSES } from "./Classes.jsx";
import { count, density, found as matching, fraction, PAGE_SIZE, pageOf, sorted, sum } from "./model.js";
import { Button, Message, Pager, Search, Select, SortHeader } from "./ui.jsx";

/** Two runs side by side: class densities, and what only one of them keeps. */
export function Compare({ run, runs, found, ask, onShow }) {
  const others = runs.filter((key) => key !== run.key);
  const fits = found && found.version === run.version && others.includes(found.other) ? found : null;
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
      {fits && <Difference mine={run.key} found={fits} onShow={onShow} />}
    </section>
  );
}

function Difference({ mine, found, onShow }) {
  const [sort, setSort] = useState({ by: "changed", descending: true });
  const [text, setText] = useState("");
  const [page, setPage] = useState(0);
  const [first, second] = found.densities;
  const columns = useMemo(
    () => ({
      name: found.names,
      first,
      second,
      changed: first.map((d, k) => Math.abs((d ?? 0) - (second[k] ?? 0))),
    }),
    [found],
  );
  const order = useMemo(
    () => matching(sorted(columns, sort.by, sort.descending), found.names, text),
    [columns, sort, found, text],
  );
  const { pages, current, rows } = pageOf(order, page);
  const show = (which) => onShow(found.other, which);
  const header = (by, words, more) => (
    <SortHeader by={by} sort={sort} onSort={(next) => (setSort(next), setPage(0))} {...more}>{words}</SortHeader>
  );
  return (
    <>
      {found.warnings.map((words) => (
        <Message key={words} level="warning">{words}</Message>
      ))}
      <div className="drop-row">
        <Button onClick={() => show("first")}>Only in {mine}: {count(sum(found.first))}</Button>
        <Button onClick={() => show("second")}>Only in {found.other}: {count(sum(found.second))}</Button>
        <Button onClick={() => show("both")}>In both: {count(sum(found.both))}</Button>
      </div>
      {found.names.length > PAGE_SIZE && (
        <>
          <Search value={text} onChange={(words) => (setText(words), setPage(0))} />
          <Pager pages={pages} current={current} total={order.length} onChange={setPage} what={CLASSES} />
        </>
      )}
      <table className="drop-table" data-cy="drop-comparison">
        <thead>
          <tr>
            {header("name", "Class", { className: "drop-name" })}
            {header("changed", "Class densities")}
            {header("first", mine, { className: "drop-number", title: mine })}
            {header("second", found.other, { className: "drop-number", title: found.other })}
            <th className="drop-number" title="Samples that only one of the two runs keeps">Only</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((k) => (
            <tr key={k}>
              <td className="drop-name" title={found.names[k]}>{found.names[k]}</td>
              <td>
                <Bar kept={first[k] ?? 0} size={1} most={1} title={mine} />
                <Bar kept={second[k] ?? 0} size={1} most={1} title={found.other} />
              </td>
              <td className="drop-number">{first[k] === null ? "none" : fraction(first[k])}</td>
              <td className="drop-number">{second[k] === null ? "none" : fraction(second[k])}</td>
              <td className="drop-number">{count(found.first[k])} | {count(found.second[k])}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {order.length === 0 && <p className="drop-quiet">No class has “{text}” in its name.</p>}
    </>
  );
}
