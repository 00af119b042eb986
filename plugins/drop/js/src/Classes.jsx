import React, { useMemo, useRef, useState } from "react";
import { useClassList } from "./list.jsx";
import { barsPath, count, fraction, measured, PAGE_SIZE, recallWords } from "./model.js";
import { arrows, Legend, Name } from "./ui.jsx";

const OVERVIEW_HEIGHT = 100; // in the units of its view box

/** Bars and numbers per class; above them, of many classes, all in one picture. */
export function Classes({ run, kept, before, columns, selected, onSelect }) {
  const list = useClassList(columns, { by: run.recalls ? "recall" : "density", descending: false });
  const { rows, order, header } = list;
  const most = Math.max(...run.sizes);
  const mostOfRows = Math.max(...rows.map((k) => run.sizes[k])); // small classes stay readable
  const [row, setRow] = useState(0); // the one that the tab key reaches
  const body = useRef(null);
  const onKeyDown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const next = step && body.current.children[row + step];
    if (!step) return;
    event.preventDefault();
    next?.querySelector("button").focus();
  };
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
          onPage={list.setPage}
        />
      )}
      {list.pager}
      <table className="drop-table" data-cy="drop-classes">
        <thead>
          <tr>
            {header({ name: "Class" }, { className: "drop-name" })}
            <th className="drop-if-wide" aria-hidden="true" />
            {header({ kept: "Kept", size: "size" }, { className: "drop-number drop-wide" })}
            {header({ density: "Density" }, { className: "drop-number" })}
            {run.recalls && header({ recall: "Recall" }, { className: run.intervals ? "drop-number drop-interval" : "drop-number" })}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={onKeyDown}>
          {rows.map((k, i) => (
            <tr
              key={k}
              className={k === selected ? "drop-selected" : ""}
              onClick={() => onSelect(k)}
              data-cy="drop-class"
            >
              <td className="drop-name">
                <button
                  type="button"
                  title={run.names[k]}
                  aria-label={run.names[k]}
                  aria-pressed={k === selected}
                  tabIndex={i === Math.min(row, rows.length - 1) ? 0 : -1}
                  onFocus={() => setRow(i)}
                >
                  <Name>{run.names[k]}</Name>
                </button>
                <div className="drop-if-narrow">{bar(k)}</div>
              </td>
              <td className="drop-if-wide">{bar(k)}</td>
              <td className="drop-number drop-wide">
                {kept[k] !== before[k] && (
                  <span className="drop-quiet">{kept[k] > before[k] && "+"}{count(kept[k] - before[k])} </span>
                )}
                <b>{count(kept[k])}</b> / {count(run.sizes[k])}
              </td>
              <td className="drop-number">{fraction(kept[k] / run.sizes[k])}</td>
              {run.recalls && (
                <td className="drop-number" title={recallWords(run, k)}>
                  {run.intervals && <span className="drop-quiet drop-if-wide">{run.intervals[k].map((x) => x.toFixed(2)).join("–")} </span>}
                  {fraction(measured(run, k))}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {list.empty}
    </section>
  );
}

export function Bar({ kept, size, most, title, className = "" }) {
  return (
    <div className={`drop-bar ${className}`} title={title} style={{ width: `${Math.max(1, (100 * size) / most)}%` }}>
      <div style={{ width: `${(100 * kept) / size}%` }} />
    </div>
  );
}

function Overview({ run, kept, order, most, start, length, onPage }) {
  const all = useMemo(
    () => barsPath(order.map((k) => run.sizes[k]), most, OVERVIEW_HEIGHT),
    [run, order, most],
  );
  const pages = Math.ceil(order.length / PAGE_SIZE);
  const page = start / PAGE_SIZE;
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
      {...arrows({
        label: "Kept samples over size, of all classes in the order of the table",
        length: pages,
        at: page,
        words: (i) => `page ${i + 1} of ${pages}: ${run.names[order[i * PAGE_SIZE]]} and on`,
        onMove: onPage,
      })}
      onClick={(event) => onPage(Math.floor(at(event) / PAGE_SIZE))}
      data-cy="drop-overview"
    >
      <rect className="drop-page" x={start} width={length} height={OVERVIEW_HEIGHT} />
      <path className="drop-all" d={all} />
      <path className="drop-kept" d={barsPath(order.map((k) => kept[k]), most, OVERVIEW_HEIGHT)} />
    </svg>
  );
}
