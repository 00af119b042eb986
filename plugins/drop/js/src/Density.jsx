import React, { useEffect, useRef } from "react";
import { count, density, sum } from "./model.js";
import { Button } from "./ui.jsx";

const KEYBOARD_PAUSE = 250; // ms; each press of an arrow is a change of its own

/** The slider, and what it keeps. */
export function Density({ run, index, kept, onMove, onRelease, onKeep }) {
  const slider = useRef(null);
  const release = useRef(onRelease);
  release.current = onRelease;

  // React's onChange is the DOM's "input", at every step of a drag; "change" comes when it ends
  useEffect(() => {
    const element = slider.current;
    let byKey = false;
    let timer;
    const onKey = () => (byKey = true);
    const onPointer = () => (byKey = false);
    const onChange = () => {
      clearTimeout(timer);
      timer = setTimeout(() => release.current(Number(element.value)), byKey ? KEYBOARD_PAUSE : 0);
    };
    element.addEventListener("keydown", onKey);
    element.addEventListener("pointerdown", onPointer);
    element.addEventListener("change", onChange);
    return () => {
      clearTimeout(timer);
      element.removeEventListener("keydown", onKey);
      element.removeEventListener("pointerdown", onPointer);
      element.removeEventListener("change", onChange);
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
        onChange={(event) => onMove(Number(event.target.value))}
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
            <Button
              onClick={() => {
                onMove(run.own);
                onRelease(run.own);
              }}
            >
              Back{onKeep ? "" : ` to ${density(run.density)}`}
            </Button>
          </>
        )}
      </div>
    </section>
  );
}
