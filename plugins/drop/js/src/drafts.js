import { useEffect, useRef, useState } from "react";
import { useAnswer } from "./events.js";
import { keep, kept, leave } from "./left.js";

const NONE = { list: [], current: null, next: 1 };

/** The drafts of a dataset: what is chosen in each, step by step, and which one is shown.
 *
 * They are in the browser alone until one is applied; a page that is loaded again has them still.
 */
export function useDrafts(dataset, answer, applied) {
  const slot = `drafts of ${dataset}`;
  const [all, setAll] = useState(() => kept(slot) ?? NONE);
  const answers = useRef({});
  if (answer) answers.current[idOf(answer)] = answer;
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
  const current = all.list.find(({ id }) => id === all.current);
  const edit = (change) =>
    set({ ...all, list: all.list.map((one) => (one === current ? { ...one, ...change } : one)) });
  return {
    list: all.list.map((one) => ({ ...one, ...at(one), answer: answers.current[one.id] })),
    current: current && { ...current, ...at(current), answer: answers.current[current.id] },
    show: (id) => set({ ...all, current: id }),
    /** Begin with a run, what is changed of it at once, and the class that stays chosen. */
    open: (base, change, class_name) => {
      const id = `d${all.next}`;
      if (class_name !== undefined) leave({ version: id, class_name });
      const steps = change ? [{ base }, { base, ...change }] : [{ base }];
      const draft = { id, name: `draft ${all.next}`, steps, revision: 0, density: null };
      set({ list: [...all.list, draft], current: id, next: all.next + 1 });
    },
    change: (change) =>
      edit({ steps: [...current.steps, { ...at(current).choices, ...change }], revision: current.revision + 1 }),
    undo: () => edit({ steps: current.steps.slice(0, -1), revision: current.revision + 1 }),
    settle: (density) => edit({ density }),
    discard: () => set(without(all.current)),
  };
}

const idOf = ({ asked }) => asked.split(".")[0];

/** The choices of the last step, and what an answer to them is known by. */
const at = ({ id, steps, revision, density }) => ({
  choices: steps[steps.length - 1],
  asked: `${id}.${revision}.${density}`,
});

/** The draft that is shown, with what Python says of it; null if a run is shown. */
export function useDraft(drafts, working, ask) {
  const { current } = drafts;
  const { id, asked, choices, density, answer } = current ?? {};
  const isHere = !current || answer?.asked === asked;
  const again = useAnswer(ask, "draft", { id, asked, choices, density }, isHere);
  if (!current) return null;
  const isWorking = working && idOf(working) === id;
  const work = (what) =>
    ask("work_draft", { id, asked, choices, work: what, density: density ?? answer?.run?.density ?? 0.5 });
  return {
    ...drafts,
    ...current,
    choices: { ...answer?.choices, ...choices },
    offered: answer?.offered,
    warnings: answer?.warnings ?? [],
    run: answer?.run && { ...answer.run, key: current.name, version: id },
    problem: isHere ? answer?.problem : null,
    isUnmeasured: isHere && answer?.unmeasured,
    isBusy: !isHere,
    working: isWorking ? working : null,
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

/** Classes are texts, and with group_by lists of texts. */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
