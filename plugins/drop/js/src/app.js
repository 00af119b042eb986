// What the panel reads of the App's own state, and what it changes there: always given back.

import { executeOperator } from "@fiftyone/operators";
import {
  activeFields,
  colorScheme,
  dataset,
  datasetColorScheme,
  defaultActiveFields,
  getSampleSrc,
  selectedSamples,
  view,
} from "@fiftyone/state";
import { useEffect, useRef } from "react";
import { useRecoilCallback, useRecoilState, useRecoilValue } from "recoil";
import { keep, kept } from "./left.js";

const GRID = { modal: false };
const LOADING = 8000; // ms
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
  const [fields, setFields] = useRecoilState(activeFields(GRID));
  const since = useRef(null);
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
    since.current = Date.now();
    const before = latest.current.begin();
    return () => {
      since.current = null;
      before.then(latest.current.end);
    };
  }, [wanted]);
  // While its page is loading, the App sets fields of its own once more
  useEffect(() => {
    const isLoading = since.current !== null && Date.now() - since.current < LOADING;
    if (isLoading && (fields.length !== 1 || fields[0] !== TAGS)) setFields([TAGS]);
  }, [fields]);
}

let isExpected = false; // whether the panel has asked for another view

/** The name of the open dataset. */
export const useDataset = () => useRecoilValue(dataset).name;

/** The view that somebody had before the panel set its own: `remember` it, and go `back` to it. */
export function useOwnView() {
  const shown = useRecoilValue(view);
  const { name } = useRecoilValue(dataset);
  const slot = `view of ${name}`;
  const own = kept(slot) ?? [];
  return {
    remember: () => {
      isExpected = true;
      isOfRun(shown) || keep(slot, shown);
    },
    back: () => {
      isExpected = true;
      executeOperator("@voxel51/operators/set_view", { view: own });
    },
    isAway: isOfRun(shown),
    isAll: own.length === 0,
  };
}

/** The ids of the samples that are selected in the grid. */
export const useSelected = () => [...useRecoilValue(selectedSamples).keys()];

export const clearSelected = () => executeOperator("@voxel51/operators/clear_selected_samples", {});

export const selectSamples = (samples) =>
  executeOperator("@voxel51/operators/set_selected_samples", { samples });

/** The address of a file at the App's own server. */
export const mediaOf = (path) => getSampleSrc(path);

const OPENING = 10000; // ms

// What changes with every run, score and evaluation that is written or deleted
const writtenIn = ({ savedViews, sampleFields, evaluations }) =>
  JSON.stringify([savedViews, sampleFields?.map(({ path }) => path), evaluations]);

/** Call `refresh` when the App has read its dataset again, as it does after an operator of ours.
 *
 * It does so for each view that the panel sets too, and when a panel is opened, which change no run.
 */
export function useReloads(refresh) {
  const read = useRecoilValue(dataset);
  const { id } = read; // another one at each reading
  const stages = JSON.stringify(useRecoilValue(view));
  const written = writtenIn(read);
  const seen = useRef({ id, stages, written });
  const opened = useRef(Date.now()); // 0 once the App has read its dataset again
  const latest = useRef();
  latest.current = { refresh, stages, written };
  useEffect(() => {
    const { refresh, stages, written } = latest.current;
    const isOwn = isExpected && seen.current.stages !== stages;
    const isOpening = Date.now() - opened.current < OPENING && seen.current.written === written;
    const isRead = seen.current.id !== id;
    if (isOwn) isExpected = false;
    else if (isRead && !isOpening) refresh();
    if (isRead) opened.current = 0;
    seen.current = { id, stages, written };
  }, [id]);
}
