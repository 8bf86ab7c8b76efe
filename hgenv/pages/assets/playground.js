"use strict";

const STEPS = 1000, JUMPS = 20; // of a slider: continuous, and of a coordinate that makes samples jump
const USUAL = "hgenv/ShapeNormals-v0";
const asked = new URLSearchParams(location.search);
const what = asked.has("run") ? { run: asked.get("run") } : { env: asked.get("env") ?? USUAL };
const narrow = matchMedia("(max-width: 60rem)");
const rows = new Map(); // by the name of a coordinate: its parameters, sliders, element
let beta = {};

const columns = () => (narrow.matches ? 8 : 12);
const clamp = (c, value) => Math.min(c.high, Math.max(c.low, value));
const figure = (image, caption) => element("figure", {}, image, caption);

const samples = element("img", { id: "samples", alt: "samples at this beta, each with its ground truth below" });
const target = element("img", { id: "target", alt: "images of the target domain, each with its ground truth below" });
const cost = element("figcaption", {}, "24 samples at this beta");

// Pictures come one at a time; while one is made only the newest wish is kept.
const renderer = {
  busy: false, wanted: false,
  async render() {
    this.wanted = true;
    if (this.busy) return;
    this.busy = true;
    while (this.wanted) {
      this.wanted = false;
      const begun = performance.now();
      try {
        if (await picture(samples, "/api/samples", { ...what, beta, columns: columns() }))
          cost.textContent = `24 samples at this beta, in ${Math.round(performance.now() - begun)} ms`;
        else this.wanted = await pause(200); // another window was served instead
        say("");
      } catch (error) {
        say(error.message);
      }
    }
    this.busy = false;
  },
};

const pause = (ms) => new Promise((done) => setTimeout(() => done(true), ms));

// Shows the picture that is answered; whether there was one.
async function picture(image, address, value) {
  const answer = await ask(address, value);
  if (answer.status === 204) return false;
  const before = image.src;
  image.src = URL.createObjectURL(await answer.blob());
  await image.decode();
  URL.revokeObjectURL(before);
  return true;
}

function set(values) {
  for (const [name, value] of Object.entries(values)) {
    const { c, slider, box } = rows.get(name);
    beta[name] = clamp(c, value);
    slider.value = ((beta[name] - c.low) / (c.high - c.low)) * Number(slider.max);
    box.value = Number(beta[name].toPrecision(4));
  }
  renderer.render();
}

function coordinate(c) {
  const steps = c.discrete ? JUMPS : STEPS, about = `${c.name}: ${c.meaning}`;
  const slider = element("input", { type: "range", min: 0, max: steps, step: 1, "aria-label": about });
  const box = element("input", { type: "number", min: c.low, max: c.high, step: "any", "aria-label": `${about}, value` });
  slider.oninput = () => set({ [c.name]: c.low + ((c.high - c.low) * slider.valueAsNumber) / steps });
  box.onchange = () => set({ [c.name]: Number.isFinite(box.valueAsNumber) ? box.valueAsNumber : beta[c.name] });
  const range = `${Number(c.low.toPrecision(4))} to ${Number(c.high.toPrecision(4))}`;
  const row = element("div", { className: "coordinate", id: c.name },
    element("div", {}, c.label, " ", element("small", {}, c.meaning === c.label ? "" : c.meaning),
      element("small", { title: c.discrete ? "samples jump when it changes" : "" }, range, c.discrete ? ", jumps" : "")),
    slider, box);
  rows.set(c.name, { c, slider, box, row });
  return row;
}

function group({ name, meaning, coordinates }, open) {
  return element("details", { open },
    element("summary", {}, element("b", {}, name), " ",
      element("span", { className: "quiet" }, meaning, coordinates.length > 1 ? ` (${coordinates.length})` : "")),
    ...coordinates.map(coordinate));
}

// Shows the coordinates whose name or meaning has all the words.
function search(text, groups, open) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  groups.forEach((one, i) => {
    const own = one.coordinates.map((c) => {
      const about = `${c.name} ${one.meaning} ${c.meaning}`.toLowerCase();
      const hit = words.every((word) => about.includes(word));
      rows.get(c.name).row.hidden = !hit;
      return hit;
    });
    const folded = document.querySelectorAll("details")[i];
    folded.hidden = !own.includes(true);
    folded.open = words.length ? own.includes(true) : open;
  });
}

function save() {
  const file = new Blob([`${JSON.stringify(beta, null, 2)}\n`], { type: "application/json" });
  const link = element("a", { href: URL.createObjectURL(file), download: "beta.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Every environment, and every run that has found a beta.
async function choice() {
  const known = await (await ask("/api/environments")).json();
  const { groups } = await (await ask(`/api/overview?since=${Number.MAX_SAFE_INTEGER}`)).json();
  const option = (name, value, title) =>
    element("option", { value: new URLSearchParams({ [name]: value }), selected: what[name] === value }, title);
  const runs = groups.flatMap((one) => one.cells).filter((cell) => cell.snapshot);
  const made = element("select", { id: "choice", "aria-label": "environment or run" },
    element("optgroup", { label: "environments" }, ...known.map(({ env, summary }) => option("env", env, `${env}: ${summary}`))),
    element("optgroup", { label: "runs" }, ...runs.map(({ key, name }) => option("run", key, name))));
  made.onchange = () => { location.search = made.value; };
  return made;
}

async function open() {
  const main = document.getElementById("playground"), chosen = await choice();
  main.append(element("div", { className: "choice" }, chosen));
  const { env, found, groups } = await (await ask(`/api/coordinates?${new URLSearchParams(what)}`)).json();
  const all = groups.flatMap((one) => one.coordinates), unfolded = all.length <= 40;
  const of = (value) => Object.fromEntries(all.map((c) => [c.name, value(c)]));
  const button = (text, onclick) => element("button", { onclick }, text);
  const field = element("input", { type: "search", placeholder: `search ${all.length} coordinates`, "aria-label": "search" });
  field.oninput = () => search(field.value, groups, unfolded);
  main.append(
    element("div", { className: "pictures" }, figure(samples, cost), figure(target, element("figcaption", {}, "the target domain"))),
    element("div", { className: "controls" },
      element("div", { className: "buttons" },
        button("start", () => set(of((c) => c.start))),
        found ? button("the run's best", () => set(of((c) => c.found))) : null,
        button("random", () => set(of((c) => c.low + (c.high - c.low) * Math.random()))),
        button("save beta.json", save)),
      element("p", { className: "quiet" }, "A run starts there by ", element("code", {}, `hgenv run hybrid-gradient --env ${env} --start beta.json`)),
      all.length > 12 ? element("div", { className: "choice" }, field) : null,
      ...groups.map((one) => group(one, unfolded))));
  say(`${env} is made ready ...`);
  while (!(await picture(target, "/api/target", { ...what, columns: columns() }))) await pause(200);
  set(of((c) => c.found ?? c.start));
  narrow.addEventListener("change", () => {
    picture(target, "/api/target", { ...what, columns: columns() });
    renderer.render();
  });
}

open().catch((error) => say(error.message));
