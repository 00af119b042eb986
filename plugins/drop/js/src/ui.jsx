import React from "react";
import { count } from "./model.js";

export function Button({ children, ...more }) {
  return (
    <button type="button" className="drop-button" {...more}>
      {children}
    </button>
  );
}

export function Select({ label, value, options, words = (option) => option, onChange }) {
  return (
    <select
      className="drop-select"
      aria-label={label}
      title={label}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      {options.map((option) => (
        <option key={option} value={option}>
          {words(option)}
        </option>
      ))}
    </select>
  );
}

/** Buttons of which one is pressed, the one of `value`; options: value -> words. */
export function Segments({ label, options, value, onChange }) {
  return (
    <span className="drop-segments" role="group" aria-label={label}>
      {Object.entries(options).map(([option, words]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
        >
          {words}
        </button>
      ))}
    </span>
  );
}

const STEPS = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

/** Tabs; the arrow keys choose another one. */
export function Tabs({ tabs, current, onChange }) {
  const names = Object.keys(tabs);
  const onKeyDown = (event) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = names.indexOf(current) + step;
    const name = names[Number.isFinite(step) ? (next + names.length) % names.length : step < 0 ? 0 : names.length - 1];
    onChange(name);
    event.currentTarget.children[names.indexOf(name)].focus();
  };
  return (
    <div className="drop-tabs" role="tablist" onKeyDown={onKeyDown}>
      {names.map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`drop-tab-${name}`}
          aria-controls="drop-tabpanel"
          aria-selected={name === current}
          tabIndex={name === current ? 0 : -1}
          onClick={() => onChange(name)}
        >
          {tabs[name]}
        </button>
      ))}
    </div>
  );
}

export function TabPanel({ of, children }) {
  return (
    <div role="tabpanel" id="drop-tabpanel" aria-labelledby={`drop-tab-${of}`}>
      {children}
    </div>
  );
}

export function Search({ value, onChange }) {
  return (
    <input
      className="drop-search"
      type="search"
      placeholder="Find a class"
      aria-label="Find a class"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

export function Pager({ pages, current, total, onChange }) {
  return (
    <div className="drop-row drop-quiet">
      <span>
        {count(total)} {total === 1 ? "class" : "classes"}, page {current + 1} of {pages}
      </span>
      <span className="drop-gap" />
      <Button disabled={current === 0} onClick={() => onChange(current - 1)}>
        Previous
      </Button>
      <Button disabled={current === pages - 1} onClick={() => onChange(current + 1)}>
        Next
      </Button>
    </div>
  );
}

/** The header of a column. A click sorts by it, another click turns the order round. */
export function SortHeader({ by, sort, onSort, children, ...more }) {
  const isSorted = sort.by === by;
  const direction = sort.descending ? "descending" : "ascending";
  return (
    <th aria-sort={isSorted ? direction : "none"} {...more}>
      <button
        type="button"
        onClick={() => onSort({ by, descending: isSorted && !sort.descending })}
        title={`Sort by ${by}`}
      >
        {children}
        <span aria-hidden="true">{isSorted ? (sort.descending ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
}

export function Legend() {
  return (
    <span className="drop-legend drop-quiet">
      <i className="drop-kept-sample" /> kept <i className="drop-pruned-sample" /> pruned
    </span>
  );
}

export function Message({ level, children }) {
  return (
    <p className={`drop-message drop-${level}`} role={level === "warning" ? "alert" : undefined}>
      <span aria-hidden="true">{level === "warning" ? "!" : "i"}</span>
      <span>{children}</span>
    </p>
  );
}
