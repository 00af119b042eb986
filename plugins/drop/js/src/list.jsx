import React, { useMemo, useState } from "react";
import { count, matching, PAGE_SIZE, pageOf, sorted } from "./model.js";
import { Pager, Search, SortHeader } from "./ui.jsx";

/** The classes of a table, to be sorted, searched and read in pages.
 *
 * Takes the columns by name, `columns.name` among them, and the first order. Returns the rows of the
 * page, the order of all rows, and the controls.
 */
export function useClassList(columns, firstSort) {
  const [sort, setSort] = useState(firstSort);
  const [text, setText] = useState("");
  const [page, setPage] = useState(0);
  const order = useMemo(
    () => matching(sorted(columns, sort.by, sort.descending), columns.name, text),
    [columns, sort, text],
  );
  const { pages, current, start, rows } = pageOf(order, page);
  const restart = (set) => (value) => (set(value), setPage(0));
  const hasPages = columns.name.length > PAGE_SIZE;
  return {
    rows,
    order,
    start,
    setPage,
    header: (columns, more) => (
      <SortHeader columns={columns} sort={sort} onSort={restart(setSort)} {...more} />
    ),
    search: hasPages && <Search value={text} onChange={restart(setText)} />,
    pager: hasPages && (
      <div className="drop-row drop-quiet">
        {count(order.length)} {order.length === 1 ? "class" : "classes"}
        <Pager pages={pages} current={current} onChange={setPage} />
      </div>
    ),
    empty: order.length === 0 && <p className="drop-quiet">No class has “{text}” in its name.</p>,
  };
}
