"use strict";

const POLL = 2000; // ms
const GRID = 240; // points of a drawn curve
const dark = matchMedia("(prefers-color-scheme: dark)");
const views = new Map(); // by folder and environment
let stamp = 0;

const number = (value) => (value === null || value === undefined ? "-" : Number(value).toPrecision(4));
const colour = (i) => `hsl(${(210 + i * 137.508) % 360} 65% ${dark.matches ? 68 : 42}%)`;
const word = (state) => (state === "cut short" ? "cut" : state);

// One group of cells: its head, its curves, its table. It keeps which labels are hidden and which cell is chosen.
class View {
  constructor() {
    this.lines = new Map(); // by name: label, x, y
    this.hidden = new Set();
    this.chosen = null;
    this.shown = "";
    this.head = element("div");
    this.chart = element("div", { className: "chart" });
    this.read = element("p", { className: "read quiet" });
    this.table = element("div", { className: "wide" });
    this.detail = element("div", { className: "detail", hidden: true });
    this.section = element("section", {}, this.head, this.chart, this.read, this.table, this.detail);
  }

  update(group) {
    this.group = group;
    const fresh = this.take(group.cells);
    const shown = JSON.stringify({ ...group, cells: group.cells.map((cell) => ({ ...cell, curve: null })) });
    if (shown !== this.shown) this.draw(); // what is the same stays, with the focus in it
    if (fresh) this.plot();
    this.shown = shown;
  }

  // Adds the new points to the curves; whether there were any.
  take(cells) {
    let fresh = false;
    for (const cell of cells.filter((cell) => cell.key)) {
      if (!this.lines.has(cell.name)) this.lines.set(cell.name, { label: cell.label, x: [], y: [] });
      const line = this.lines.get(cell.name);
      fresh ||= cell.curve.x.length > 0 || cell.curve.from < line.x.length;
      for (const axis of ["x", "y"]) line[axis] = [...line[axis].slice(0, cell.curve.from), ...cell.curve[axis]];
    }
    return fresh;
  }

  get labels() {
    return [...new Set(this.group.cells.map((cell) => cell.label))];
  }

  draw() {
    const { folder, env, bench, running, page, metric, cells } = this.group;
    const counts = ["running", "done", "failed", "cut short"].map((state) => {
      const count = cells.filter((cell) => cell.state === state).length;
      return count ? element("span", { className: word(state) }, `${count} ${state}`) : null;
    });
    this.head.replaceChildren(
      element("h2", {}, folder, " ", element("span", { className: "quiet" }, env)),
      element("p", { className: "counts" }, ...counts, this.group.not_begun ? element("span", {}, `${this.group.not_begun} not begun`) : null,
        bench && running ? element("span", {}, "the bench goes on") : null,
        page ? element("a", { href: `/files/${page}` }, "report") : null),
    );
    const seeds = [...new Set(cells.map((cell) => cell.seed))].sort((a, b) => a - b);
    const rows = this.labels.map((label, i) =>
      element("tr", {}, element("td", {}, this.label(label, i)), ...seeds.map((seed) => {
        const cell = cells.find((one) => one.label === label && one.seed === seed);
        return element("td", {}, cell ? this.cell(cell) : "");
      })));
    const heads = seeds.map((seed) => element("th", {}, seed === null ? "" : `seed ${seed}`));
    const top = element("tr", {}, element("th", {}, metric ? `best ${metric}` : ""), ...heads);
    this.table.replaceChildren(element("table", { className: "cells" }, top, ...rows));
    for (const label of this.table.querySelectorAll(".label")) label.style.setProperty("--colour", label.dataset.colour);
    this.explain();
  }

  label(label, i) {
    const hidden = this.hidden.has(label);
    const made = element("button", {
      className: `label ${hidden ? "hidden" : ""}`, title: "show or hide its curves", "aria-pressed": String(!hidden),
      onclick: () => {
        this.hidden[hidden ? "delete" : "add"](label);
        this.draw();
        this.plot();
      },
    }, label);
    made.dataset.colour = colour(i);
    return made;
  }

  cell(cell) {
    const share = cell.progress === null ? "" : `${Math.floor(100 * cell.progress)} %`;
    const going = cell.retraining ? `retraining ${share}` : share || "running";
    const text = { running: going, done: number(cell.best), failed: "failed", "cut short": `cut short ${share}` }[cell.state];
    const id = `${cell.label} ${cell.seed}`;
    const bar = cell.state === "running" && cell.progress !== null ? element("progress", { value: cell.progress }) : null;
    return element("button", {
      className: `cell ${word(cell.state)}`, title: `${id}: ${cell.state}`, "aria-pressed": String(this.chosen === id),
      onclick: () => {
        this.chosen = this.chosen === id ? null : id;
        this.draw();
      },
    }, text, bar);
  }

  // What there is to say of the chosen cell.
  explain() {
    const cell = this.group.cells.find((one) => this.chosen === `${one.label} ${one.seed}`);
    this.detail.hidden = !cell;
    if (!cell) return;
    const facts = [cell.state, cell.retraining ? "training from scratch on what it found" : null,
      cell.step === undefined || cell.step === null ? null : `step ${cell.step}`,
      cell.best === undefined || cell.best === null ? null : `best ${this.group.metric} ${number(cell.best)}`];
    const links = [
      cell.page ? element("a", { href: `/files/${cell.page}` }, "its page") : null,
      cell.snapshot ? element("a", { href: `/playground?${new URLSearchParams({ run: cell.key })}` }, "playground") : null];
    const told = [
      element("p", {}, element("b", {}, cell.name ?? `${cell.label}, seed ${cell.seed}`), ": ",
        facts.filter(Boolean).join(", "), ...links.flatMap((link) => (link ? [" ", link] : []))),
      cell.reason ? element("p", { className: "failed" }, cell.reason) : null,
      cell.output ? element("pre", {}, cell.output) : null];
    this.detail.replaceChildren(...told.filter(Boolean));
  }

  plot() {
    this.plotted?.destroy();
    const lines = [...this.lines].filter(([, line]) => !this.hidden.has(line.label) && line.x.length > 0);
    this.chart.hidden = this.read.hidden = lines.length === 0;
    if (lines.length === 0) return;
    const style = getComputedStyle(document.body), grid = { stroke: style.getPropertyValue("--line"), width: 1 };
    const axis = { stroke: style.color, grid, ticks: grid, font: "12px system-ui, sans-serif" };
    const series = lines.map(([name, line]) => ({
      label: name, stroke: colour(this.labels.indexOf(line.label)), width: 1.5, pxAlign: 0, points: { show: false } }));
    const at = (u, i, k) => `${lines[i - 1][0]}: ${this.group.metric} ${number(u.data[i][k])} at ${number(u.data[0][k])} training steps`;
    let near = null;
    const tell = (u) => { this.read.textContent = near && u.cursor.idx !== null ? at(u, near, u.cursor.idx) : this.about; };
    this.about = `${this.group.metric} by training steps, probes included`;
    this.read.textContent = this.about;
    this.plotted = new uPlot({
      width: this.chart.clientWidth, height: 260, legend: { show: false }, scales: { x: { time: false } },
      cursor: { focus: { prox: 30 }, drag: { x: true, y: false } }, focus: { alpha: 0.25 },
      axes: [{ ...axis, size: 36 }, { ...axis, size: 60 }], series: [{}, ...series],
      hooks: { setCursor: [tell], setSeries: [(u, i) => { near = i; tell(u); }] },
    }, aligned(lines.map(([, line]) => line)), this.chart);
  }
}

// Curves on one grid, as uPlot wants them, linear between their points. The untrained network would squeeze the rest.
function aligned(lines) {
  const kept = lines.map(({ x, y }) => (x.length > 1 ? { x: x.slice(1), y: y.slice(1) } : { x, y }));
  const low = Math.min(...kept.map(({ x }) => x[0])), high = Math.max(...kept.map(({ x }) => x.at(-1)));
  const grid = Array.from({ length: GRID }, (_, k) => low + ((high - low) * k) / (GRID - 1));
  return [high > low ? grid : [low], ...kept.map((line) => (high > low ? grid : [low]).map(between(line)))];
}

function between({ x, y }) {
  let i = 0;
  return (at) => {
    while (i < x.length - 1 && x[i + 1] <= at) i += 1;
    if (at < x[0] || at > x.at(-1)) return null;
    return i === x.length - 1 ? y[i] : y[i] + ((y[i + 1] - y[i]) * (at - x[i])) / (x[i + 1] - x[i]);
  };
}

function show({ groups, whole }) {
  const main = document.getElementById("runs"), names = groups.map((group) => `${group.folder} ${group.env}`);
  for (const name of views.keys()) if (!names.includes(name)) views.delete(name);
  groups.forEach((group, i) => {
    if (!views.has(names[i])) views.set(names[i], new View());
    const { section } = views.get(names[i]);
    if (main.children[i] !== section) main.insertBefore(section, main.children[i] ?? null);
    views.get(names[i]).update(group);
  });
  while (main.children.length > groups.length) main.lastChild.remove();
  say(groups.length === 0 ? "no run yet" : whole ? "" : "the folders are too many: not all were looked at");
}

async function poll() {
  try {
    const found = await (await ask(`/api/overview?since=${stamp}`)).json();
    stamp = found.stamp;
    show(found);
  } catch (error) {
    say(`no answer: ${error.message}`);
  }
  setTimeout(poll, POLL);
}

const again = () => { for (const view of views.values()) { view.draw(); view.plot(); } };
dark.addEventListener("change", again);
addEventListener("resize", () => { clearTimeout(again.timer); again.timer = setTimeout(again, 200); });
poll();
