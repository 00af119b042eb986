// The App's variables follow its theme, dark or light. Kept and pruned differ in lightness and in
// texture too, not in hue alone.
const text = "var(--fo-palette-text-primary, #888)";
const quiet = "var(--fo-palette-text-secondary, #888)";
const line = "var(--fo-palette-divider, #8886)";
const kept = "var(--fo-palette-primary-main, #ff6d04)";
const field = "var(--fo-palette-background-level2, transparent)";
const raised = "var(--fo-palette-background-level3, #8883)";
const ground = "var(--fo-palette-background-level1, #888)";
const hatch = `repeating-linear-gradient(135deg, ${quiet} 0 1px, transparent 1px 4px)`;

export const css = `
.drop-panel { container-type: inline-size; box-sizing: border-box; height: 100%; overflow: auto; padding: 12px 16px 24px;
  color: ${text}; font: 13px/1.45 var(--fo-fontFamily-body, sans-serif); display: flex; flex-direction: column; gap: 10px; }
.drop-panel *, .drop-panel *::before { box-sizing: border-box; }
.drop-panel p { margin: 0; }
.drop-panel p, .drop-facts, .drop-chip, .drop-message { overflow-wrap: anywhere; }
.drop-panel section { display: flex; flex-direction: column; gap: 8px; }
.drop-panel .drop-row { display: flex; flex-direction: row; flex-wrap: wrap; align-items: center; gap: 6px 8px; }
.drop-gap { flex: 1; }
.drop-quiet { color: ${quiet}; font-size: 12px; }
.drop-big { font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; }

.drop-panel button, .drop-panel select, .drop-panel input { font: inherit; color: inherit; }
.drop-panel button { cursor: pointer; background: none; border: 0; padding: 0; }
.drop-panel button:disabled { cursor: default; opacity: 0.45; }
.drop-panel :focus-visible { outline: 2px solid ${kept}; outline-offset: 1px; }
.drop-panel .drop-button, .drop-select, .drop-search { border: 1px solid ${line}; border-radius: 4px; padding: 2px 9px;
  min-height: 26px; background: ${field}; max-width: 100%; }
.drop-panel .drop-button { font-size: 12px; overflow-wrap: anywhere; text-align: left; }
.drop-panel .drop-button:hover:enabled, .drop-select:hover, .drop-segments button:hover { border-color: ${quiet}; }
.drop-select { max-width: 230px; padding-right: 4px; }
.drop-select option { color: initial; background: initial; }
.drop-search { width: 170px; }
.drop-panel .drop-samples { width: 90px; }
.drop-density input { width: 100%; margin: 2px 0; accent-color: ${kept}; cursor: pointer; }
.drop-panel .drop-density { gap: 2px; }
.drop-density .drop-row:last-child { min-height: 28px; }

.drop-segments { display: inline-flex; border: 1px solid ${line}; border-radius: 4px; overflow: hidden; }
.drop-panel .drop-segments button { padding: 2px 10px; min-height: 24px; font-size: 12px; }
.drop-panel .drop-segments button + button { border-left: 1px solid ${line}; }
.drop-segments button[aria-pressed="true"] { background: ${raised}; font-weight: 600; box-shadow: inset 0 -2px ${kept}; }
.drop-tabs { display: flex; flex-wrap: wrap; gap: 2px; border-bottom: 1px solid ${line}; margin-top: 4px; }
.drop-panel .drop-tabs button { padding: 5px 10px; color: ${quiet}; }
.drop-panel .drop-tabs button[aria-selected="true"] { color: ${text}; box-shadow: inset 0 -2px ${kept}; }
.drop-panel .drop-tabs button:hover { color: ${text}; }

.drop-message { display: flex; gap: 8px; border: 1px solid ${line}; border-left-width: 3px; border-radius: 4px; padding: 6px 10px; }
.drop-message > span:first-child { font-weight: 700; width: 1ch; flex: none; text-align: center; }
.drop-warning { border-left-color: ${kept}; }
.drop-info { border-left-color: ${quiet}; }
.drop-panel .drop-draft { flex-direction: column; gap: 6px; }
.drop-panel .drop-draft > * { width: auto; font-weight: inherit; text-align: left; }
.drop-choice { display: flex; flex-direction: column; }
.drop-empty { padding: 28px 12px; text-align: center; display: flex; flex-direction: column; gap: 8px; align-items: center; }
.drop-empty p { color: ${quiet}; max-width: 42em; }

.drop-table { width: 100%; border-collapse: collapse; table-layout: fixed; }
.drop-table th, .drop-table td { padding: 3px 6px; text-align: left; font-weight: 400; border-bottom: 1px solid ${line}; }
.drop-table th { font-size: 12px; color: ${quiet}; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.drop-table .drop-number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; width: 74px; }
.drop-table .drop-wide { width: 104px; }
.drop-table .drop-interval { width: 128px; }
.drop-table .drop-name { width: 30%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.drop-name button { max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: pre; vertical-align: bottom; }
tr[data-cy="drop-class"] { cursor: pointer; }
tr[data-cy="drop-class"]:hover td { background: ${field}; }
.drop-table tr.drop-selected td { background: ${raised}; }
.drop-table tr.drop-selected td:first-child { box-shadow: inset 3px 0 ${kept}; }
.drop-bar { height: 12px; background: ${hatch}; border: 1px solid ${quiet}; min-width: 3px; }
.drop-bar > div { height: 100%; background: ${kept}; }
.drop-bar + .drop-bar { margin-top: 2px; }
.drop-kept-sample, .drop-pruned-sample, .drop-other-sample { display: inline-block; width: 14px; height: 10px; border: 1px solid ${quiet};
  vertical-align: -1px; background: ${hatch}; }
.drop-kept-sample { background: ${kept}; }
.drop-other > div, .drop-other-sample { background: ${text}; }
.drop-pruned-sample, .drop-other-sample { margin-left: 8px; }
.drop-long { display: inline-flex; max-width: 100%; vertical-align: bottom; }
.drop-long > span:first-child, .drop-table .drop-cut { overflow: hidden; text-overflow: ellipsis; }

.drop-overview { width: 100%; height: 90px; display: block; border-bottom: 1px solid ${line}; cursor: pointer; }
.drop-overview .drop-page { fill: ${raised}; }
.drop-overview .drop-all { fill: ${quiet}; opacity: 0.45; }
.drop-panel svg .drop-kept { fill: ${kept}; }
.drop-plot { min-width: 0; }
.drop-plot svg { display: block; max-width: 100%; }
.drop-hover { min-height: 3em; }
.drop-axes line { stroke: ${line}; }
.drop-axes text { fill: ${quiet}; font-size: 11px; }
.drop-whiskers { stroke: ${quiet}; stroke-width: 1; opacity: 0.6; fill: none; }
.drop-line { stroke: ${text}; stroke-width: 1.5; stroke-dasharray: 5 3; fill: none; opacity: 0.8; }
.drop-dots { stroke: ${kept}; stroke-width: 7; stroke-linecap: round; fill: none; }
.drop-whiskers.drop-many { opacity: 0.15; }
.drop-whiskers.drop-marked { stroke: ${text}; stroke-width: 2; opacity: 1; }
.drop-dots.drop-many { stroke-width: 4; }
.drop-dots.drop-marked { stroke: ${text}; stroke-width: 10; }
.drop-rings { stroke: ${ground}; stroke-width: 3; }
.drop-rings.drop-many { stroke-width: 2; }
.drop-found { stroke: ${text}; }
.drop-names text { fill: ${text}; font-size: 11px; pointer-events: none; paint-order: stroke; stroke: ${ground}; stroke-width: 4px; }
.drop-strips { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
.drop-strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(64px, 1fr)); gap: 4px; align-content: start; }
.drop-strip > div { grid-column: 1 / -1; overflow-wrap: anywhere; }
.drop-strip button { aspect-ratio: 1; border: 1px solid ${line}; border-radius: 4px; overflow: hidden; background: ${field}; }
.drop-strip button[aria-pressed="true"] { box-shadow: 0 0 0 3px ${kept}; }
.drop-strip img { width: 100%; height: 100%; object-fit: contain; display: block; }
.drop-bin { cursor: pointer; }
.drop-reached .drop-bin-area { stroke: ${text}; stroke-width: 2; }
.drop-bin-area { fill: transparent; }
.drop-bin:hover .drop-bin-area, .drop-chosen .drop-bin-area { fill: ${raised}; }
.drop-chosen .drop-bin-area { stroke: ${text}; stroke-dasharray: 3 2; }
.drop-hatched { fill: url(#drop-hatch); stroke: ${quiet}; stroke-width: 0.75; }
.drop-hatch-ground { fill: transparent; }
.drop-hatch-line { fill: ${quiet}; }

.drop-if-narrow { display: none; }
@container (max-width: 480px) {
  .drop-table .drop-number { width: 54px; }
  .drop-table .drop-wide { width: 86px; }
  .drop-table .drop-interval { width: 54px; }
  .drop-table th, .drop-table td { padding: 3px; }
  .drop-panel .drop-tabs button { padding: 5px 7px; }
  .drop-if-narrow { display: block; padding: 2px 0; }
  .drop-if-wide { display: none; }
  .drop-table .drop-name { width: auto; }
}
`;
