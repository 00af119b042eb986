// What the panel reads of the App's own state, and what it changes there: always given back.

import { executeOperator } from "@fiftyone/operators";
import {
  activeFields,
  colorScheme,
  dataset,
  datasetColorScheme,
  defaultActiveFields,
  view,
} from "@fiftyone/state";
import { useEffect, useRef } from "react";
import { useRecoilCallback, useRecoilValue } from "recoil";
import { keep, kept } from "./left.js";

const GRID = { modal: false };
const TAGS = "tags";
const COLOURS = {
  path: TAGS,
  valueColors: [
    { value: "kept", color: "#ff6d04" },
    { value: "pruned", color: "#5b6b7b" },
  ],
};

// Views of runs match their fields, whose names end so
const isOfRun = (stages) => /_(keep_at|kept)"/.test(JSON.stringify(stages));

// Where the panel shows both parts, their names stand in the place of the tags
const tellsParts = (stages) =>
  stages.some(({ _cls, kwargs }) => _cls.endsWith(".SetField") && kwargs[0][1] === TAGS);

/** Colour kept and pruned samples, and nothing else, as long as the grid tells them apart.
 *
 * Whatever ends that, the colours and the fields of before come back: another view, whoever has
 * set it, a closed panel, or a panel that is hidden behind another one.
 */
export function useColours() {
  const wanted = tellsParts(useRecoilValue(view));
  const begin = useRecoilCallback(({ snapshot, set }) => async () => {
    const { name } = await snapshot.getPromise(dataset);
    const slot = `colours of ${name}`;
    const fields = await snapshot.getPromise(activeFields(GRID));
    const scheme = await snapshot.getPromise(colorScheme);
    // The page may have been loaded again, or by another browser, with what we have set
    const isOurs = fields.length === 1 && fields[0] === TAGS;
    let before = isOurs ? kept(slot) : { fields, scheme };
    before ??= {
      fields: await snapshot.getPromise(defaultActiveFields),
      scheme: { ...scheme, ...(await snapshot.getPromise(datasetColorScheme)) },
    };
    keep(slot, before);
    set(activeFields(GRID), [TAGS]);
    const others = (scheme.fields ?? []).filter((field) => field.path !== TAGS);
    set(colorScheme, { ...scheme, colorBy: "value", fields: [...others, COLOURS] });
    return { name, ...before };
  });
  const end = useRecoilCallback(({ snapshot, set }) => async ({ name, fields, scheme }) => {
    const now = await snapshot.getPromise(dataset);
    if (now.name === name) set(activeFields(GRID), fields);
    set(colorScheme, scheme);
  });
  const latest = useRef();
  latest.current = { begin, end };
  useEffect(() => {
    if (!wanted) return undefined;
    const before = latest.current.begin();
    return () => void before.then(latest.current.end);
  }, [wanted]);
}

/** The view that somebody had before the panel set its own: `remember` it, and go `back` to it. */
export function useOwnView() {
  const shown = useRecoilValue(view);
  const { name } = useRecoilValue(dataset);
  const slot = `view of ${name}`;
  const own = kept(slot) ?? [];
  return {
    remember: () => isOfRun(shown) || keep(slot, shown),
    back: () => executeOperator("@voxel51/operators/set_view", { view: own }),
    isAway: isOfRun(shown),
    isAll: own.length === 0,
  };
}

/** Call `refresh` when the App has read its dataset again, as it does after an operator of ours.
 *
 * It does so for each new view too, which changes no run.
 */
export function useReloads(refresh) {
  const { id } = useRecoilValue(dataset); // another one at each reading
  const stages = JSON.stringify(useRecoilValue(view));
  const seen = useRef({ id, stages });
  const latest = useRef();
  latest.current = { refresh, stages };
  useEffect(() => {
    const { refresh, stages } = latest.current;
    if (seen.current.id !== id && seen.current.stages === stages) refresh();
    seen.current = { id, stages };
  }, [id]);
}
