(function(global, factory) {
	typeof exports === "object" && typeof module !== "undefined" ? factory(require("@fiftyone/plugins"), require("react"), require("@fiftyone/operators")) : typeof define === "function" && define.amd ? define([
		"@fiftyone/plugins",
		"react",
		"@fiftyone/operators"
	], factory) : (global = typeof globalThis !== "undefined" ? globalThis : global || self, factory(global.__fop__, global.React, global.__foo__));
})(this, function(_fiftyone_plugins, react, _fiftyone_operators) {
	// \0rolldown/runtime.js
	var __create = Object.create;
	var __defProp = Object.defineProperty;
	var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
	var __getOwnPropNames = Object.getOwnPropertyNames;
	var __getProtoOf = Object.getPrototypeOf;
	var __hasOwnProp = Object.prototype.hasOwnProperty;
	var __copyProps = (to, from, except, desc) => {
		if (from && typeof from === "object" || typeof from === "function") for (var keys = __getOwnPropNames(from), i = 0, n = keys.length, key; i < n; i++) {
			key = keys[i];
			if (!__hasOwnProp.call(to, key) && key !== except) __defProp(to, key, {
				get: ((k) => from[k]).bind(null, key),
				enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable
			});
		}
		return to;
	};
	var __toESM = (mod, isNodeMode, target) => (target = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(isNodeMode || !mod || !mod.__esModule || !__hasOwnProp.call(mod, "default") ? __defProp(target, "default", {
		value: mod,
		enumerable: true
	}) : target, mod));
	react = __toESM(react, 1);
	// src/events.js
	var LANES = {
		show: "grid",
		show_difference: "grid"
	};
	/** A function that calls a method of the Python panel, and then `done(whether it worked)`. */
	function useEvents(uris, setFailure) {
		const trigger = (0, _fiftyone_operators.useTriggerPanelEvent)();
		const latest = (0, react.useRef)();
		latest.current = {
			trigger,
			uris
		};
		return (0, react.useCallback)((name, params, done) => {
			const { trigger, uris } = latest.current;
			trigger(uris[name], params, false, (result) => {
				setFailure(result?.error ? String(result.errorMessage || result.error) : null);
				done?.(!result?.error && !result?.result?.failed);
				return false;
			});
		}, [setFailure]);
	}
	/** At most one request of a kind at a time. Of the requests made meanwhile only the last is sent.
	*
	* A request about a run that is no longer shown, or was changed, is not sent at all.
	*/
	function useLatest(call, version) {
		const [isBusy, setBusy] = (0, react.useState)(false);
		const lanes = (0, react.useRef)({});
		const shown = (0, react.useRef)();
		shown.current = version;
		const ask = (0, react.useCallback)((name, params, done) => {
			var _lanes$current;
			const kind = LANES[name] ?? name;
			const lane = (_lanes$current = lanes.current)[kind] ?? (_lanes$current[kind] = {
				isFlying: false,
				waiting: null
			});
			if (lane.isFlying) {
				lane.waiting = [
					name,
					params,
					done
				];
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
		}, [call]);
		return [isBusy, ask];
	}
	/** Ask for an answer that is not here yet; returns a function that asks again if that failed. */
	function useAnswer(ask, name, params, isHere) {
		const wanted = JSON.stringify(params);
		const [failed, setFailed] = (0, react.useState)(null);
		(0, react.useEffect)(() => {
			if (!isHere && failed !== wanted) ask(name, JSON.parse(wanted), (worked) => !worked && setFailed(wanted));
		}, [
			ask,
			name,
			wanted,
			isHere,
			failed
		]);
		return !isHere && failed === wanted ? () => setFailed(null) : null;
	}
	var count = (n) => n.toLocaleString("en-US");
	/** Three digits. Nearly nothing looks unlike nothing, and nearly all unlike all. */
	function fraction(x) {
		if (x > 0 && x < 5e-4) return "<0.001";
		return x < 1 && x >= .9995 ? ">0.999" : x.toFixed(3);
	}
	/** Steps of a hundredth, but the run's own density may have more digits. */
	var density = (d) => Math.abs(d * 100 - Math.round(d * 100)) < 1e-9 ? d.toFixed(2) : String(Number(d.toPrecision(6)));
	var value = (x) => x === 0 || Math.abs(x) >= .001 && Math.abs(x) < 1e5 ? String(Number(x.toPrecision(3))) : x.toExponential(1);
	var sum = (numbers) => numbers.reduce((total, n) => total + n, 0);
	/** The index of the density nearest to one, among ascending densities. */
	function nearest(densities, wanted) {
		let best = 0;
		densities.forEach((d, i) => {
			if (Math.abs(d - wanted) < Math.abs(densities[best] - wanted)) best = i;
		});
		return best;
	}
	/** The classes, as indices, by a column; ties stay in the order of their names. */
	function sorted(columns, by, descending) {
		const column = columns[by];
		const order = Array.from(columns.name, (_, k) => k);
		const compare = column && by !== "name" ? (a, b) => column[a] - column[b] || a - b : (a, b) => a - b;
		return order.sort(descending ? (a, b) => compare(b, a) : compare);
	}
	/** The classes whose name contains the text, whatever its case. */
	function matching(order, names, text) {
		const wanted = text.trim().toLowerCase();
		return wanted ? order.filter((k) => names[k].toLowerCase().includes(wanted)) : order;
	}
	function pageOf(order, page) {
		const pages = Math.max(1, Math.ceil(order.length / 25));
		const current = Math.min(Math.max(0, page), pages - 1);
		const start = current * 25;
		return {
			pages,
			current,
			start,
			rows: order.slice(start, start + 25)
		};
	}
	/** One path of vertical bars in a box of the given height, one unit wide each. */
	function barsPath(values, most, height) {
		return values.map((n, i) => {
			return `M${i} ${height}V${(height - height * n / most).toFixed(2)}h1V${height}z`;
		}).join("");
	}
	function linear([from, to], [start, end]) {
		const unit = from === to ? 0 : (end - start) / (to - from);
		return (x) => start + (x - from) * unit;
	}
	/** About five round numbers from low to high. */
	function ticks(low, high) {
		if (!(high > low)) return [low];
		const rough = (high - low) / 4;
		const power = 10 ** Math.floor(Math.log10(rough));
		const step = [
			1,
			2,
			5,
			10
		].map((m) => m * power).find((s) => s >= rough);
		const round = [];
		for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) round.push(Number((i * step).toPrecision(12)));
		return round;
	}
	/**
	* What the recall of a class was measured as, in words; null where recalls were given. Smoothing moves
	* recalls towards each other, so that one need not lie in the interval, which is of the observed one.
	*/
	var measured = (run, k) => {
		if (!run.intervals) return null;
		if (run.observed[k] === null) return "no validation sample";
		const [low, high] = run.intervals[k].map(fraction);
		return `observed ${fraction(run.observed[k])}, 95 % interval ${low} to ${high}`;
	};
	/** The corners of min(1, c (1 - recall)) over recalls from `low` to 1. */
	function waterLine(level, low) {
		const atLow = level * (1 - low);
		if (atLow <= 1) return [[low, atLow], [1, 0]];
		return [
			[low, 1],
			[1 - 1 / level, 1],
			[1, 0]
		];
	}
	/** The index of the point nearest to (x, y), or null beyond the radius. */
	function nearestPoint(points, x, y, radius) {
		let best = null;
		let least = radius * radius;
		points.forEach(([px, py], i) => {
			const distance = (px - x) ** 2 + (py - y) ** 2;
			if (distance <= least) [best, least] = [i, distance];
		});
		return best;
	}
	// src/ui.jsx
	function Button({ children, ...more }) {
		return /* @__PURE__ */ react.default.createElement("button", {
			type: "button",
			className: "drop-button",
			...more
		}, children);
	}
	function Select({ label, value, options, words = (option) => option, onChange }) {
		return /* @__PURE__ */ react.default.createElement("select", {
			className: "drop-select",
			"aria-label": label,
			title: label,
			value,
			onChange: (event) => onChange(event.target.value)
		}, options.map((option) => /* @__PURE__ */ react.default.createElement("option", {
			key: option,
			value: option
		}, words(option))));
	}
	/** Buttons of which one is pressed, the one of `value`; options: value -> words. */
	function Segments({ label, options, value, onChange }) {
		return /* @__PURE__ */ react.default.createElement("span", {
			className: "drop-segments",
			role: "group",
			"aria-label": label
		}, Object.entries(options).map(([option, words]) => /* @__PURE__ */ react.default.createElement("button", {
			key: option,
			type: "button",
			"aria-pressed": option === value,
			onClick: () => onChange(option)
		}, words)));
	}
	var STEPS = {
		ArrowRight: 1,
		ArrowLeft: -1,
		Home: -Infinity,
		End: Infinity
	};
	/** Tabs; the arrow keys choose another one. */
	function Tabs({ tabs, current, onChange }) {
		const names = Object.keys(tabs);
		const onKeyDown = (event) => {
			const step = STEPS[event.key];
			if (step === void 0) return;
			event.preventDefault();
			const next = names.indexOf(current) + step;
			const name = names[Number.isFinite(step) ? (next + names.length) % names.length : step < 0 ? 0 : names.length - 1];
			onChange(name);
			event.currentTarget.children[names.indexOf(name)].focus();
		};
		return /* @__PURE__ */ react.default.createElement("div", {
			className: "drop-tabs",
			role: "tablist",
			onKeyDown
		}, names.map((name) => /* @__PURE__ */ react.default.createElement("button", {
			key: name,
			type: "button",
			role: "tab",
			id: `drop-tab-${name}`,
			"aria-controls": "drop-tabpanel",
			"aria-selected": name === current,
			tabIndex: name === current ? 0 : -1,
			onClick: () => onChange(name)
		}, tabs[name])));
	}
	function TabPanel({ of, children }) {
		return /* @__PURE__ */ react.default.createElement("div", {
			role: "tabpanel",
			id: "drop-tabpanel",
			"aria-labelledby": `drop-tab-${of}`
		}, children);
	}
	function Search({ value, onChange }) {
		return /* @__PURE__ */ react.default.createElement("input", {
			className: "drop-search",
			type: "search",
			placeholder: "Find a class",
			"aria-label": "Find a class",
			value,
			onChange: (event) => onChange(event.target.value)
		});
	}
	function Pager({ pages, current, total, onChange }) {
		return /* @__PURE__ */ react.default.createElement("div", { className: "drop-row drop-quiet" }, /* @__PURE__ */ react.default.createElement("span", null, count(total), " ", total === 1 ? "class" : "classes", ", page ", current + 1, " of ", pages), /* @__PURE__ */ react.default.createElement("span", { className: "drop-gap" }), /* @__PURE__ */ react.default.createElement(Button, {
			disabled: current === 0,
			onClick: () => onChange(current - 1)
		}, "Previous"), /* @__PURE__ */ react.default.createElement(Button, {
			disabled: current === pages - 1,
			onClick: () => onChange(current + 1)
		}, "Next"));
	}
	/** The header of a column. A click sorts by it, another click turns the order round. */
	function SortHeader({ by, sort, onSort, children, ...more }) {
		const isSorted = sort.by === by;
		const direction = sort.descending ? "descending" : "ascending";
		return /* @__PURE__ */ react.default.createElement("th", {
			"aria-sort": isSorted ? direction : "none",
			...more
		}, /* @__PURE__ */ react.default.createElement("button", {
			type: "button",
			onClick: () => onSort({
				by,
				descending: isSorted && !sort.descending
			}),
			title: `Sort by ${by}`
		}, children, /* @__PURE__ */ react.default.createElement("span", { "aria-hidden": "true" }, isSorted ? sort.descending ? " ↓" : " ↑" : "")));
	}
	function Legend() {
		return /* @__PURE__ */ react.default.createElement("span", { className: "drop-legend drop-quiet" }, /* @__PURE__ */ react.default.createElement("i", { className: "drop-kept-sample" }), " kept ", /* @__PURE__ */ react.default.createElement("i", { className: "drop-pruned-sample" }), " pruned");
	}
	function Message({ level, children }) {
		return /* @__PURE__ */ react.default.createElement("p", {
			className: `drop-message drop-${level}`,
			role: level === "warning" ? "alert" : void 0
		}, /* @__PURE__ */ react.default.createElement("span", { "aria-hidden": "true" }, level === "warning" ? "!" : "i"), /* @__PURE__ */ react.default.createElement("span", null, children));
	}
	// src/list.jsx
	/** The classes of a table, to be sorted, searched and read in pages.
	*
	* Takes the columns by name, `columns.name` among them, and the first order. Returns the rows of the
	* page, the order of all rows, and the controls.
	*/
	function useClassList(columns, firstSort) {
		const [sort, setSort] = (0, react.useState)(firstSort);
		const [text, setText] = (0, react.useState)("");
		const [page, setPage] = (0, react.useState)(0);
		const order = (0, react.useMemo)(() => matching(sorted(columns, sort.by, sort.descending), columns.name, text), [
			columns,
			sort,
			text
		]);
		const { pages, current, start, rows } = pageOf(order, page);
		const restart = (set) => (value) => (set(value), setPage(0));
		const hasPages = columns.name.length > 25;
		return {
			rows,
			order,
			start,
			setPage,
			header: (by, words, more) => /* @__PURE__ */ react.default.createElement(SortHeader, {
				by,
				sort,
				onSort: restart(setSort),
				...more
			}, words),
			search: hasPages && /* @__PURE__ */ react.default.createElement(Search, {
				value: text,
				onChange: restart(setText)
			}),
			pager: hasPages && /* @__PURE__ */ react.default.createElement(Pager, {
				pages,
				current,
				total: order.length,
				onChange: setPage
			}),
			empty: order.length === 0 && /* @__PURE__ */ react.default.createElement("p", { className: "drop-quiet" }, "No class has “", text, "” in its name.")
		};
	}
	// src/Classes.jsx
	var OVERVIEW_HEIGHT = 100;
	/** Bars and numbers per class; above them, of many classes, all in one picture. */
	function Classes({ run, kept, columns, selected, onSelect }) {
		const list = useClassList(columns, {
			by: run.recalls ? "recall" : "density",
			descending: false
		});
		const { rows, order, header } = list;
		const most = Math.max(...run.sizes);
		const mostOfRows = Math.max(...rows.map((k) => run.sizes[k]));
		const bar = (k) => /* @__PURE__ */ react.default.createElement(Bar, {
			kept: kept[k],
			size: run.sizes[k],
			most: mostOfRows
		});
		return /* @__PURE__ */ react.default.createElement("section", null, /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, list.search, /* @__PURE__ */ react.default.createElement("span", { className: "drop-gap" }), /* @__PURE__ */ react.default.createElement(Legend, null)), order.length > 25 && /* @__PURE__ */ react.default.createElement(Overview, {
			run,
			kept,
			order,
			most,
			start: list.start,
			length: rows.length,
			onClick: (i) => list.setPage(Math.floor(i / 25))
		}), list.pager, /* @__PURE__ */ react.default.createElement("table", {
			className: "drop-table",
			"data-cy": "drop-classes"
		}, /* @__PURE__ */ react.default.createElement("thead", null, /* @__PURE__ */ react.default.createElement("tr", null, header("name", "Class", { className: "drop-name" }), /* @__PURE__ */ react.default.createElement("th", {
			className: "drop-if-wide",
			"aria-hidden": "true"
		}), header("size", "Kept / size", { className: "drop-number drop-wide" }), header("density", "Density", { className: "drop-number" }), run.recalls && header("recall", "Recall", { className: "drop-number" }))), /* @__PURE__ */ react.default.createElement("tbody", null, rows.map((k) => /* @__PURE__ */ react.default.createElement("tr", {
			key: k,
			className: k === selected ? "drop-selected" : "",
			onClick: () => onSelect(k),
			"data-cy": "drop-class"
		}, /* @__PURE__ */ react.default.createElement("td", { className: "drop-name" }, /* @__PURE__ */ react.default.createElement("button", {
			type: "button",
			title: run.names[k],
			"aria-pressed": k === selected
		}, run.names[k]), /* @__PURE__ */ react.default.createElement("div", { className: "drop-if-narrow" }, bar(k))), /* @__PURE__ */ react.default.createElement("td", { className: "drop-if-wide" }, bar(k)), /* @__PURE__ */ react.default.createElement("td", { className: "drop-number drop-wide" }, /* @__PURE__ */ react.default.createElement("b", null, count(kept[k])), " / ", count(run.sizes[k])), /* @__PURE__ */ react.default.createElement("td", { className: "drop-number" }, fraction(kept[k] / run.sizes[k])), run.recalls && /* @__PURE__ */ react.default.createElement("td", {
			className: "drop-number",
			title: measured(run, k)
		}, fraction(run.recalls[k])))))), list.empty);
	}
	function Bar({ kept, size, most, title }) {
		return /* @__PURE__ */ react.default.createElement("div", {
			className: "drop-bar",
			title,
			style: { width: `${Math.max(1, 100 * size / most)}%` }
		}, /* @__PURE__ */ react.default.createElement("div", { style: { width: `${100 * kept / size}%` } }));
	}
	function Overview({ run, kept, order, most, start, length, onClick }) {
		const all = (0, react.useMemo)(() => barsPath(order.map((k) => run.sizes[k]), most, OVERVIEW_HEIGHT), [
			run,
			order,
			most
		]);
		const at = (event) => {
			const box = event.currentTarget.getBoundingClientRect();
			const i = Math.floor((event.clientX - box.left) / box.width * order.length);
			return Math.min(Math.max(0, i), order.length - 1);
		};
		return /* @__PURE__ */ react.default.createElement("svg", {
			className: "drop-overview",
			viewBox: `0 0 ${order.length} ${OVERVIEW_HEIGHT}`,
			preserveAspectRatio: "none",
			role: "img",
			"aria-label": "Kept samples over size, of all classes in the order of the table; click for that page",
			onClick: (event) => onClick(at(event)),
			"data-cy": "drop-overview"
		}, /* @__PURE__ */ react.default.createElement("rect", {
			className: "drop-page",
			x: start,
			width: length,
			height: OVERVIEW_HEIGHT
		}), /* @__PURE__ */ react.default.createElement("path", {
			className: "drop-all",
			d: all
		}), /* @__PURE__ */ react.default.createElement("path", {
			className: "drop-kept",
			d: barsPath(order.map((k) => kept[k]), most, OVERVIEW_HEIGHT)
		}));
	}
	// src/Compare.jsx
	/** Two runs side by side: class densities, and the samples that only one of them keeps. */
	function Compare({ run, runs, answer, ask, onShow }) {
		const others = runs.filter((key) => key !== run.key);
		const fits = answer?.version === run.version && others.includes(answer.other) ? answer : null;
		if (others.length === 0) return /* @__PURE__ */ react.default.createElement("p", { className: "drop-quiet" }, "There is no second run to compare with. New run makes one.");
		return /* @__PURE__ */ react.default.createElement("section", null, /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, /* @__PURE__ */ react.default.createElement("span", null, run.key, ", at its own density ", density(run.density), ", against"), /* @__PURE__ */ react.default.createElement(Select, {
			label: "The run to compare with",
			value: fits?.other ?? "",
			options: fits ? others : ["", ...others],
			words: (key) => key || "choose a run",
			onChange: (other) => other && ask("compare", {
				key: run.key,
				version: run.version,
				other
			})
		})), fits && /* @__PURE__ */ react.default.createElement(Difference, {
			mine: run.key,
			both: fits,
			onShow
		}));
	}
	function Difference({ mine, both, onShow }) {
		const [first, second] = both.densities;
		const { rows, header, search, pager, empty } = useClassList((0, react.useMemo)(() => ({
			name: both.names,
			first,
			second,
			changed: first.map((d, k) => Math.abs((d ?? 0) - (second[k] ?? 0)))
		}), [both]), {
			by: "changed",
			descending: true
		});
		const show = (which) => onShow(both.other, which);
		return /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, both.warnings.map((words) => /* @__PURE__ */ react.default.createElement(Message, {
			key: words,
			level: "warning"
		}, words)), /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, /* @__PURE__ */ react.default.createElement(Button, { onClick: () => show("first") }, "Only in ", mine, ": ", count(sum(both.first))), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => show("second") }, "Only in ", both.other, ": ", count(sum(both.second))), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => show("both") }, "In both: ", count(sum(both.both)))), search, pager, /* @__PURE__ */ react.default.createElement("table", {
			className: "drop-table",
			"data-cy": "drop-comparison"
		}, /* @__PURE__ */ react.default.createElement("thead", null, /* @__PURE__ */ react.default.createElement("tr", null, header("name", "Class", { className: "drop-name" }), header("changed", "Class densities"), header("first", mine, {
			className: "drop-number",
			title: mine
		}), header("second", both.other, {
			className: "drop-number",
			title: both.other
		}), /* @__PURE__ */ react.default.createElement("th", {
			className: "drop-number",
			title: "Samples that only one of the two runs keeps"
		}, "Only"))), /* @__PURE__ */ react.default.createElement("tbody", null, rows.map((k) => /* @__PURE__ */ react.default.createElement("tr", { key: k }, /* @__PURE__ */ react.default.createElement("td", {
			className: "drop-name",
			title: both.names[k]
		}, both.names[k]), /* @__PURE__ */ react.default.createElement("td", null, /* @__PURE__ */ react.default.createElement(Bar, {
			kept: first[k] ?? 0,
			size: 1,
			most: 1,
			title: mine
		}), /* @__PURE__ */ react.default.createElement(Bar, {
			kept: second[k] ?? 0,
			size: 1,
			most: 1,
			title: both.other
		})), /* @__PURE__ */ react.default.createElement("td", { className: "drop-number" }, first[k] === null ? "none" : fraction(first[k])), /* @__PURE__ */ react.default.createElement("td", { className: "drop-number" }, second[k] === null ? "none" : fraction(second[k])), /* @__PURE__ */ react.default.createElement("td", { className: "drop-number" }, count(both.first[k]), " | ", count(both.second[k])))))), empty);
	}
	// src/Density.jsx
	var KEYBOARD_PAUSE = 250;
	/** The slider, and what it keeps. */
	function Density({ run, index, kept, onMove, onRelease, onKeep }) {
		const slider = (0, react.useRef)(null);
		const release = (0, react.useRef)(onRelease);
		release.current = onRelease;
		(0, react.useEffect)(() => {
			const element = slider.current;
			let byKey = false;
			let timer;
			const onKey = () => byKey = true;
			const onPointer = () => byKey = false;
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
		return /* @__PURE__ */ react.default.createElement("section", { className: "drop-density" }, /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, /* @__PURE__ */ react.default.createElement("span", null, "Density ", /* @__PURE__ */ react.default.createElement("output", {
			className: "drop-big",
			"data-cy": "drop-density"
		}, at)), /* @__PURE__ */ react.default.createElement("span", { className: "drop-gap" }), /* @__PURE__ */ react.default.createElement("span", null, "keeps", " ", /* @__PURE__ */ react.default.createElement("output", {
			className: "drop-big",
			"data-cy": "drop-kept"
		}, count(kept)), " of", " ", count(sum(run.sizes)), " samples")), /* @__PURE__ */ react.default.createElement("input", {
			ref: slider,
			type: "range",
			min: 0,
			max: run.densities.length - 1,
			value: index,
			onChange: (event) => onMove(Number(event.target.value)),
			"aria-label": "Density",
			"aria-valuetext": `${at}, keeps ${count(kept)} samples`,
			"data-cy": "drop-slider"
		}), /* @__PURE__ */ react.default.createElement("div", { className: "drop-row drop-quiet" }, isOwn ? "This is the density of the run: drag to see others." : /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, /* @__PURE__ */ react.default.createElement("span", null, "The run itself stays at ", density(run.density), "."), /* @__PURE__ */ react.default.createElement(Button, { onClick: onKeep }, "Move the run to ", at, "…"), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => {
			onMove(run.own);
			onRelease(run.own);
		} }, "Back"))));
	}
	// src/Grid.jsx
	/** Which samples the grid shows. No part is pressed before somebody has chosen one. */
	function Grid({ run, kept, shown, scores, isBusy, onChange }) {
		const { part, score, selected, range } = shown;
		const total = (values) => selected === null ? sum(values) : values[selected];
		const all = total(run.sizes);
		const many = (n) => range ? "" : ` ${count(n)}`;
		const parts = {
			kept: `Kept${many(total(kept))}`,
			pruned: `Pruned${many(all - total(kept))}`,
			all: `Both${many(all)}`
		};
		return /* @__PURE__ */ react.default.createElement("section", {
			className: "drop-row",
			"aria-busy": isBusy,
			"data-cy": "drop-grid"
		}, /* @__PURE__ */ react.default.createElement("span", null, "Show"), /* @__PURE__ */ react.default.createElement(Segments, {
			label: "Which samples the grid shows",
			options: parts,
			value: part,
			onChange: (part) => onChange({
				part,
				range
			})
		}), selected !== null && /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, /* @__PURE__ */ react.default.createElement("span", {
			className: "drop-chip",
			"data-cy": "drop-shown"
		}, "of ", /* @__PURE__ */ react.default.createElement("b", null, run.names[selected])), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => onChange({ selected: null }) }, "All classes")), range && /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, /* @__PURE__ */ react.default.createElement("span", {
			className: "drop-chip",
			"data-cy": "drop-range"
		}, "with ", /* @__PURE__ */ react.default.createElement("b", null, score), " from ", range.score_range.map(value).join(" to ")), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => onChange({}) }, "All values")), scores.length > 0 && /* @__PURE__ */ react.default.createElement(Select, {
			label: "Order of the grid",
			value: score ?? "",
			options: ["", ...scores],
			words: (name) => name === "" ? "in dataset order" : `hardest first: ${name}`,
			onChange: (name) => onChange({ score: name || null })
		}), part === "all" && /* @__PURE__ */ react.default.createElement("span", {
			className: "drop-quiet",
			"data-cy": "drop-colours"
		}, "coloured by ", run.kept_field), isBusy && /* @__PURE__ */ react.default.createElement("span", { className: "drop-quiet" }, "Updating…"));
	}
	// src/left.js
	var NAME = "fiftyone-drop";
	var left = null;
	function leave(choice) {
		left = choice;
		try {
			sessionStorage.setItem(NAME, JSON.stringify(choice));
		} catch {}
	}
	/** The last choices about this version of a run; none about any other version. */
	function leftOf(version) {
		try {
			left ?? (left = JSON.parse(sessionStorage.getItem(NAME)));
		} catch {}
		return left?.version === version ? left : {};
	}
	// src/Report.jsx
	/** The fairness of the run in words; with an evaluation of the trained model, before and after. */
	function Report({ run, evaluations, answer, ask }) {
		const fits = answer?.version === run.version ? answer.report : null;
		const [wanted, setWanted] = (0, react.useState)(fits?.eval_key ?? null);
		const eval_key = evaluations.includes(wanted) ? wanted : null;
		const again = useAnswer(ask, "report", {
			key: run.key,
			version: run.version,
			eval_key
		}, fits?.eval_key === eval_key);
		if (!fits) return /* @__PURE__ */ react.default.createElement("div", { className: "drop-row drop-quiet" }, again ? /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, "The run was not read. ", /* @__PURE__ */ react.default.createElement(Button, { onClick: again }, "Read it again")) : "Reading the run…");
		return /* @__PURE__ */ react.default.createElement("section", {
			"data-cy": "drop-report",
			"aria-busy": fits.eval_key !== eval_key
		}, /* @__PURE__ */ react.default.createElement("p", { className: "drop-quiet" }, fits.title, "."), /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, /* @__PURE__ */ react.default.createElement("span", null, "After training on the kept samples:"), evaluations.length > 0 ? /* @__PURE__ */ react.default.createElement(Select, {
			label: "The evaluation of the model that was trained on the kept samples",
			value: eval_key ?? "",
			options: ["", ...evaluations],
			words: (key) => key || "choose its evaluation",
			onChange: (key) => setWanted(key || null)
		}) : /* @__PURE__ */ react.default.createElement("span", { className: "drop-quiet" }, "evaluate that model with evaluate_classifications, and choose Refresh.")), again && /* @__PURE__ */ react.default.createElement("div", { className: "drop-row drop-quiet" }, "This evaluation was not read. ", /* @__PURE__ */ react.default.createElement(Button, { onClick: again }, "Read it again")), fits.accuracy && /* @__PURE__ */ react.default.createElement(Accuracy, fits.accuracy), fits.findings.map(({ level, text }) => /* @__PURE__ */ react.default.createElement(Message, {
			key: text,
			level
		}, text)));
	}
	var ROWS = {
		average: "average over classes",
		worst: "worst class",
		gap: "average less worst",
		spread: "standard deviation over classes"
	};
	function Accuracy({ before, after }) {
		const columns = Object.entries({
			before,
			after
		}).filter(([, column]) => column);
		return /* @__PURE__ */ react.default.createElement("table", {
			className: "drop-table",
			"data-cy": "drop-accuracy"
		}, /* @__PURE__ */ react.default.createElement("thead", null, /* @__PURE__ */ react.default.createElement("tr", null, /* @__PURE__ */ react.default.createElement("th", null, "Accuracy"), columns.map(([name]) => /* @__PURE__ */ react.default.createElement("th", {
			key: name,
			className: "drop-number"
		}, name)))), /* @__PURE__ */ react.default.createElement("tbody", null, Object.entries(ROWS).map(([row, words]) => /* @__PURE__ */ react.default.createElement("tr", { key: row }, /* @__PURE__ */ react.default.createElement("td", null, words), columns.map(([name, column]) => /* @__PURE__ */ react.default.createElement("td", {
			key: name,
			className: "drop-number"
		}, fraction(column[row]))))), /* @__PURE__ */ react.default.createElement("tr", null, /* @__PURE__ */ react.default.createElement("td", null, "the worst class is"), columns.map(([name, column]) => /* @__PURE__ */ react.default.createElement("td", {
			key: name,
			className: "drop-number drop-cut",
			title: column.worst_class
		}, column.worst_class))), /* @__PURE__ */ react.default.createElement("tr", null, /* @__PURE__ */ react.default.createElement("td", null, "measured on"), columns.map(([name, column]) => /* @__PURE__ */ react.default.createElement("td", {
			key: name,
			className: "drop-number"
		}, column.samples === null ? "given" : count(column.samples))))));
	}
	// src/plot.jsx
	/** The width of an element in pixels, and the ref that goes on it. */
	function useWidth(start) {
		const [element, setElement] = (0, react.useState)(null);
		const [width, setWidth] = (0, react.useState)(start);
		(0, react.useEffect)(() => {
			if (!element) return void 0;
			const observer = new ResizeObserver(([entry]) => setWidth(entry.contentRect.width));
			observer.observe(element);
			return () => observer.disconnect();
		}, [element]);
		return [width, setElement];
	}
	/** Grid lines, numbers and names of a plot; `x` and `y` turn values into pixels. */
	function Axes({ frame, x, y, xTicks, yTicks, xLabel, yLabel }) {
		const { left, right, top, bottom, width, height } = frame;
		const base = height - bottom;
		return /* @__PURE__ */ react.default.createElement("g", { className: "drop-axes" }, yTicks.map((tick) => /* @__PURE__ */ react.default.createElement("g", { key: tick }, /* @__PURE__ */ react.default.createElement("line", {
			x1: left,
			x2: width - right,
			y1: y(tick),
			y2: y(tick)
		}), /* @__PURE__ */ react.default.createElement("text", {
			x: left - 6,
			y: y(tick),
			dy: "0.32em",
			textAnchor: "end"
		}, value(tick)))), xTicks.map((tick) => /* @__PURE__ */ react.default.createElement("text", {
			key: tick,
			x: x(tick),
			y: base + 14,
			textAnchor: "middle"
		}, value(tick))), /* @__PURE__ */ react.default.createElement("text", {
			x: (left + width - right) / 2,
			y: height - 4,
			textAnchor: "middle"
		}, xLabel), /* @__PURE__ */ react.default.createElement("text", {
			transform: `translate(10 ${(top + base) / 2}) rotate(-90)`,
			textAnchor: "middle"
		}, yLabel));
	}
	// src/Scatter.jsx
	var HEIGHT$1 = 280;
	var NEAR = 12;
	var TICK = 5;
	var MANY = 100;
	/** Recall against class density: how the rule answers the failures of the query model. */
	function Scatter({ run, index, selected, onSelect }) {
		const [width, box] = useWidth(360);
		const [hovered, setHovered] = (0, react.useState)(null);
		if (!run.recalls) return /* @__PURE__ */ react.default.createElement("p", { className: "drop-quiet" }, "The rule “", run.rule, "” needs no recalls, so this run has none.");
		return /* @__PURE__ */ react.default.createElement("section", { ref: box }, /* @__PURE__ */ react.default.createElement("p", { className: "drop-quiet" }, run.intervals ? "Dots: the recall of each class that its quota follows from, and the fraction of the class that is kept. Bars: the observed recall, a tick, with its 95 % interval; smoothing moves dots off the ticks." : "Recall of each class, as it was given, and the fraction of the class that is kept.", run.levels && " The line is Algorithm 1: min(1, c (1 - recall))."), /* @__PURE__ */ react.default.createElement(Plot, {
			run,
			index,
			selected,
			onSelect,
			width,
			hovered,
			setHovered
		}));
	}
	function Plot({ run, index, selected, onSelect, width, hovered, setHovered }) {
		const kept = run.counts[index];
		const low = (0, react.useMemo)(() => {
			const least = Math.min(...run.recalls, ...(run.intervals ?? []).map((i) => i[0]));
			return Math.max(0, Math.min(least, .95) - .02);
		}, [run]);
		const frame = {
			left: 44,
			right: 12,
			top: 10,
			bottom: 36,
			width,
			height: HEIGHT$1
		};
		const x = linear([low, 1], [frame.left, width - frame.right]);
		const y = linear([0, 1], [HEIGHT$1 - frame.bottom, frame.top]);
		const points = run.recalls.map((recall, k) => [x(recall), y(kept[k] / run.sizes[k])]);
		const dot = ([px, py]) => `M${px.toFixed(1)} ${py.toFixed(1)}h0`;
		const whisker = ([from, to], k) => {
			const height = points[k][1];
			const tick = run.observed[k] === null ? "" : `M${x(run.observed[k]).toFixed(1)} ${(height - TICK).toFixed(1)}v10`;
			return `M${x(from).toFixed(1)} ${height.toFixed(1)}H${x(to).toFixed(1)}${tick}`;
		};
		const isMany = points.length > MANY;
		const near = (event) => {
			const area = event.currentTarget.getBoundingClientRect();
			return nearestPoint(points, event.clientX - area.left, event.clientY - area.top, NEAR);
		};
		const marked = hovered ?? selected;
		return /* @__PURE__ */ react.default.createElement("div", { className: "drop-plot" }, /* @__PURE__ */ react.default.createElement("svg", {
			width,
			height: HEIGHT$1,
			role: "img",
			"aria-label": "Recall against class density; click a point to see its class",
			onMouseMove: (event) => setHovered(near(event)),
			onMouseLeave: () => setHovered(null),
			onClick: (event) => near(event) !== null && onSelect(near(event)),
			style: { cursor: hovered === null ? "default" : "pointer" },
			"data-cy": "drop-scatter"
		}, /* @__PURE__ */ react.default.createElement(Axes, {
			frame,
			x,
			y,
			xTicks: ticks(low, 1),
			yTicks: [
				0,
				.25,
				.5,
				.75,
				1
			],
			xLabel: "recall",
			yLabel: "class density"
		}), run.intervals && /* @__PURE__ */ react.default.createElement("path", {
			className: isMany ? "drop-whiskers drop-many" : "drop-whiskers",
			d: run.intervals.map(whisker).join("")
		}), run.levels && /* @__PURE__ */ react.default.createElement("polyline", {
			className: "drop-line",
			points: waterLine(run.levels[index], low).map(([r, d]) => `${x(r)},${y(d)}`).join(" ")
		}), /* @__PURE__ */ react.default.createElement("path", {
			className: isMany ? "drop-dots drop-many" : "drop-dots",
			d: points.map(dot).join("")
		}), marked !== null && /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, run.intervals && /* @__PURE__ */ react.default.createElement("path", {
			className: "drop-whiskers drop-marked",
			d: whisker(run.intervals[marked], marked)
		}), /* @__PURE__ */ react.default.createElement("path", {
			className: "drop-dots drop-marked",
			d: dot(points[marked])
		}))), /* @__PURE__ */ react.default.createElement("p", {
			className: "drop-quiet drop-hover",
			"aria-live": "polite"
		}, marked === null ? "Point at a class to read it, click to see its samples." : /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, /* @__PURE__ */ react.default.createElement("b", null, run.names[marked]), ": recall ", fraction(run.recalls[marked]), run.intervals && ` (${measured(run, marked)})`, ", ", count(kept[marked]), " of ", count(run.sizes[marked]), " kept")));
	}
	// src/Score.jsx
	var HEIGHT = 240;
	/** The distribution of a score among kept and pruned samples, counted in the data on demand. */
	function Score({ scores, call, ...more }) {
		const [wanted, setWanted] = (0, react.useState)(null);
		const score = scores.includes(wanted) ? wanted : scores[0];
		if (scores.length > 0) return /* @__PURE__ */ react.default.createElement(Histogram, {
			key: score,
			scores,
			score,
			...more,
			onChoose: setWanted
		});
		return /* @__PURE__ */ react.default.createElement("div", { className: "drop-empty" }, /* @__PURE__ */ react.default.createElement("strong", null, "No difficulty scores yet"), /* @__PURE__ */ react.default.createElement("p", null, "Compute some, or import your own with fod.import_scores, and choose Refresh."), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => call("open_form", { operator: "compute_scores" }) }, "Compute scores…"));
	}
	function Histogram({ run, scores, score, answer, density: density$1, ask, onChoose, onRange }) {
		const counts = answer?.version === run.version && answer.score === score ? answer : null;
		const fits = counts?.density === density$1;
		const again = useAnswer(ask, "count_score", {
			key: run.key,
			version: run.version,
			score,
			density: density$1
		}, fits);
		return /* @__PURE__ */ react.default.createElement("section", { "aria-busy": !fits }, /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, /* @__PURE__ */ react.default.createElement(Select, {
			label: "Score",
			value: score,
			options: scores,
			onChange: onChoose
		}), /* @__PURE__ */ react.default.createElement("span", {
			className: "drop-quiet",
			role: "status"
		}, fits ? `counted at density ${density(density$1)}` : again ? "It was not counted." : "Counting…", fits && counts.missing > 0 && `, ${count(counts.missing)} samples have no score`), again && /* @__PURE__ */ react.default.createElement(Button, { onClick: again }, "Count again"), /* @__PURE__ */ react.default.createElement("span", { className: "drop-gap" }), /* @__PURE__ */ react.default.createElement(Legend, null)), counts && /* @__PURE__ */ react.default.createElement(Bins, {
			counts,
			onRange: (range) => fits && onRange(score, range)
		}));
	}
	function Bins({ counts, onRange }) {
		const [width, box] = useWidth(360);
		const { edges, kept, pruned } = counts;
		const last = kept.length - 1;
		const most = Math.max(1, ...kept.map((n, i) => n + pruned[i]));
		const frame = {
			left: 52,
			right: 12,
			top: 10,
			bottom: 36,
			width,
			height: HEIGHT
		};
		const x = linear([edges[0], edges[last + 1]], [frame.left, width - frame.right]);
		const y = linear([0, most], [HEIGHT - frame.bottom, frame.top]);
		const bar = (i, from, to) => /* @__PURE__ */ react.default.createElement("rect", {
			x: x(edges[i]) + .5,
			width: Math.max(.5, x(edges[i + 1]) - x(edges[i]) - 1),
			y: y(to),
			height: y(from) - y(to)
		});
		return /* @__PURE__ */ react.default.createElement("div", {
			ref: box,
			className: "drop-plot"
		}, /* @__PURE__ */ react.default.createElement("svg", {
			width,
			height: HEIGHT,
			role: "group",
			"aria-label": `Histogram of ${counts.score}`,
			"data-cy": "drop-histogram"
		}, /* @__PURE__ */ react.default.createElement("defs", null, /* @__PURE__ */ react.default.createElement("pattern", {
			id: "drop-hatch",
			width: "4",
			height: "4",
			patternUnits: "userSpaceOnUse",
			patternTransform: "rotate(45)"
		}, /* @__PURE__ */ react.default.createElement("rect", {
			className: "drop-hatch-ground",
			width: "4",
			height: "4"
		}), /* @__PURE__ */ react.default.createElement("rect", {
			className: "drop-hatch-line",
			width: "1.5",
			height: "4"
		}))), /* @__PURE__ */ react.default.createElement(Axes, {
			frame,
			x,
			y,
			xTicks: ticks(edges[0], edges[last + 1]),
			yTicks: ticks(0, most),
			xLabel: counts.score,
			yLabel: "samples"
		}), kept.map((n, i) => {
			const range = {
				score_range: [edges[i], edges[i + 1]],
				is_last: i === last
			};
			const about = `${value(edges[i])} to ${value(edges[i + 1])}: ${count(n)} kept, ${count(pruned[i])} pruned`;
			return /* @__PURE__ */ react.default.createElement("g", {
				key: i,
				className: "drop-bin",
				role: "button",
				tabIndex: 0,
				"aria-label": about,
				onClick: () => onRange(range),
				onKeyDown: (event) => {
					if (event.key !== "Enter" && event.key !== " ") return;
					event.preventDefault();
					onRange(range);
				},
				"data-cy": "drop-bin"
			}, /* @__PURE__ */ react.default.createElement("title", null, about), /* @__PURE__ */ react.default.createElement("rect", {
				className: "drop-bin-area",
				x: x(edges[i]),
				width: Math.max(0, x(edges[i + 1]) - x(edges[i])),
				y: frame.top,
				height: HEIGHT - frame.top - frame.bottom
			}), /* @__PURE__ */ react.default.createElement("g", { className: "drop-kept" }, bar(i, 0, n)), /* @__PURE__ */ react.default.createElement("g", { className: "drop-hatched" }, bar(i, n, n + pruned[i])));
		})), /* @__PURE__ */ react.default.createElement("p", { className: "drop-quiet" }, "Click a bar to see its samples, of the part that is chosen above."));
	}
	// src/Run.jsx
	var TABS = {
		classes: "Classes",
		recall: "Recall",
		score: "Score",
		report: "Fairness",
		compare: "Compare"
	};
	/** One run at the density of the slider. Moving it needs no request: all counts are here already. */
	function Run({ page, answers, tab, setTab, call, ask, isBusy }) {
		const { run, scores } = page;
		const { key, version } = run;
		const [left] = (0, react.useState)(() => leftOf(version));
		const [index, setIndex] = (0, react.useState)(() => left.density == null ? run.own : nearest(run.densities, left.density));
		const [settled, setSettled] = (0, react.useState)(index);
		const [choice, setChoice] = (0, react.useState)({
			part: left.part ?? null,
			score: left.score ?? null,
			selected: indexOf(run.classes, left.class_name),
			range: left.range ?? null
		});
		const shown = scores.includes(choice.score) ? choice : {
			...choice,
			score: null,
			range: null
		};
		const kept = run.counts[index];
		const columns = (0, react.useMemo)(() => tableColumns(run, settled), [run, settled]);
		/** Show the choice in the grid, after a `change` of it. */
		const show = (change, at = index) => {
			const now = {
				...shown,
				part: shown.part ?? "kept",
				range: null,
				...change
			};
			setChoice(now);
			const wanted = {
				density: run.densities[at],
				part: now.part,
				score: now.score,
				class_name: now.selected === null ? null : run.classes[now.selected]
			};
			leave({
				version,
				...wanted,
				range: now.range
			});
			ask("show", {
				key,
				version,
				...wanted,
				...now.range
			});
		};
		const select = (k) => show({ selected: k === shown.selected ? null : k });
		const showDifference = (other, which) => {
			setChoice({
				part: null,
				score: null,
				selected: null,
				range: null
			});
			leave(null);
			ask("show_difference", {
				key,
				version,
				other,
				which
			});
		};
		return /* @__PURE__ */ react.default.createElement(react.default.Fragment, null, /* @__PURE__ */ react.default.createElement("div", { className: "drop-quiet drop-facts" }, facts(run)), /* @__PURE__ */ react.default.createElement(Density, {
			run,
			index,
			kept: sum(kept),
			onMove: setIndex,
			onRelease: (i) => {
				setSettled(i);
				show({}, i);
			},
			onKeep: () => call("open_form", {
				operator: "set_density",
				key: run.key,
				density: run.densities[index]
			})
		}), /* @__PURE__ */ react.default.createElement(Grid, {
			run,
			kept,
			shown,
			scores,
			isBusy,
			onChange: show
		}), /* @__PURE__ */ react.default.createElement(Tabs, {
			tabs: TABS,
			current: tab,
			onChange: setTab
		}), /* @__PURE__ */ react.default.createElement(TabPanel, { of: tab }, tab === "classes" && /* @__PURE__ */ react.default.createElement(Classes, {
			run,
			kept,
			columns,
			selected: shown.selected,
			onSelect: select
		}), tab === "recall" && /* @__PURE__ */ react.default.createElement(Scatter, {
			run,
			index,
			selected: shown.selected,
			onSelect: select
		}), tab === "score" && /* @__PURE__ */ react.default.createElement(Score, {
			run,
			scores,
			answer: answers.histogram,
			density: run.densities[settled],
			call,
			ask,
			onRange: (score, range) => show({
				score,
				range,
				selected: null
			}, settled)
		}), tab === "report" && /* @__PURE__ */ react.default.createElement(Report, {
			run,
			evaluations: page.evaluations,
			answer: answers.report,
			ask
		}), tab === "compare" && /* @__PURE__ */ react.default.createElement(Compare, {
			run,
			runs: page.runs,
			answer: answers.comparison,
			ask,
			onShow: showDifference
		})));
	}
	/** The index of a class, which with group_by is a pair; null if there is none. */
	function indexOf(classes, wanted) {
		const index = classes.findIndex((name) => JSON.stringify(name) === JSON.stringify(wanted));
		return wanted == null || index < 0 ? null : index;
	}
	/** The columns to sort classes by, at the density where the slider was let go. */
	function tableColumns(run, index) {
		const kept = run.counts[index];
		return {
			name: run.names,
			recall: run.recalls,
			density: run.sizes.map((size, k) => kept[k] / size),
			size: run.sizes
		};
	}
	function facts(run) {
		return [
			`${count(run.names.length)} classes of ${run.label_field}`,
			run.group_by && `by ${run.group_by}`,
			`rule ${run.rule}`,
			run.select === "random" ? "chosen at random" : `by ${run.select}`,
			run.recalls_from && `recalls: ${run.recalls_from}`,
			`density ${density(run.density)}`
		].filter(Boolean).join(" · ");
	}
	// src/style.js
	var text = "var(--fo-palette-text-primary, #888)";
	var quiet = "var(--fo-palette-text-secondary, #888)";
	var line = "var(--fo-palette-divider, #8886)";
	var kept = "var(--fo-palette-primary-main, #ff6d04)";
	var field = "var(--fo-palette-background-level2, transparent)";
	var raised = "var(--fo-palette-background-level3, #8883)";
	var hatch = `repeating-linear-gradient(135deg, ${quiet} 0 1px, transparent 1px 4px)`;
	var css = `
.drop-panel { container-type: inline-size; box-sizing: border-box; height: 100%; overflow: auto; padding: 12px 16px 24px;
  color: ${text}; font: 13px/1.45 var(--fo-fontFamily-body, sans-serif); display: flex; flex-direction: column; gap: 10px; }
.drop-panel *, .drop-panel *::before { box-sizing: border-box; }
.drop-panel p { margin: 0; overflow-wrap: anywhere; }
.drop-panel section { display: flex; flex-direction: column; gap: 8px; }
.drop-panel .drop-row { display: flex; flex-direction: row; flex-wrap: wrap; align-items: center; gap: 6px 8px; }
.drop-gap { flex: 1; }
.drop-quiet { color: ${quiet}; font-size: 12px; }
.drop-facts { overflow-wrap: anywhere; }
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
.drop-density input { width: 100%; margin: 2px 0; accent-color: ${kept}; cursor: pointer; }
.drop-panel .drop-density { gap: 2px; }
.drop-density .drop-row:last-child { min-height: 28px; }

.drop-segments { display: inline-flex; border: 1px solid ${line}; border-radius: 4px; overflow: hidden; }
.drop-panel .drop-segments button { padding: 2px 10px; min-height: 24px; font-size: 12px; }
.drop-panel .drop-segments button + button { border-left: 1px solid ${line}; }
.drop-segments button[aria-pressed="true"] { background: ${raised}; font-weight: 600; box-shadow: inset 0 -2px ${kept}; }
.drop-chip { overflow-wrap: anywhere; }
.drop-tabs { display: flex; flex-wrap: wrap; gap: 2px; border-bottom: 1px solid ${line}; margin-top: 4px; }
.drop-panel .drop-tabs button { padding: 5px 10px; color: ${quiet}; }
.drop-panel .drop-tabs button[aria-selected="true"] { color: ${text}; box-shadow: inset 0 -2px ${kept}; }
.drop-panel .drop-tabs button:hover { color: ${text}; }

.drop-message { display: flex; gap: 8px; border: 1px solid ${line}; border-left-width: 3px; border-radius: 4px; padding: 6px 10px;
  overflow-wrap: anywhere; }
.drop-message > span:first-child { font-weight: 700; width: 1ch; flex: none; text-align: center; }
.drop-message.drop-warning { border-left-color: ${kept}; }
.drop-message.drop-info { border-left-color: ${quiet}; }
.drop-empty { padding: 28px 12px; text-align: center; display: flex; flex-direction: column; gap: 8px; align-items: center; }
.drop-empty p { color: ${quiet}; max-width: 42em; }

.drop-table { width: 100%; border-collapse: collapse; table-layout: fixed; }
.drop-table th, .drop-table td { padding: 3px 6px; text-align: left; font-weight: 400; border-bottom: 1px solid ${line}; }
.drop-table th { font-size: 12px; color: ${quiet}; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.drop-table .drop-number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; width: 74px; }
.drop-table .drop-wide { width: 104px; }
.drop-table .drop-name { width: 30%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.drop-name button { max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: pre; vertical-align: bottom; }
tr[data-cy="drop-class"] { cursor: pointer; }
tr[data-cy="drop-class"]:hover td { background: ${field}; }
.drop-table tr.drop-selected td { background: ${raised}; }
.drop-table tr.drop-selected td:first-child { box-shadow: inset 3px 0 ${kept}; }
.drop-table .drop-cut { overflow: hidden; text-overflow: ellipsis; }
.drop-bar { height: 12px; background: ${hatch}; border: 1px solid ${quiet}; min-width: 3px; }
.drop-bar > div { height: 100%; background: ${kept}; }
.drop-bar + .drop-bar { margin-top: 2px; }
.drop-kept-sample, .drop-pruned-sample { display: inline-block; width: 14px; height: 10px; border: 1px solid ${quiet};
  vertical-align: -1px; background: ${hatch}; }
.drop-kept-sample { background: ${kept}; }
.drop-pruned-sample { margin-left: 8px; }

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
.drop-bin { cursor: pointer; outline: none; }
.drop-bin:focus-visible .drop-bin-area { stroke: ${kept}; stroke-width: 2; }
.drop-bin-area { fill: transparent; }
.drop-bin:hover .drop-bin-area { fill: ${raised}; }
.drop-hatched { fill: url(#drop-hatch); stroke: ${quiet}; stroke-width: 0.75; }
.drop-hatch-ground { fill: transparent; }
.drop-hatch-line { fill: ${quiet}; }

.drop-if-narrow { display: none; }
@container (max-width: 480px) {
  .drop-table .drop-number { width: 54px; }
  .drop-table .drop-wide { width: 86px; }
  .drop-table th, .drop-table td { padding: 3px; }
  .drop-panel .drop-tabs button { padding: 5px 7px; }
  .drop-if-narrow { display: block; padding: 2px 0; }
  .drop-if-wide { display: none; }
  .drop-table .drop-name { width: auto; }
}
`;
	// src/DropPanel.jsx
	/** The panel: the choice of a run, problems, and the run itself or the next step. */
	function DropPanel({ data, schema }) {
		const [failure, setFailure] = (0, react.useState)(null);
		const call = useEvents(schema.view, setFailure);
		const [tab, setTab] = (0, react.useState)("classes");
		const page = useParsed(data?.page);
		const histogram = useParsed(data?.histogram);
		const report = useParsed(data?.report);
		const comparison = useParsed(data?.comparison);
		const [isBusy, ask] = useLatest(call, page?.run?.version);
		if (!page) return /* @__PURE__ */ react.default.createElement("div", { className: "drop-panel drop-quiet" }, "Loading…");
		const { run } = page;
		const message = failure ?? data.message;
		return /* @__PURE__ */ react.default.createElement("div", {
			className: "drop-panel",
			"data-cy": "drop-panel"
		}, /* @__PURE__ */ react.default.createElement("style", null, css), /* @__PURE__ */ react.default.createElement("div", { className: "drop-row" }, page.runs.length > 0 && /* @__PURE__ */ react.default.createElement(Select, {
			label: "Drop run",
			value: page.key,
			options: page.runs,
			onChange: (key) => call("open_run", { key })
		}), /* @__PURE__ */ react.default.createElement(Button, { onClick: () => call("open_form", { operator: "apply_drop" }) }, "New run…"), /* @__PURE__ */ react.default.createElement("span", { className: "drop-gap" }), page.key && /* @__PURE__ */ react.default.createElement(Button, { onClick: () => call("open_form", {
			operator: "delete_drop",
			key: page.key
		}) }, "Delete run…"), /* @__PURE__ */ react.default.createElement(Button, {
			"aria-label": "Refresh",
			title: "Refresh: look for runs, scores and evaluations again",
			onClick: () => call("refresh", { key: page.key })
		}, "↻")), message && /* @__PURE__ */ react.default.createElement(Message, { level: "warning" }, message), page.changes && /* @__PURE__ */ react.default.createElement(Message, { level: "warning" }, page.changes), run ? /* @__PURE__ */ react.default.createElement(Run, {
			key: run.version,
			page,
			answers: {
				histogram,
				report,
				comparison
			},
			tab,
			setTab,
			call,
			ask,
			isBusy
		}) : /* @__PURE__ */ react.default.createElement("div", { className: "drop-empty" }, /* @__PURE__ */ react.default.createElement("strong", null, page.title), /* @__PURE__ */ react.default.createElement("p", null, page.text)));
	}
	/** Tables come as text, since the App copies a panel's data value by value at each event. */
	function useParsed(text) {
		return (0, react.useMemo)(() => text ? JSON.parse(text) : null, [text]);
	}
	// src/index.jsx
	(0, _fiftyone_plugins.registerComponent)({
		name: "DropPanel",
		label: "DRoP",
		component: DropPanel,
		type: _fiftyone_plugins.PluginComponentType.Component,
		activator: () => true
	});
});
