import { useTriggerPanelEvent } from "@fiftyone/operators";
import { useCallback, useEffect, useRef, useState } from "react";

// What sets the view of the grid: of these too a slow answer must not come after a newer one's
const LANES = { show: "grid", show_difference: "grid" };

/** A function that calls a method of the Python panel, and then `done(whether it worked)`. */
export function useEvents(uris, setFailure) {
  const trigger = useTriggerPanelEvent();
  const latest = useRef();
  latest.current = { trigger, uris };
  return useCallback(
    (name, params, done) => {
      const { trigger, uris } = latest.current;
      trigger(uris[name], params, false, (result) => {
        setFailure(result?.error ? String(result.errorMessage || result.error) : null);
        done?.(!result?.error && !result?.result?.failed);
        return false; // it is shown here, and needs no error of the App's
      });
    },
    [setFailure],
  );
}

/** One request at a time of a kind; of those made meanwhile the last one only is sent, so it wins.
 *
 * Those of a run that is not shown any more, or was changed, are not sent at all.
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
        if (next && next[1].version === shown.current) ask(...next);
      });
    },
    [call],
  );
  return [isBusy, ask];
}

/** Ask for what is counted on demand, whenever it is not here; returns how to ask again if it failed. */
export function useAnswer(ask, name, params, isHere) {
  const wanted = JSON.stringify(params);
  const [failed, setFailed] = useState(null);
  useEffect(() => {
    if (!isHere && failed !== wanted)
      ask(name, JSON.parse(wanted), (worked) => !worked && setFailed(wanted));
  }, [ask, name, wanted, isHere, failed]);
  return !isHere && failed === wanted ? () => setFailed(null) : null;
}
