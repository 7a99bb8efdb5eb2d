// Draws the charts of a page from the data that stands in it, again when the theme or the width
// changes, for paper before it is printed, and on a live page when results come in.
'use strict';
(() => {
	const root = document.documentElement;
	const dark = matchMedia('(prefers-color-scheme: dark)');
	const still = matchMedia('(prefers-reduced-motion: reduce)');
	const live = 'live' in document.body.dataset;
	const symbols = ['circle', 'rect', 'triangle', 'diamond', 'path://M13 1h4v3h3v4h-3v3h-4v-3h-3v-4h3z'];
	const dashes = ['solid', [7, 3], [2, 2.5], [9, 3, 2, 3]];
	const none = '\u2013';

	let data = JSON.parse(document.getElementById('charts').textContent);
	const drawn = new Map(); // id: {chart, width}
	const off = new Set(); // names of pools that are switched off
	let printing = false;

	// Figures, as package words writes them.
	const digits = (x) => {
		const a = Math.abs(x);
		if (a < 0.001) return String(Number(x.toPrecision(2)));
		return a >= 99.95 ? x.toFixed(0) : String(Number(x.toFixed(a >= 9.995 ? 1 : a >= 0.095 ? 2 : 3)));
	};
	const scaled = (x, units) => {
		let i = 0;
		while (i < units.length - 1 && Math.abs(x) >= 999.5) {
			x /= 1000;
			i++;
		}
		return digits(x) + (units[i] && ' ' + units[i]);
	};
	const time = (ns) => ns === null ? none : ns === 0 ? '0' : scaled(ns, ['ns', '\u00b5s', 'ms', 's']);
	const count = (x) => x === null ? none : scaled(x, ['', 'k', 'M', 'G']);
	const ratio = (x) => x === null ? none : (x < 0.1 || x >= 9.995 ? digits(x) : x.toFixed(2)) + '\u00d7';
	const written = {'ns': time, 'ops/s': count, 'ratio': ratio};
	const percentile = (share) => share >= 1 ? 'max' : 'p' + String(Number((100 * share).toPrecision(7)));

	// Colours are those of the style sheet, which knows light, dark and paper.
	let style;
	const colour = (name) => style.getPropertyValue('--' + name).trim();
	const ofPool = (i) => colour('c' + i % 8);
	const mix = (a, b, t) => '#' + [1, 3, 5].map((at) => {
		const x = parseInt(a.slice(at, at + 2), 16), y = parseInt(b.slice(at, at + 2), 16);
		return Math.round(x + (y - x) * t).toString(16).padStart(2, '0');
	}).join('');
	// Black or white, whichever is read better on a colour: one of them has a contrast of 4.5 with any.
	const inkOn = (hex) => {
		const light = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
			.map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
			.reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
		return light > 0.179 ? '#000000' : '#ffffff';
	};

	// tip is what the pointer finds: nodes, so that no name is read as HTML.
	const tip = (title, rows) => {
		const box = document.createElement('div');
		box.className = 'tip';
		const head = document.createElement('b');
		head.textContent = title;
		box.append(head);
		for (const [name, value] of rows) {
			const line = document.createElement('div');
			for (const text of [name, value]) {
				const part = document.createElement('span');
				part.textContent = text;
				line.append(part);
			}
			box.append(line);
		}
		return box;
	};

	const base = (label) => ({
		animation: live && !still.matches && !printing,
		animationDuration: 0,
		animationDurationUpdate: 300,
		aria: {enabled: true, label: {description: label}},
		textStyle: {fontFamily: getComputedStyle(document.body).fontFamily, color: colour('soft')},
		tooltip: {
			confine: true, backgroundColor: colour('card'), borderColor: colour('line'), transitionDuration: 0,
			textStyle: {color: colour('ink'), fontSize: 13},
		},
	});
	const axis = (more) => ({
		axisLine: {lineStyle: {color: colour('line')}}, axisTick: {lineStyle: {color: colour('line')}},
		splitLine: {lineStyle: {color: colour('line'), width: 0.7}}, minorSplitLine: {show: false},
		nameTextStyle: {color: colour('soft'), fontSize: 12},
		...more,
		axisLabel: {color: colour('soft'), fontSize: 12, hideOverlap: true, ...more.axisLabel},
	});
	const shown = (pool) => !off.has(data.pools[pool]);
	// room is how wide names may be; longer ones are cut.
	const room = (names, width, share) => Math.min(width * share, 14 + 7 * Math.max(0, ...names.map((n) => n.length)));
	// Axes that begin and end at powers of ten.
	const decades = (values) => {
		const all = values.filter((v) => v !== null && v > 0);
		if (!all.length) return {min: 1, max: 10};
		const low = Math.min(...all), high = Math.max(...all);
		const min = 10 ** Math.floor(Math.log10(low) + 1e-9);
		return {min, max: Math.max(10 * min, 10 ** Math.ceil(Math.log10(high) - 1e-9))};
	};
	const line = (pool) => ({
		type: 'line', name: data.pools[pool], color: ofPool(pool), symbol: symbols[pool % symbols.length],
		lineStyle: {width: 2, type: dashes[pool % dashes.length]}, emphasis: {focus: 'series', lineStyle: {width: 3}},
	});

	const draw = {
		bars(c, width) {
			const rows = c.bars.filter((b) => shown(b.pool));
			const names = rows.map((b) => data.pools[b.pool]);
			const ends = rows.map((b) => b.value === null ? b.note : count(b.value) + (b.ratio === null ? '' : '  ' + ratio(b.ratio)));
			const label = room(names, width, 0.3);
			return {
				grid: {left: label + 12, right: room(ends, width, 0.34) + 8, top: 8, bottom: 30},
				xAxis: axis({type: 'value', min: 0, splitNumber: width < 400 ? 2 : width < 500 ? 3 : 5, axisLabel: {formatter: count}}),
				yAxis: [
					axis({type: 'category', inverse: true, data: names, axisTick: {show: false}, splitLine: {show: false},
						axisLabel: {color: colour('ink'), width: label, overflow: 'truncate', interval: 0, hideOverlap: false}}),
					axis({type: 'category', inverse: true, data: ends, axisLine: {show: false}, axisTick: {show: false}, splitLine: {show: false},
						axisLabel: {color: colour('ink'), interval: 0, hideOverlap: false}}),
				],
				tooltip: {
					trigger: 'axis', axisPointer: {type: 'shadow'},
					formatter: ([p]) => {
						const b = rows[p.dataIndex];
						return tip(names[p.dataIndex], b.value === null ? [[b.note, '']] : [
							['median', count(b.value) + ' ops/s'], ['to the baseline', ratio(b.ratio)],
							...(b.rounds || []).map((v, i) => ['round ' + (i + 1), count(v)])]);
					},
				},
				series: [
					{type: 'bar', barMaxWidth: 20, data: rows.map((b) => ({value: b.value === null ? '-' : b.value, itemStyle: {color: ofPool(b.pool), borderRadius: [0, 3, 3, 0]}}))},
					{type: 'scatter', symbolSize: 7, z: 3, silent: true,
						itemStyle: {color: colour('card'), borderColor: colour('ink'), borderWidth: 1.3},
						data: rows.flatMap((b, i) => (b.rounds || []).length > 1 ? b.rounds.filter((v) => v !== null).map((v) => [v, i]) : [])},
				],
			};
		},

		// The axis of percentiles stretches what is rare: 90 %, 99 % and 99.9 % are equally far apart.
		quantiles(c, width) {
			const curves = c.curves.filter((l) => shown(l.pool));
			let end = 100;
			for (const l of c.curves) {
				for (const [share] of l.points) {
					if (share < 1) end = Math.max(end, 10 ** Math.ceil(Math.log10(1 / (1 - share)) + 0.02));
				}
			}
			const xOf = (share) => share >= 1 ? end : Math.min(end, 1 / (1 - share));
			const at = (l, x) => l.points.find(([share]) => xOf(share) >= x - 1e-9);
			return {
				grid: {left: 58, right: 18, top: 14, bottom: 34},
				xAxis: axis({type: 'log', min: 1, max: end, axisLabel: {showMaxLabel: true,
					formatter: (v) => v >= end * 0.99 ? 'max' : v <= 1 ? '0 %' : String(Number((100 - 100 / v).toPrecision(8))) + ' %'}}),
				yAxis: axis({type: 'log', ...decades(c.curves.flatMap((l) => l.points.map((p) => p[1]))), axisLabel: {formatter: time}}),
				tooltip: {
					trigger: 'axis', axisPointer: {snap: false, label: {show: false}},
					formatter: (all) => {
						const x = all[0].axisValue;
						return tip(x >= end * 0.99 ? 'max' : percentile(1 - 1 / x), curves.map((l) => {
							const p = at(l, x);
							return [data.pools[l.pool], p ? time(p[1]) : none];
						}));
					},
				},
				series: curves.map((l) => ({
					...line(l.pool), showAllSymbol: true, data: l.points.map(([share, ns]) => [xOf(share), ns]),
					symbolSize: (_, p) => p.dataIndex % 8 === (3 * l.pool) % 8 ? 8 : 0,
				})),
			};
		},

		lines(c, width) {
			const curves = c.curves.filter((l) => shown(l.pool));
			const waits = c.unit === 'ns', all = c.curves.flatMap((l) => l.points.map((p) => p[1])).filter((v) => v !== null);
			// Over so much the small ones would lie on the axis.
			const log = waits || Math.max(...all) > 50 * Math.min(...all);
			return {
				grid: {left: 58, right: 18, top: 14, bottom: 46},
				xAxis: axis({type: 'category', data: c.x, name: c.xname, nameLocation: 'middle', nameGap: 28, boundaryGap: false}),
				yAxis: axis({...(log ? {type: 'log', ...decades(all)} : {type: 'value', min: 0}), axisLabel: {formatter: written[c.unit]}}),
				tooltip: {
					trigger: 'axis',
					formatter: (ps) => tip(c.x[ps[0].dataIndex] + ' ' + c.xname, curves.map((l) => [data.pools[l.pool], written[c.unit](l.points[ps[0].dataIndex][1])])),
				},
				series: curves.map((l) => ({...line(l.pool), symbolSize: 8, data: l.points.map((p) => p[1] === null ? '-' : p[1])})),
			};
		},

		heat(c, width) {
			const h = c.heat, logs = c.unit === 'ratio', cells = h.cells.filter((v) => v[2] !== null && v[2] > 0);
			const values = cells.map((v) => v[2]);
			const wide = values.length && Math.max(...values) > 20 * Math.min(...values);
			const scale = (v) => logs ? Math.log2(v) : wide ? Math.log10(v) : v;
			let low, high, ramp, ends;
			if (logs) {
				high = Math.min(3, Math.max(0.5, ...values.map((v) => Math.abs(scale(v)))));
				low = -high;
				ramp = [colour('slow'), colour('even'), colour('fast')];
				ends = ['faster', 'slower'];
			} else {
				low = Math.min(...values.map(scale));
				high = Math.max(...values.map(scale));
				if (low === high) low -= 1;
				ramp = [colour('heat0'), colour('heat1'), colour('heat2')];
				ends = [count(Math.max(...values)), count(Math.min(...values))];
			}
			const paint = (v) => {
				const t = 2 * Math.min(1, Math.max(0, (scale(v) - low) / (high - low)));
				return t <= 1 ? mix(ramp[0], ramp[1], t) : mix(ramp[1], ramp[2], t - 1);
			};
			const left = room(h.rows, width, 0.36) + (h.row_name && h.row_name !== 'workload' ? 30 : 12);
			const named = h.col_name && h.col_name !== 'pool';
			const each = (width - left - 12) / h.columns.length;
			const turned = h.columns.some((n) => 7.2 * n.length > each - 6);
			return {
				grid: {left, right: 12, top: 8, bottom: 60 + (turned ? 40 : 0) + (named ? 18 : 0)},
				xAxis: axis({type: 'category', data: h.columns, name: named ? h.col_name : '', nameLocation: 'middle', nameGap: 26,
					axisTick: {show: false}, splitLine: {show: false},
					axisLabel: {interval: 0, hideOverlap: false, color: colour('ink'), rotate: turned ? 40 : 0, width: turned ? 78 : each, overflow: 'truncate'}}),
				yAxis: axis({type: 'category', inverse: true, data: h.rows, name: h.row_name === 'workload' ? '' : h.row_name, nameLocation: 'middle', nameGap: left - 16,
					axisTick: {show: false}, splitLine: {show: false},
					axisLabel: {interval: 0, hideOverlap: false, color: colour('ink'), width: left - 18, overflow: 'truncate'}}),
				visualMap: {
					type: 'continuous', seriesIndex: 0, min: low, max: high, dimension: 2, calculable: false, orient: 'horizontal', left: 'center', bottom: 0, itemWidth: 10, itemHeight: Math.min(180, width / 3),
					text: ends, textStyle: {color: colour('soft'), fontSize: 12}, inRange: {color: ramp},
				},
				tooltip: {formatter: (p) => p.seriesIndex ? '' : tip(h.rows[p.value[1]] + ', ' + h.columns[p.value[0]], [['', written[c.unit](cells[p.dataIndex][2])]])},
				series: [{
					type: 'heatmap', itemStyle: {borderColor: colour('card'), borderWidth: 2, borderRadius: 3},
					emphasis: {itemStyle: {borderColor: colour('ink')}},
					data: cells.map((v) => ({
						value: [v[0], v[1], scale(v[2])],
						label: {show: each >= 38, fontSize: 12, color: inkOn(paint(v[2])), formatter: () => written[c.unit](v[2])},
					})),
				}, {
					type: 'scatter', symbolSize: 1, itemStyle: {color: 'transparent'}, silent: true, label: {show: true, formatter: none, fontSize: 12, color: colour('soft')},
					data: h.rows.flatMap((_, y) => h.columns.map((_, x) => [x, y])).filter(([x, y]) => !cells.some((v) => v[0] === x && v[1] === y)),
				}],
			};
		},

		// Three charts over one axis of time.
		timeline(c, width) {
			const t = c.time, most = t.most, left = 58, right = 16, end = most.at || 1;
			const pairs = (values) => t.at.map((x, i) => [x, values[i]]);
			const grids = [{top: 26, height: 118}, {top: 172, height: 100}, {top: 300, height: 100}];
			const x = (gridIndex, last) => axis({gridIndex, type: 'value', min: 0, max: end, splitLine: {show: false}, axisTick: {show: last},
				axisPointer: {label: {show: false}}, axisLabel: {show: last, formatter: (v) => digits(v) + ' s', showMaxLabel: false}});
			const px = (at) => left + (width - left - right) * at / end;
			const marks = (t.marks || []).map((m, i, all) => {
				const next = i + 1 < all.length ? px(all[i + 1].at) : width - right;
				const text = (i + 1) + ' ' + m.text;
				return {xAxis: m.at, name: m.text, label: {formatter: 6.6 * text.length < next - px(m.at) + (i + 1 < all.length ? -8 : 0) ? text : String(i + 1)}};
			});
			const lines = (labelled) => ({
				silent: true, symbol: 'none', animation: false, lineStyle: {color: colour('ink'), width: 1, type: [3, 3], opacity: 0.7},
				label: {show: labelled, position: 'end', align: 'left', color: colour('ink'), fontSize: 12, distance: 4}, data: marks,
			});
			const series = (i, name, tone, dash, values, more) => ({
				type: 'line', xAxisIndex: i, yAxisIndex: i, name, color: colour(tone), showSymbol: false, connectNulls: false,
				lineStyle: {width: 1.8, type: dashes[dash]}, data: pairs(values), ...more,
			});
			const waits = most.p99 !== null && most.p99 > 0;
			return {
				grid: grids.map((g) => ({left, right, ...g})),
				xAxis: [x(0, false), x(1, false), x(2, true)],
				yAxis: [
					axis({gridIndex: 0, type: 'value', ...even(most.count), axisLabel: {formatter: count}}),
					axis({gridIndex: 1, type: 'value', ...even(most.rate), axisLabel: {formatter: count}}),
					axis({gridIndex: 2, type: 'log', ...decades(waits ? [most.least, most.p99] : []), axisLabel: {formatter: time}}),
				],
				axisPointer: {link: [{xAxisIndex: 'all'}]},
				tooltip: {
					trigger: 'axis',
					formatter: (ps) => {
						const i = ps[0].dataIndex;
						return tip(t.at[i].toFixed(2) + ' s', [
							['open', String(t.open[i])], ['in use', count(t.in_use[i])], ['waiting', count(t.waiting[i])],
							['ops/s', count(t.ops[i])], ['errors/s', count(t.errors[i])], ['p99 wait', time(t.p99[i])]]);
					},
				},
				series: [
					series(0, 'open', 'c0', 0, t.open, {step: 'end', markLine: lines(true)}),
					series(0, 'in use', 'c2', 1, t.in_use, {areaStyle: {opacity: 0.12}}),
					series(0, 'waiting', 'c1', 2, t.waiting, {}),
					series(1, 'ops/s', 'c0', 0, t.ops, {areaStyle: {opacity: 0.12}, markLine: lines(false)}),
					series(1, 'errors/s', 'c1', 1, t.errors, {}),
					series(2, 'p99 wait', 'c3', 0, t.p99, {markLine: lines(false)}),
				],
			};
		},
	};

	// even is an axis from 0 to a round number that is not less than v, in three or four steps.
	const even = (v) => {
		const power = 10 ** Math.floor(Math.log10(v > 0 ? v : 1));
		const [times, interval] = [[1, 0.5], [1.5, 0.5], [2, 0.5], [3, 1], [4, 1], [6, 2], [8, 2], [10, 5]].find(([m]) => m * power >= v * 0.9999);
		return {min: 0, max: times * power, interval: interval * power};
	};

	const render = (box) => {
		const c = data.charts[box.id], width = printing ? paper(box) : box.clientWidth;
		if (!c) return;
		let d = drawn.get(box.id);
		if (!d) {
			d = {chart: echarts.init(box, null, {renderer: 'svg', width, height: box.clientHeight})};
			drawn.set(box.id, d);
		} else {
			d.chart.resize({width, height: box.clientHeight, silent: true});
		}
		d.width = width;
		const option = base(box.getAttribute('aria-label')), own = draw[c.kind](c, width);
		d.chart.setOption({...option, ...own, tooltip: {...option.tooltip, ...own.tooltip}}, {notMerge: !live || !d.once, replaceMerge: ['series', 'xAxis', 'yAxis', 'grid']});
		d.once = true;
	};
	// A page of A4, less its margins, at 96 px per inch; two charts stand side by side.
	const paper = (box) => box.closest('figure').classList.contains('wide') ? 700 : 340;

	const boxes = () => [...document.querySelectorAll('.chart')];
	// What is in something closed may have a size all the same.
	const visible = (box) => box.clientWidth >= 10 && !box.closest('details:not([open])');

	// What is on screen comes first, and the rest when there is time: a long page stays quick.
	let queue = [], timer = 0;
	const step = () => {
		timer = 0;
		const until = performance.now() + 30;
		while (queue.length && performance.now() < until) render(queue.shift());
		if (queue.length) timer = setTimeout(step, 0);
		else root.dataset.charts = 'drawn';
	};
	const redraw = (some) => {
		style = getComputedStyle(root);
		delete root.dataset.charts;
		const near = (box) => {
			const r = box.getBoundingClientRect();
			return r.bottom > 0 && r.top < innerHeight ? 0 : 1;
		};
		const all = (some || boxes()).filter(visible);
		queue = [...all.filter((b) => !near(b)), ...all.filter(near), ...(some ? queue.filter((b) => !all.includes(b)) : [])];
		if (!timer) timer = setTimeout(step, 0);
	};
	const redrawNow = () => {
		style = getComputedStyle(root);
		boxes().filter(visible).forEach(render);
	};

	const buttons = () => {
		// What shows one pool alone goes with it.
		for (const box of document.querySelectorAll('.chart')) {
			const of = data.charts[box.id]?.pool;
			if (of !== undefined) box.closest('figure').hidden = off.has(data.pools[of]);
		}
		for (const b of document.querySelectorAll('[data-pool]')) {
			b.disabled = false;
			b.setAttribute('aria-pressed', String(!off.has(data.pools[b.dataset.pool])));
		}
		// What scrolls can be reached with the keyboard.
		for (const box of document.querySelectorAll('.scroll')) {
			if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
			else box.removeAttribute('tabindex');
		}
	};

	document.addEventListener('click', (e) => {
		const b = e.target.closest('[data-pool]');
		if (!b) return;
		const name = data.pools[b.dataset.pool];
		if (!off.delete(name)) off.add(name);
		buttons();
		redraw();
	});
	document.addEventListener('toggle', (e) => {
		if (!e.target.open) return;
		buttons();
		redraw([...e.target.querySelectorAll('.chart')].filter((box) => !drawn.has(box.id) || drawn.get(box.id).width !== box.clientWidth));
	}, true);
	dark.addEventListener('change', () => redraw());
	still.addEventListener('change', () => redraw());
	let sizing = 0;
	addEventListener('resize', () => {
		clearTimeout(sizing);
		sizing = setTimeout(() => {
			buttons();
			redraw(boxes().filter((box) => !drawn.has(box.id) || drawn.get(box.id).width !== box.clientWidth));
		}, 100);
	});
	addEventListener('beforeprint', () => {
		printing = true;
		root.classList.add('paper'); // its colours, before the print style sheet holds
		redrawNow();
	});
	addEventListener('afterprint', () => {
		printing = false;
		root.classList.remove('paper');
		redraw();
	});

	root.classList.add('drawn');
	buttons();
	redraw();

	// A live page is told when there is something new, and asks for it at its own pace.
	if (live) {
		const bar = document.getElementById('live-bar'), now = document.getElementById('live-now'), status = document.getElementById('live-state');
		let have = Number(document.body.dataset.live), want = 0, busy = false, ended = false;
		const say = (text) => {
			if (status.textContent !== text) status.textContent = text;
		};
		const fetchNew = async () => {
			if (busy || have >= want || document.hidden) return;
			busy = true;
			try {
				const answer = await fetch('content', {cache: 'no-store'});
				if (!answer.ok) throw new Error(answer.statusText);
				const next = await answer.json();
				if (next.version > have) {
					replace(next);
					have = next.version;
				}
			} catch {
				// The stream says whether the program is still there.
			}
			// So that a page that is slow to draw has time for its reader.
			setTimeout(() => {
				busy = false;
				fetchNew();
			}, 1000);
		};
		const replace = (next) => {
			const page = document.getElementById('page');
			const fresh = document.createElement('template');
			fresh.innerHTML = next.html;
			const active = page.contains(document.activeElement) ? document.activeElement : null;
			const path = active && active.closest('[id]'), inside = active && (active.dataset.pool ? '[data-pool="' + active.dataset.pool + '"]' : active.localName);
			const y = scrollY;
			for (const d of page.querySelectorAll('details[open]')) {
				const same = fresh.content.getElementById(d.id);
				if (same) same.open = true;
			}
			const kept = new Set();
			for (const box of fresh.content.querySelectorAll('.chart')) {
				const old = document.getElementById(box.id);
				if (!old) continue;
				kept.add(box.id);
				old.setAttribute('aria-label', box.getAttribute('aria-label'));
				old.style.height = box.style.height;
				box.replaceWith(old);
			}
			for (const [id, d] of drawn) {
				if (kept.has(id)) continue;
				d.chart.dispose();
				drawn.delete(id);
			}
			data = next.charts;
			page.replaceChildren(fresh.content);
			if (inside) {
				const again = path && document.getElementById(path.id) || page;
				const at = again.matches(inside) ? again : again.querySelector(inside);
				if (at) at.focus({preventScroll: true});
			}
			scrollTo({top: y, behavior: 'instant'});
			buttons();
			redraw();
		};
		document.addEventListener('visibilitychange', fetchNew);
		const stream = new EventSource('events');
		stream.onmessage = (e) => {
			const s = JSON.parse(e.data);
			now.textContent = s.words;
			bar.setAttribute('aria-valuemax', s.all);
			bar.setAttribute('aria-valuenow', s.done);
			bar.setAttribute('aria-valuetext', s.words);
			bar.firstElementChild.style.width = s.percent + '%';
			want = s.version;
			if (want < have) have = -1; // another run, at the same address
			if (s.ended) {
				ended = true;
				stream.close();
				// The last content comes along: nobody may be there to be asked for it.
				if (have < want) replace(s.content);
				have = want;
			}
			say(s.ended ? 'The run has ended. This page stays as it is.' : '');
			fetchNew();
		};
		stream.onerror = () => {
			if (!ended) say('No connection to lidobench: the figures are those of before. Trying again.');
		};
	}
})();
