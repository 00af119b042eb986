import React, { useRef, useState } from "react";
import { count } from "./model.js";

const PAUSE = 600; // ms, after which a number is typed

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

/** A number that is typed: changed when somebody rests, presses Enter or leaves, not at each key. */
export function Typed({ label, max, value, onChange }) {
  const [text, setText] = useState(null); // null before somebody types
  const timer = useRef(0);
  const done = (typed) => {
    clearTimeout(timer.current);
    setText(null);
    const number = Math.round(Number(typed));
    if (typed !== "" && number !== value) onChange(number);
  };
  const latest = useRef(done);
  latest.current = done;
  return (
    <input
      className="drop-search drop-samples"
      type="number"
      min={0}
      max={max}
      aria-label={label}
      value={text ?? value}
      onChange={({ target: { value } }) => {
        setText(value);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => latest.current(value), PAUSE);
      }}
      onKeyDown={({ key, target }) => key === "Enter" && done(target.value)}
      onBlur={({ target }) => done(target.value)}
      onWheel={({ currentTarget }) => currentTarget.blur()}
    />
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

const STEPS = {
  ...{ ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 },
  ...{ PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity },
};

/** What makes a picture of `length` parts one tab stop, with arrow keys inside.
 *
 * `at` is the part that is pointed at, or null, and `words` says what is there.
 */
export function arrows({ label, length, at, words, onMove, onChoose }) {
  return {
    role: "slider",
    tabIndex: 0,
    "aria-label": label,
    "aria-valuemin": 1,
    "aria-valuemax": length,
    "aria-valuenow": (at ?? 0) + 1,
    "aria-valuetext": at === null ? "none yet: use the arrow keys" : words(at),
    onKeyDown: (event) => {
      const step = STEPS[event.key];
      if (step !== undefined) {
        const next = at === null && step > 0 ? Math.min(0, step) : (at ?? length) + step;
        onMove(Math.min(Math.max(0, step === Infinity ? length - 1 : next), length - 1));
      } else if ((event.key === "Enter" || event.key === " ") && at !== null && onChoose) onChoose(at);
      else return;
      event.preventDefault(); // the page would scroll
      event.stopPropagation(); // and the App has keys of its own
    },
  };
}

/** Arrow keys go through the buttons of an element that is one tab stop. */
export function within(event) {
  const step = STEPS[event.key];
  if (step === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  const all = [...event.currentTarget.querySelectorAll("button")];
  const next = all.indexOf(document.activeElement) + (event.key.endsWith("Up") || event.key.endsWith("Down") ? -step : step);
  all[Math.min(Math.max(0, next), all.length - 1)]?.focus();
}

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

/** The page of a list, and the way to the ones beside it. */
export function Pager({ pages, current, onChange }) {
  return (
    <>
      <span className="drop-gap" />
      <Button disabled={current === 0} onClick={() => onChange(current - 1)}>Previous</Button>
      <span className="drop-quiet">page {count(current + 1)} of {count(pages)}</span>
      <Button disabled={current === pages - 1} onClick={() => onChange(current + 1)}>Next</Button>
    </>
  );
}

/** The header of a column, or of a column with several numbers; columns: name -> words.
 *
 * A click on words sorts by them, another click turns the order round.
 */
export function SortHeader({ columns, sort, onSort, ...more }) {
  const direction = sort.descending ? "descending" : "ascending";
  return (
    <th aria-sort={sort.by in columns ? direction : "none"} {...more}>
      {Object.entries(columns).map(([by, words], i) => (
        <React.Fragment key={by}>
          {i > 0 && " / "}
          <button
            type="button"
            onClick={() => onSort({ by, descending: by === sort.by && !sort.descending })}
            title={`Sort by ${by}`}
          >
            {words}
            <span aria-hidden="true">{by === sort.by ? (sort.descending ? " ↓" : " ↑") : ""}</span>
          </button>
        </React.Fragment>
      ))}
    </th>
  );
}

const TAIL = 12; // letters

/** A class name that is cut in the middle: long names differ at their ends. */
export function Name({ children: name }) {
  if (name.length <= 2 * TAIL) return name;
  return (
    <span className="drop-long">
      <span>{name.slice(0, -TAIL)}</span>
      <span>{name.slice(-TAIL)}</span>
    </span>
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
