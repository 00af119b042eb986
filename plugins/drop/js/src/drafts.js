import { useEffect, useMemo, useRef, useState } from "react";
import { useAnswer } from "./events.js";
import { keep, kept } from "./left.js";
import { nearest, same } from "./model.js";

const NONE = { list: [], current: null, next: 1 };

/** The drafts of a dataset: what is chosen in each, step by step, and which one is shown.
 *
 * They are in the browser alone until one is applied; a page that is loaded again has them still.
 */
export function useDrafts(dataset, answer, applied) {
  const slot = `drafts of ${dataset}`;
  const [all, setAll] = useState(() => kept(slot) ?? NONE);
  const answers = useRef({});
  if (answer) {
    const id = idOf(answer);
    // What cannot be has no tables: with the last ones stays what made it so
    const run = answer.run ?? (answer.problem && answers.current[id]?.run);
    answers.current[id] = { ...answer, run, isOld: run !== answer.run };
  }
  const set = (all) => (keep(slot, all), setAll(all));
  const without = (id) => ({ ...all, current: null, list: all.list.filter((one) => one.id !== id) });
  const wasAnswered = useRef(false);
  useEffect(() => {
    const isApplied = applied && all.list.some(({ id }) => id === idOf(applied));
    const isForgotten = !answer && wasAnswered.current; // Python reads its samples again
    wasAnswered.current = !!answer;
    if (!isApplied && !isForgotten) return;
    const left = isApplied ? without(idOf(applied)) : all;
    const again = (one) => ({ ...one, revision: one.revision + 1 });
    set(isForgotten ? { ...left, list: left.list.map(again) } : left);
  }, [applied, answer]);
  const edit = (change) =>
    set({ ...all, list: all.list.map((one) => (one.id === all.current ? { ...one, ...change } : one)) });
  const list = all.list.map((one) => asAnswered(one, answers.current[one.id]));
  const current = list.find(({ id }) => id === all.current);
  return {
    list,
    current,
    show: (id) => set({ ...all, current: id }),
    /** Begin with a run, what is changed of it at once, and the class that stays chosen. */
    open: (base, change, class_name = null) => {
      const id = `draft ${all.next}`; // no key of a run has a space
      const steps = change ? [{ base }, { base, ...change }] : [{ base }];
      const draft = { id, steps, revision: 0, density: null, class_name };
      set({ list: [...all.list, draft], current: id, next: all.next + 1 });
    },
    change: (change) =>
      edit({ steps: [...current.steps, { ...last(current), ...change }], revision: current.revision + 1 }),
    undo: () => edit({ steps: current.steps.slice(0, -1), revision: current.revision + 1 }),
    /** Where the slider is let go, or the class that is chosen: no step to be undone. */
    settle: edit,
    discard: () => set(without(all.current)),
  };
}

const idOf = ({ asked }) => asked.split(".")[0];
const last = ({ steps }) => steps[steps.length - 1];

/** A draft with its answer: at a density that the answer has, and with all choices once they are known.
 *
 * What is shown is what is compared, and what is applied.
 */
function asAnswered(one, answer) {
  const steps = answer?.run?.densities;
  const density = steps && one.density !== null ? steps[nearest(steps, one.density)] : one.density;
  const asked = `${one.id}.${one.revision}.${density}`;
  const isHere = answer?.asked === asked;
  return { ...one, density, asked, answer, isHere, choices: { ...(isHere && answer.choices), ...last(one) } };
}

/** The draft that is shown, with what Python says of it; null if a run is shown. */
export function useDraft(drafts, { working, message, draft }, ask, call) {
  const { id, asked, choices, density, answer, isHere = true } = drafts.current ?? {};
  const again = useAnswer(ask, "draft", { id, asked, choices, density }, isHere);
  const [sent, setSent] = useState(null); // whose work Python is to begin
  useEffect(() => setSent(null), [working, draft]);
  useEffect(() => {
    if (message) setSent(null);
  }, [message]);
  const run = useMemo(() => answer?.run && { ...answer.run, key: id, version: id }, [answer?.run, id]);
  if (!drafts.current) return null;
  const told = working && JSON.parse(working);
  const work = (work) => {
    setSent(id);
    const at = density ?? run?.density ?? 0.5;
    call("work_draft", { id, asked, choices, work, density: at }, (worked) => worked || setSent(null));
  };
  return {
    ...drafts,
    ...drafts.current,
    choices: { ...answer?.choices, ...choices },
    offered: answer?.offered,
    warnings: answer?.warnings ?? [],
    run,
    problem: isHere ? answer?.problem : null,
    isUnmeasured: isHere && answer?.unmeasured,
    isBusy: !isHere,
    working: told && idOf(told) === id ? told : sent === id ? { label: "Beginning" } : null,
    again,
    measure: () => work("measure"),
    apply: () => work("apply"),
  };
}

/** The limit of one class among those of a draft, as [kind, number], or null. */
export const limitOf = (limits, name) =>
  (limits ?? []).find(([of]) => same(of, name))?.slice(1) ?? null;

/** The limits with another one of one class; without one of it for null. */
export const withLimit = (limits, name, limit) => [
  ...(limits ?? []).filter(([of]) => !same(of, name)),
  ...(limit ? [[name, ...limit]] : []),
];
