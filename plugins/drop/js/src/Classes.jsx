import React, { useMemo } from "react";
import { useClassList } from "./list.jsx";
import { barsPath, count, fraction, measured, PAGE_SIZE } from "./model.js";
import { Legend } from "./ui.jsx";

const OVERVIEW_HEIGHT = 100; // in the units of its view box

/** Bars and numbers per class; above them, of many classes, all in one picture. */
export function Classes({ run, kept, columns, selected, onSelect }) {
  const list = useClassList(columns, { by: run.recalls ? "recall" : "density", descending: false });
  const { rows, order, header } = list;
  const most = Math.max(...run.sizes);
  const mostOfRows = Math.max(...rows.map((k) => run.sizes[k])); // small classes stay readable
  const bar = (k) => <Bar kept={kept[k]} size={run.sizes[k]} most={mostOfRows} />;
  return (
    <section>
      <div className="drop-row">
        {list.search}
        <span className="drop-gap" />
        <Legend />
      </div>
      {order.length > PAGE_SIZE && (
        <Overview
          run={run}
          kept={kept}
          order={order}
          most={most}
          start={list.start}
          length={rows.length}
          onClick={(i) => list.setPage(Math.floor(i / PAGE_SIZE))}
        />
      )}
      {list.pager}
      <table className="drop-table" data-cy="drop-classes">
        <thead>
          <tr>
            {header("name", "Class", { className: "drop-name" })}
            <th className="drop-if-wide" aria-hidden="true" />
            {header("size", "Kept / size", { className: "drop-number drop-wide" })}
            {header("density", "Density", { className: "drop-number" })}
            {run.recalls && header("recall", "Recall", { className: "drop-number" })}
          </tr>
        </thead>
        <tbody>
          {rows.map((k) => (
            <tr
              key={k}
              className={k === selected ? "drop-selected" : ""}
              onClick={() => onSelect(k)}
              data-cy="drop-class"
            >
              <td className="drop-name">
                <button type="button" title={run.names[k]} aria-pressed={k === selected}>
                  {run.names[k]}
                </button>
                <div className="drop-if-narrow">{bar(k)}</div>
              </td>
              <td className="drop-if-wide">{bar(k)}</td>
              <td className="drop-number drop-wide">
                <b>{count(kept[k])}</b> / {count(run.sizes[k])}
              </td>
              <td className="drop-number">{fraction(kept[k] / run.sizes[k])}</td>
              {run.recalls && (
                <td className="drop-number" title={measured(run, k)}>{fraction(run.recalls[k])}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {list.empty}
    </section>
  );
}

export function Bar({ kept, size, most, title }) {
  return (
    <div className="drop-bar" title={title} style={{ width: `${Math.max(1, (100 * size) / most)}%` }}>
      <div style={{ width: `${(100 * kept) / size}%` }} />
    </div>
  );
}

function Overview({ run, kept, order, most, start, length, onClick }) {
  const all = useMemo(
    () => barsPath(order.map((k) => run.sizes[k]), most, OVERVIEW_HEIGHT),
    [run, order, most],
  );
  const at = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const i = Math.floor(((event.clientX - box.left) / box.width) * order.length);
    return Math.min(Math.max(0, i), order.length - 1);
  };
  return (
    <svg
      className="drop-overview"
      viewBox={`0 0 ${order.length} ${OVERVIEW_HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Kept samples over size, of all classes in the order of the table; click for that page"
      onClick={(event) => onClick(at(event))}
      data-cy="drop-overview"
    >
      <rect className="drop-page" x={start} width={length} height={OVERVIEW_HEIGHT} />
      <path className="drop-all" d={all} />
      <path className="drop-kept" d={barsPath(order.map((k) => kept[k]), most, OVERVIEW_HEIGHT)} />
    </svg>
  );
}
