import React, { useEffect, useRef } from "react";
import { count, density, sum } from "./model.js";
import { Button } from "./ui.jsx";

const KEYBOARD_PAUSE = 250; // ms; each press of an arrow is a change of its own

/** The slider, and what it keeps. */
export function Density({ run, index, kept, onMove, onRelease, onKeep }) {
  const slider = useRef(null);
  const release = useRef();
  release.current = () => onRelease(run.densities[Number(slider.current.value)]);

  // React's onChange is the DOM's "input", at every step of a drag; "change" comes when it ends
  useEffect(() => {
    const element = slider.current;
    let byKey = false;
    let timer;
    const onKey = () => (byKey = true);
    const onPointer = () => (byKey = false);
    const end = () => {
      timer = clearTimeout(timer);
      release.current();
    };
    const onChange = () => {
      clearTimeout(timer);
      timer = setTimeout(end, byKey ? KEYBOARD_PAUSE : 0);
    };
    const onBlur = () => timer && end(); // whoever goes on to a button has let go
    element.addEventListener("keydown", onKey);
    element.addEventListener("pointerdown", onPointer);
    element.addEventListener("change", onChange);
    element.addEventListener("blur", onBlur);
    return () => {
      clearTimeout(timer);
      element.removeEventListener("keydown", onKey);
      element.removeEventListener("pointerdown", onPointer);
      element.removeEventListener("change", onChange);
      element.removeEventListener("blur", onBlur);
    };
  }, []);

  const at = density(run.densities[index]);
  const isOwn = index === run.own;
  return (
    <section className="drop-density">
      <div className="drop-row">
        <span>
          Density <output className="drop-big" data-cy="drop-density">{at}</output>
        </span>
        <span className="drop-gap" />
        <span>
          keeps{" "}
          <output className="drop-big" data-cy="drop-kept">{count(kept)}</output> of{" "}
          {count(sum(run.sizes))} samples
        </span>
      </div>
      <input
        ref={slider}
        type="range"
        min={0}
        max={run.densities.length - 1}
        value={index}
        onChange={(event) => onMove(run.densities[Number(event.target.value)])}
        aria-label="Density"
        aria-valuetext={`${at}, keeps ${count(kept)} samples`}
        data-cy="drop-slider"
      />
      <div className="drop-row drop-quiet">
        {isOwn ? (
          onKeep ? "This is the density of the run: drag to see others." : "Drag to see other densities."
        ) : (
          <>
            {onKeep && <span>The run itself stays at {density(run.density)}.</span>}
            {onKeep && <Button onClick={onKeep}>Move the run to {at}…</Button>}
            <Button onClick={() => onRelease(run.density)}>
              Back{onKeep ? "" : ` to ${density(run.density)}`}
            </Button>
          </>
        )}
      </div>
    </section>
  );
}
