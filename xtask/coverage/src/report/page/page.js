(() => {
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);
const GROUPS = {
  passed: 'ok', xpassed: 'ok', failed: 'bad', error: 'bad', crashed: 'bad', 'timed out': 'bad',
  skipped: 'skip', xfailed: 'skip', retried: 'again',
};
document.documentElement.classList.add('js');

// ---- The tests, and which of them the search has found.

const tests = data.tests.map(([file, rest, slot, start, length, outcome, split], number) => ({
  id: rest === null ? data.files[file] : data.files[file] + '::' + rest,
  slot, start, length, end: start + length, split, number,
  outcome: data.outcomes[outcome], group: GROUPS[data.outcomes[outcome]] || 'ok', found: true,
}));
// They come in order of slot and start.
const lanes = Array.from({ length: data.slots }, () => []);
tests.forEach((test) => (lanes[test.slot] ||= []).push(test));
for (let slot = 0; slot < lanes.length; slot++) lanes[slot] ||= [];
const seconds = (ticks) => (ticks * data.tick).toFixed(2);
const took = (ticks) => ticks * data.tick < 0.1 ? (1000 * ticks * data.tick).toFixed(1) + ' ms' : seconds(ticks) + ' s';
const why = new Map();
document.querySelectorAll('details.failure').forEach((it) => why.has(it.dataset.id) || why.set(it.dataset.id, it));

// ---- The timeline.

const canvas = byId('canvas'), tip = byId('tip'), pen = canvas.getContext('2d');
const ROW = lanes.length > 32 ? 11 : lanes.length > 12 ? 17 : 22;
const TOP = 24, BAND = 16, LANES = TOP + BAND + 10;
const height = LANES + lanes.length * ROW + 6;
const first = Math.min(...lanes.filter((lane) => lane.length).map((lane) => lane[0].start));
const last = Math.max(0, ...lanes.map((lane) => lane.reduce((end, it) => Math.max(end, it.end), 0)));
const WHOLE = [0, Math.max(data.total, last, 1)];
const margin = (last - first) * 0.01 + 1;
const TESTS = tests.length ? [Math.max(0, first - margin), last + margin] : WHOLE;
let view = WHOLE, chosen = null, drag = null, width = 0, gutter = 0, ink = {}, due = false;

const x = (tick) => gutter + (tick - view[0]) / (view[1] - view[0]) * (width - gutter);
const tickAt = (px) => view[0] + (px - gutter) / (width - gutter) * (view[1] - view[0]);

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ['paper', 'ink', 'quiet', 'line', 'soft', 'ok', 'bad', 'again', 'skip', 'unit', 'mark',
    'p-environment', 'p-collection', 'p-tests', 'p-combine', 'p-other'];
  for (const name of names) ink[name] = style.getPropertyValue('--' + name).trim();
}

function resize() {
  const ratio = window.devicePixelRatio || 1;
  width = canvas.clientWidth || 600;
  gutter = (width < 520 ? 24 : 56) + (data.lanes ? 30 : 0);
  canvas.style.height = height + 'px';
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  draw();
}

function redraw() {
  if (!due) { due = true; requestAnimationFrame(() => { due = false; draw(); }); }
}

function draw() {
  pen.clearRect(0, 0, width, height);
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  drawAxis();
  pen.save();
  pen.beginPath(); pen.rect(gutter, 0, width - gutter, height); pen.clip();
  drawPhases();
  drawUnits();
  lanes.forEach(drawLane);
  drawChosen();
  if (drag && drag.moved) {
    pen.fillStyle = ink.mark; pen.globalAlpha = 0.12;
    pen.fillRect(Math.min(drag.from, drag.to), 0, Math.abs(drag.to - drag.from), height);
    pen.globalAlpha = 1;
  }
  pen.restore();
  drawNames();
  charts.forEach(drawChart);
}

// What is under the timeline shows the same time.
const charts = document.querySelectorAll('.plot svg');
function drawChart(svg) {
  const tall = svg.viewBox.baseVal.height, from = view[0] * data.tick;
  svg.setAttribute('viewBox', `${from} 0 ${view[1] * data.tick - from} ${tall}`);
}

function drawAxis() {
  const span = (view[1] - view[0]) * data.tick, rough = span / Math.max(2, (width - gutter) / 90);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  pen.textAlign = 'center';
  for (let n = Math.ceil(view[0] * data.tick / step); n * step <= view[1] * data.tick; n++) {
    const at = Math.round(x(n * step / data.tick)) + 0.5;
    pen.fillStyle = ink.line; pen.fillRect(at - 0.5, TOP - 6, 1, height - TOP);
    const label = (n * step).toFixed(digits) + ' s', half = pen.measureText(label).width / 2;
    pen.fillStyle = ink.quiet;
    if (at - half >= gutter - 8) pen.fillText(label, Math.min(at, width - half), 8);
  }
}

const PHASES = {
  environment: 'p-environment', collection: 'p-collection', tests: 'p-tests', 'collection and tests': 'p-tests',
};
function drawPhases() {
  pen.textAlign = 'left';
  for (const [name, start, end] of data.phases) {
    const from = Math.max(gutter, x(start)), to = Math.min(width, x(end));
    if (to <= from) continue;
    pen.fillStyle = ink[PHASES[name] || 'p-combine'];
    pen.globalAlpha = 0.3;
    pen.fillRect(from, TOP, Math.max(1, to - from - 1), BAND);
    pen.globalAlpha = 1;
    pen.fillStyle = ink.ink;
    if (pen.measureText(name).width + 10 < to - from) pen.fillText(name, from + 5, TOP + BAND / 2 + 0.5);
  }
}

function drawUnits() {
  pen.fillStyle = ink.unit;
  for (const [slot, start, end] of data.units) {
    if (end < view[0] || start > view[1]) continue;
    pen.fillRect(x(start), LANES + slot * ROW + 1, Math.max(0.5, x(end) - x(start)), ROW - 2);
  }
}

// Many tests can share a pixel: it is filled once, what was looked for after what was not, and
// what failed last.
function drawLane(lane, slot) {
  const top = LANES + slot * ROW + 3, tall = ROW - 6, marked = [];
  const begin = firstIn(lane, view[0]);
  for (const found of [false, true]) {
    let filled = -1;
    pen.globalAlpha = found ? 1 : 0.15;
    for (let at = begin; at < lane.length && lane[at].start <= view[1]; at++) {
      const test = lane[at];
      if (test.found !== found) continue;
      if (test.group === 'bad' || test.group === 'again') { marked.push(test); continue; }
      const from = x(test.start), wide = x(test.end) - from;
      const left = Math.max(from, filled), right = from + Math.max(0.6, wide - (wide > 3 ? 1 : 0));
      if (right <= left) continue;
      pen.fillStyle = ink[test.group];
      pen.fillRect(left, top, right - left, tall);
      filled = right;
    }
  }
  for (const test of marked) {
    const from = x(test.start), wide = Math.max(3, x(test.end) - from);
    pen.globalAlpha = test.found ? 1 : 0.15;
    pen.fillStyle = ink[test.group];
    pen.fillRect(from, top - 2, wide, tall + 4);
    // A notch, for those who do not see the colour.
    pen.fillStyle = ink.paper;
    if (wide > 8) { pen.beginPath(); pen.moveTo(from + 1, top - 2); pen.lineTo(from + 7, top - 2); pen.lineTo(from + 4, top + 2); pen.fill(); }
  }
  pen.globalAlpha = 1;
}

function drawChosen() {
  if (!chosen) return;
  const from = x(chosen.start), top = LANES + chosen.slot * ROW;
  pen.strokeStyle = ink.mark; pen.lineWidth = 1.5;
  pen.strokeRect(from - 1, top + 0.75, Math.max(4, x(chosen.end) - from + 2), ROW - 1.5);
}

// Of several machines the lanes have names of their own.
function nameOf(slot, short) {
  if (data.lanes) return data.lanes[slot].replace(', worker ', ' · ').replace(/^shard /, short ? '' : 'shard ');
  return (short ? '' : 'slot ') + (slot + 1);
}

function drawNames() {
  pen.textAlign = 'right';
  pen.fillStyle = ink.quiet;
  const short = width < 520;
  lanes.forEach((_, slot) => {
    if (ROW >= 15 || slot % 2 === 0) pen.fillText(nameOf(slot, short), gutter - 7, LANES + slot * ROW + ROW / 2);
  });
}

// The first test of a lane that has not ended before that moment.
function firstIn(lane, tick) {
  let low = 0, high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane[middle].end < tick) low = middle + 1; else high = middle;
  }
  return low;
}

function testAt(px, py) {
  const lane = lanes[Math.floor((py - LANES) / ROW)];
  if (!lane || !lane.length || py < LANES || px < gutter) return null;
  const at = firstIn(lane, tickAt(px)), reach = 4;
  const away = (test) => test ? Math.max(x(test.start) - px, px - x(test.end), 0) : Infinity;
  const near = [lane[at - 1], lane[at], lane[at + 1]].sort((a, b) => away(a) - away(b))[0];
  return away(near) <= reach ? near : null;
}

function zoom(from, to) {
  const least = 20, span = Math.max(least, to - from);
  from = Math.max(WHOLE[0], Math.min(from, WHOLE[1] - span));
  view = [from, Math.min(WHOLE[1], from + span)];
  if (chosen) tip.hidden = true;
  redraw();
}

function zoomBy(factor, around) {
  const centre = around ?? (chosen ? chosen.start + chosen.length / 2 : (view[0] + view[1]) / 2);
  zoom(centre - (centre - view[0]) * factor, centre + (view[1] - centre) * factor);
}

function choose(test, px) {
  chosen = test;
  tip.hidden = !test;
  if (test) {
    const line = (className, text) => Object.assign(document.createElement('span'), { className, textContent: text });
    const hint = why.has(test.id) ? ' · Enter or click: why' : '';
    tip.replaceChildren(line('id', test.id), line('', `${took(test.length)} · ${test.outcome} · ${data.lanes ? data.lanes[test.slot] : `slot ${test.slot + 1}, split ${test.split}`} · at ${seconds(test.start)} s${hint}`));
    const at = px ?? x(test.start + test.length / 2), top = LANES + (test.slot + 1) * ROW + 4;
    tip.style.top = top + 'px';
    tip.style.left = Math.max(0, Math.min(at - 40, width - tip.offsetWidth)) + 'px';
  }
  redraw();
}

function show(test) {
  if (test.start < view[0] || test.end > view[1]) {
    const span = Math.max(view[1] - view[0], test.length * 1.2), centre = test.start + test.length / 2;
    zoom(centre - span / 2, centre + span / 2);
  }
  choose(test);
}

function explain(test) {
  const details = test && why.get(test.id);
  if (!details) return;
  details.open = true;
  details.scrollIntoView({ block: 'start' });
  details.querySelector('summary').focus({ preventScroll: true });
}

const place = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
canvas.addEventListener('pointerdown', (event) => {
  const [px] = place(event);
  drag = { from: px, to: px, moved: false };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener('pointermove', (event) => {
  const [px, py] = place(event);
  if (!drag) { choose(testAt(px, py), px); return; }
  drag.to = Math.max(gutter, Math.min(width, px));
  drag.moved ||= Math.abs(drag.to - drag.from) > 5;
  redraw();
});
canvas.addEventListener('pointerup', (event) => {
  const [px, py] = place(event), was = drag;
  drag = null;
  if (was && was.moved) { choose(null); zoom(tickAt(Math.min(was.from, was.to)), tickAt(Math.max(was.from, was.to))); return; }
  const test = testAt(px, py);
  if (test && test === chosen && event.pointerType === 'mouse') explain(test);
  choose(test, px);
});
canvas.addEventListener('pointercancel', () => { drag = null; redraw(); });
canvas.addEventListener('pointerleave', () => { if (!drag && document.activeElement !== canvas) choose(null); });
canvas.addEventListener('dblclick', () => zoom(...WHOLE));
canvas.addEventListener('wheel', (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  zoomBy(event.deltaY > 0 ? 1.25 : 0.8, tickAt(place(event)[0]));
}, { passive: false });

const neighbour = (test, by) => lanes[test.slot][lanes[test.slot].indexOf(test) + by];
function otherLane(test, by) {
  for (let slot = test.slot + by; slot >= 0 && slot < lanes.length; slot += by) {
    const lane = lanes[slot];
    if (lane.length) return lane[Math.min(firstIn(lane, test.start + 1), lane.length - 1)];
  }
  return null;
}
const KEYS = {
  '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), '0': () => zoom(...WHOLE),
  Escape: () => { choose(null); zoom(...WHOLE); }, Enter: () => explain(chosen),
  ArrowLeft: () => chosen && neighbour(chosen, -1), ArrowRight: () => chosen && neighbour(chosen, 1),
  ArrowUp: () => chosen && otherLane(chosen, -1), ArrowDown: () => chosen && otherLane(chosen, 1),
};
canvas.addEventListener('keydown', (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const arrow = event.key.startsWith('Arrow');
  const next = arrow && !chosen ? lanes.find((lane) => lane.length)?.[0] : act();
  if (arrow && next) show(next);
});
document.querySelectorAll('[data-zoom]').forEach((button) => button.addEventListener('click', () => ({
  tests: () => zoom(...TESTS), all: () => zoom(...WHOLE), in: () => zoomBy(0.5), out: () => zoomBy(2),
})[button.dataset.zoom]()));

// ---- The table of tests.

const PAGE = 100, sorted = [...tests].sort((a, b) => b.length - a.length);
const query = byId('query'), outcome = byId('outcome'), more = byId('more');
let shown = 25;
[...data.outcomes].sort().forEach((name) => outcome.append(new Option(name, name)));

function list() {
  const words = query.value.toLowerCase().split(/\s+/).filter(Boolean), wanted = outcome.value;
  let found = 0;
  const rows = [];
  for (const test of sorted) {
    const id = words.length ? test.id.toLowerCase() : '';
    test.found = (!wanted || test.outcome === wanted) && words.every((word) => id.includes(word));
    if (test.found && found++ < shown) rows.push(row(test));
  }
  byId('tests').replaceChildren(...rows);
  byId('found').textContent = `${found.toLocaleString('en')} of ${tests.length.toLocaleString('en')}`;
  more.hidden = found <= shown;
  redraw();
}

function row(test) {
  const line = document.createElement('tr'), button = document.createElement('button');
  const cell = (text, className) => Object.assign(document.createElement('td'), { textContent: text, className });
  const name = cell('', 'id');
  button.type = 'button';
  button.textContent = test.id;
  button.addEventListener('click', () => { byId('timeline').scrollIntoView({ block: 'nearest' }); show(test); });
  name.append(button);
  line.append(cell(seconds(test.length), ''), name, cell(test.outcome, test.group));
  return line;
}

const search = () => { shown = 25; list(); };
query.addEventListener('input', search);
outcome.addEventListener('change', search);
query.form.addEventListener('submit', (event) => event.preventDefault());
more.addEventListener('click', () => { shown += PAGE; list(); });

// ---- Begin.

const recolour = () => { colours(); draw(); };
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolour);
matchMedia('print').addEventListener('change', recolour);
colours();
new ResizeObserver(resize).observe(canvas.parentElement);
resize();
list();
})();
