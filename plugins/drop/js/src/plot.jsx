import React, { useEffect, useState } from "react";
import { value } from "./model.js";

/** The width of an element in pixels, and the ref that goes on it. */
export function useWidth(start) {
  const [element, setElement] = useState(null);
  const [width, setWidth] = useState(start);
  useEffect(() => {
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return [width, setElement];
}

/** Grid lines, numbers and names of a plot; `x` and `y` turn values into pixels. */
export function Axes({ frame, x, y, xTicks, yTicks, xLabel, yLabel }) {
  const { left, right, top, bottom, width, height } = frame;
  const base = height - bottom;
  return (
    <g className="drop-axes">
      {yTicks.map((tick) => (
        <g key={tick}>
          <line x1={left} x2={width - right} y1={y(tick)} y2={y(tick)} />
          <text x={left - 6} y={y(tick)} dy="0.32em" textAnchor="end">{value(tick)}</text>
        </g>
      ))}
      {xTicks.map((tick) => (
        <text key={tick} x={x(tick)} y={base + 14} textAnchor="middle">{value(tick)}</text>
      ))}
      <text x={(left + width - right) / 2} y={height - 4} textAnchor="middle">{xLabel}</text>
      <text transform={`translate(10 ${(top + base) / 2}) rotate(-90)`} textAnchor="middle">{yLabel}</text>
    </g>
  );
}
