// What a page does when it is touched: charts (with uPlot), tables that sort, pictures that grow.
// pages.prepare(element) does it for what is put in later.
"use strict";
const pages = (() => {
  const COLOURS = 10, DASHES = [[], [7, 4], [2, 3]];
  const make = (name, attributes, ...children) => {
    const found = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
    found.append(...children);
    return found;
  };
  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // 1.5k; a tenth is 0.1, and never 100m.
  const short = value => {
    if (value == null) return "";
    const size = Math.abs(value);
    for (const [unit, of] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
      if (size >= of) return +(value / of).toPrecision(5) + unit;
    return size > 0 && size < 1e-4 ? value.toExponential(2).replace(/\.?0+e/, "e") : String(+value.toPrecision(5));
  };

  // -- charts

  const styleOf = line => typeof line.colour === "string"
    ? { name: `--${line.colour}`, dash: [], width: 3 }
    : { name: `--line-${line.colour % COLOURS}`, dash: DASHES[Math.floor(line.colour / COLOURS) % 3], width: 1.75 };

  // The lines of a chart over one x axis as uPlot's columns: x, then y, low and high of every line.
  const columns = (content, axis, log) => uPlot.join(content.series.map(line => {
    const kept = line.x[axis].map((x, i) => i).filter(i => line.x[axis][i] != null && (!log || line.x[axis][i] > 0));
    const of = values => kept.map(i => values[i]);
    return [of(line.x[axis]), of(line.y), ...(line.band ? line.band.map(of) : [kept.map(() => null), kept.map(() => null)])];
  }));

  const seriesOf = content => content.series.flatMap(line => {
    const { name, dash, width } = styleOf(line), edge = { width: 0, points: { show: false } };
    const middle = { stroke: () => css(name), dash, width, points: { size: 5, fill: () => css(name) } };
    return [middle, edge, edge];
  });

  const bandsOf = content => content.series.map((line, i) => ({
    series: [3 * i + 3, 3 * i + 2], fill: () => css(styleOf(line).name) + "26",
  })).filter((_, i) => content.series[i].band);

  const axisOf = more => ({
    stroke: () => css("--ink"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false },
    font: "12px system-ui, sans-serif", labelFont: "13px system-ui, sans-serif", labelSize: 24,
    values: (_, splits) => splits.map(short), ...more,
  });

  // y follows the lines that are shown, inside the frame that the chart asks for, unless all is to be seen.
  const rangeOf = (content, now) => (_, low, high) => {
    if (low == null) return [0, 1];
    if (content.frame && !now.all) [low, high] = [Math.max(low, content.frame[0]), Math.min(high, content.frame[1])];
    return uPlot.rangeNum(Math.min(low, high), Math.max(low, high), 0.06, true);
  };

  const optionsOf = (content, now, rows, readout) => ({
    padding: [10, 12, 0, 0],
    legend: { show: false },
    focus: { alpha: content.series.length > 3 ? 0.25 : 1 },
    cursor: {
      drag: { x: true, y: true, uni: 30 },
      points: { size: (_, k) => k % 3 === 1 ? 7 : 0 },  // not on the edges of bands
      focus: { prox: 24, dist: (_, k, __, value, pointer) => k % 3 === 1 ? value - pointer : Infinity },
      bind: { dblclick: (_, __, reset) => event => { now.all = !now.zoomed && !now.all; now.zoomed = false; reset(event); } },
    },
    scales: { x: now.log ? { time: false, distr: 3, range: logRange } : { time: false }, y: { range: rangeOf(content, now) } },
    axes: [axisOf({ label: content.x[now.axis], space: 60, size: 28, ...(now.log ? { filter: logTicks } : {}) }), axisOf({ label: content.y, size: 58 })],
    series: [{}, ...seriesOf(content).map((one, k) => ({ ...one, show: !now.hidden.has(Math.floor(k / 3)) }))],
    bands: bandsOf(content),
    hooks: {
      setSelect: [({ select }) => { now.zoomed ||= select.width > 0 || select.height > 0; }],
      setCursor: [u => read(u, content, now, rows, readout)],
      setSeries: [(_, k, { focus }) => focus != null && rows.forEach((row, i) =>
        row.classList.toggle("near", rows.length > 1 && k != null && Math.floor((k - 1) / 3) === i))],
    },
  });

  // A logarithmic axis ends where its lines do, not at the next power of ten, and names 1, 2 and 5 where there is room.
  const logRange = (_, low, high) => {
    if (low == null || low === high) return uPlot.rangeLog(low ?? 1, high ?? 10, 10, true);
    const unit = 10 ** Math.floor(Math.log10(low));
    return [Math.floor(low / unit + 1e-9) * unit, high];
  };
  const logTicks = (u, splits) => {
    const room = u.bbox.width / devicePixelRatio / Math.log10(u.scales.x.max / u.scales.x.min);
    return splits.map(x => (room > 150 ? "125" : "1").includes(x.toExponential(5)[0]) || splits.length < 4 ? x : null);
  };

  const sizeOf = place => ({ width: place.clientWidth, height: place.clientWidth < 500 ? 240 : 300 });

  // now: what the reader has chosen. all: to see what is outside the frame.
  function chart(figure) {
    const content = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
    const now = { axis: Object.keys(content.x)[0], log: content.log, all: false, zoomed: false, hidden: new Set() };
    const place = make("div", { class: "plot" }), readout = make("span", { class: "readout" });
    let plot = null, width = 0;
    const rows = legend(content, now, (i, show) => plot && [1, 2, 3].forEach(k => plot.setSeries(3 * i + k, { show })));
    const draw = () => {
      if (plot) plot.destroy();
      now.zoomed = false;
      const options = { ...sizeOf(place), ...optionsOf(content, now, rows, readout) };
      plot = new uPlot(options, columns(content, now.axis, now.log), place);
    };
    figure.append(controls(content, now, draw), readout, place, make("ul", { class: "legend" }, ...rows));
    // A chart in a folded part has no width until that is opened.
    new ResizeObserver(() => {
      if (place.clientWidth === 0 || place.clientWidth === width) return;
      width = place.clientWidth;
      if (plot) plot.setSize(sizeOf(place));
      else draw();
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot && plot.redraw());
  }

  function controls(content, now, draw) {
    const found = make("div", { class: "controls" });
    if (Object.keys(content.x).length > 1) {
      const choice = make("select", { "aria-label": "x axis" });
      for (const [name, title] of Object.entries(content.x)) choice.append(make("option", { value: name }, title));
      choice.onchange = () => { now.axis = choice.value; draw(); };
      found.append(choice);
    }
    const log = make("input", { type: "checkbox" });
    log.checked = now.log;
    log.onchange = () => { now.log = log.checked; draw(); };
    found.append(make("label", {}, log, " log x"));
    return found;
  }

  // A row a line: a click hides it, a double click leaves it alone or, if it is, brings the others back.
  function legend(content, now, set) {
    const rows = content.series.map(line => {
      const { name, dash, width } = styleOf(line);
      const key = `<svg viewBox="0 0 28 8" aria-hidden="true"><line x1="1" y1="4" x2="27" y2="4" stroke="var(${name})"
        stroke-width="${width + 0.5}" stroke-dasharray="${dash.join(" ")}"/></svg>`;
      const row = make("li", {}), button = make("button", { type: "button", "aria-pressed": "true" });
      button.innerHTML = key;
      button.append(make("span", { class: "name" }, line.label), make("output", {}));
      row.append(button);
      return row;
    });
    const show = (i, shown) => {
      if (shown) now.hidden.delete(i); else now.hidden.add(i);
      rows[i].firstChild.setAttribute("aria-pressed", String(shown));
      set(i, shown);
    };
    rows.forEach((row, i) => {
      row.firstChild.onclick = () => show(i, now.hidden.has(i));
      row.firstChild.ondblclick = () => {
        const alone = now.hidden.size === rows.length - 1 && !now.hidden.has(i);
        rows.forEach((_, j) => show(j, alone || j === i));
      };
    });
    return rows;
  }

  // The values under the pointer, beside the names.
  function read(u, content, now, rows, readout) {
    const at = u.cursor.idx;
    readout.textContent = at == null ? "" : `${content.x[now.axis]}: ${short(u.data[0][at])}`;
    rows.forEach((row, i) => {
      const index = u.cursor.idxs[3 * i + 1];
      row.querySelector("output").textContent = at == null || index == null ? "" : short(u.data[3 * i + 1][index]);
    });
  }

  // -- tables

  const NUMBER = /^[-+\u2212]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i, SIZES = { k: 1e3, M: 1e6, G: 1e9 }, UNKNOWN = /^(-( .*)?)?$/;
  const numberOf = text => {
    const found = text.match(NUMBER);
    return found ? parseFloat(found[0].replace("\u2212", "-")) * (SIZES[text[found[0].length]] || 1) : NaN;
  };

  function table(one) {
    const head = [...one.tHead.rows[0].cells];
    const sort = column => {
      const down = head[column].getAttribute("aria-sort") === "ascending";
      head.forEach(cell => cell.removeAttribute("aria-sort"));
      head[column].setAttribute("aria-sort", down ? "descending" : "ascending");
      const text = row => row.cells[column].textContent.trim();
      const rows = [...one.tBodies[0].rows], known = rows.filter(row => !UNKNOWN.test(text(row)));
      const numbers = known.every(row => !isNaN(numberOf(text(row))));
      const order = (a, b) => numbers ? numberOf(text(a)) - numberOf(text(b)) : text(a).localeCompare(text(b), "en", { numeric: true });
      known.sort((a, b) => down ? order(b, a) : order(a, b));
      one.tBodies[0].append(...known, ...rows.filter(row => !known.includes(row)));  // what is unknown stays last
    };
    head.forEach((cell, column) => {
      const button = make("button", { type: "button", title: "sort" }, ...cell.childNodes);
      button.onclick = () => sort(column);
      cell.replaceChildren(button);
    });
  }

  // -- pictures

  function picture(one) {
    one.tabIndex = 0;
    one.setAttribute("title", "enlarge");
    const open = () => {
      const dialog = make("dialog", {}, one.closest("figure").cloneNode(true));
      dialog.onclick = () => dialog.close();
      dialog.onclose = () => dialog.remove();
      document.body.append(dialog);
      dialog.showModal();
    };
    one.onclick = open;
    one.onkeydown = event => event.key === "Enter" && open();
  }

  function prepare(element) {
    element.querySelectorAll("figure.chart").forEach(chart);
    element.querySelectorAll(".wide > table").forEach(table);
    element.querySelectorAll("figure.picture > img, figure.density > svg").forEach(picture);
  }
  return { prepare, short };
})();
pages.prepare(document);
