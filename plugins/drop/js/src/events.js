import { useTriggerPanelEvent } from "@fiftyone/operators";
import { useCallback, useEffect, useRef, useState } from "react";

// What the panel asks for by itself. It says nothing of what somebody has clicked, and takes back none
// of the words about that. Those of Python's `read_in_words`
const READS = ["draft", "strips", "count_score", "report", "compare", "compare_drafts"];

// Both set the view of the grid: a slow answer must not come after a newer answer of the other
const LANES = { show: "grid", show_difference: "grid" };

/** A function that calls a method of the Python panel, and then `done(whether it worked)`. */
export function useEvents(uris, setFailures) {
  const trigger = useTriggerPanelEvent();
  const latest = useRef();
  latest.current = { trigger, uris };
  return useCallback(
    (name, params, done) => {
      const { trigger, uris } = latest.current;
      trigger(uris[name], params, false, (result) => {
        const words = result?.error ? String(result.errorMessage || result.error) : null;
        setFailures((all) => (READS.includes(name) ? { ...all, read: words } : { click: words }));
        done?.(!result?.error && !result?.result?.failed);
        return false; // the panel shows the error itself, so the App need not
      });
    },
    [setFailures],
  );
}

/** At most one request of a kind at a time. Of the requests made meanwhile only the last is sent.
 *
 * A request about a run that is no longer shown, or was changed, is not sent at all.
 */
export function useLatest(call, version) {
  const [isBusy, setBusy] = useState(false); // with the grid
  const lanes = useRef({});
  const shown = useRef();
  shown.current = version;
  const ask = useCallback(
    (name, params, done) => {
      const kind = LANES[name] ?? name;
      const lane = (lanes.current[kind] ??= { isFlying: false, waiting: null });
      if (lane.isFlying) {
        lane.waiting = [name, params, done];
        return;
      }
      lane.isFlying = true;
      if (kind === "grid") setBusy(true);
      call(name, params, (worked) => {
        lane.isFlying = false;
        if (kind === "grid") setBusy(false);
        done?.(worked);
        const next = lane.waiting;
        lane.waiting = null;
        if (next && (next[1].version ?? next[1].id) === shown.current) ask(...next);
      });
    },
    [call],
  );
  return [isBusy, ask];
}

/** Ask for an answer that is not here yet; returns a function that asks again if that failed. */
export function useAnswer(ask, name, params, isHere) {
  const wanted = JSON.stringify(params);
  const [failed, setFailed] = useState(null);
  useEffect(() => {
    if (!isHere && failed !== wanted)
      ask(name, JSON.parse(wanted), (worked) => !worked && setFailed(wanted));
  }, [ask, name, wanted, isHere, failed]);
  return !isHere && failed === wanted ? () => setFailed(null) : null;
}
