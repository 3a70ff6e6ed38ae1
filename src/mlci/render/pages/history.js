// What only the dashboard does: cards that are drawn when they come into view, a larger chart, its points as a table.
"use strict";
(() => {
  const {home, profiles} = mlci.data;
  const at = (id) => document.getElementById(id);
  const DAY = new Intl.DateTimeFormat("en-CA", {timeZone: "UTC", year: "numeric", month: "2-digit", day: "2-digit"});
  const SMALL = 110, LARGE = 340, PAGE = 100, WHOLE = 1000; // of so many records all are shown at first
  const WORDS = {fail: "worse than allowed", regressed: "worse beyond noise", accepted: "worse, accepted"};

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  const signed = (text) => text.replace("-", "\u2212");

  function plainNumber(value, digits = 4) {
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return signed(value.toExponential(digits - 2));
    return signed(String(Number(value.toPrecision(Math.max(digits, size >= 1 ? Math.ceil(Math.log10(size + 1)) : 0)))));
  }

  function number(value, unit, digits = 4) {
    if (value === null || value === undefined) return "–";
    if (unit === "bytes") {
      const units = ["B", "kB", "MB", "GB", "TB"];
      let step = 0;
      for (; Math.abs(value) >= 1000 && step < units.length - 1; step++) value /= 1000;
      return `${plainNumber(value, 3)} ${units[step]}`;
    }
    return plainNumber(value, digits) + (unit ? ` ${unit}` : "");
  }

  const day = (profile, place) => (profile.times[place] ? DAY.format(profile.times[place] * 1000) : profile.commits[place].slice(0, 7));

  function link(text, path) {
    if (home === null) return document.createTextNode(text);
    return make("a", {href: `${home}/${path}`, rel: "noopener noreferrer", textContent: text});
  }

  // What a chart and its table show of a series from one place on; worked out once for each.
  function view({profile, run, series}, from) {
    const points = [], previous = [];
    let last = null;
    for (let place = 0; place < series.values.length; place++) {
      const value = series.values[place];
      if (place >= from) {
        const noise = series.noise[place] ?? null;
        points.push(place);
        previous.push(last === null || noise === null || value === null ? null : {middle: last, noise});
      }
      if (value !== null) last = value;
    }
    const inside = ([place]) => place >= from;
    return {
      profile, run, series, from, points,
      values: series.values.slice(from),
      low: previous.map((item) => item && item.middle - item.noise),
      high: previous.map((item) => item && item.middle + item.noise),
      marks: series.marks.filter(inside),
      odd: new Map(series.odd),
      releases: run.releases.filter(inside),
      changed: run.changed.filter(inside),
      failed: new Set(run.failed),
    };
  }

  // Where more points than pixels were drawn: of each few neighbours the lowest and the highest, in their order.
  function thinned(seen, most) {
    const {points, values, low, high} = seen;
    if (points.length <= most) return {points, values, low, high};
    const each = Math.ceil((2 * points.length) / most);
    const least = (list, from, better) => {
      let found = null;
      for (let index = from; index < Math.min(from + each, list.length); index++) {
        if (list[index] !== null && (found === null || better(list[index], list[found]))) found = index;
      }
      return found;
    };
    const thin = {points: [], values: [], low: [], high: []};
    for (let from = 0; from < points.length; from += each) {
      const ends = [least(values, from, (one, other) => one < other), least(values, from, (one, other) => one >= other)];
      const bottom = least(low, from, (one, other) => one < other), top = least(high, from, (one, other) => one > other);
      for (const index of ends[0] === null ? [from] : ends.sort((one, other) => one - other)) {
        thin.points.push(points[index]);
        thin.values.push(values[index]);
        thin.low.push(bottom === null ? null : low[bottom]);
        thin.high.push(top === null ? null : high[top]);
      }
    }
    return thin;
  }

  const named = ({name, split, slice}) => (split ? `${split}/` : "") + name + (slice === null ? "" : ` [${slice}]`);

  function summary(seen) {
    const known = seen.values.filter((value) => value !== null);
    const unit = seen.series.unit;
    if (known.length === 0) return "no value";
    const low = known.reduce((one, other) => Math.min(one, other)), high = known.reduce((one, other) => Math.max(one, other));
    const marked = (wanted) => seen.marks.filter(([, mark]) => mark === wanted).length;
    const [failed, worse, accepted] = ["fail", "regressed", "accepted"].map(marked);
    return [
      `last ${number(known.at(-1), unit)}`,
      `${number(low, unit)} to ${number(high, unit)}`,
      seen.series.direction ? `${seen.series.direction} is better` : "",
      failed ? `▼\u00a0${failed} worse than allowed` : "",
      worse ? `▽\u00a0${worse} worse` : "",
      accepted ? `◆\u00a0${accepted} accepted` : "",
    ].filter(Boolean).join(" · ");
  }

  function plot(seen, width, large) {
    const {profile, from} = seen;
    const end = seen.points.at(-1);
    const {points, values, low, high} = thinned(seen, large ? 2 * width : width);
    const value = (place) => seen.values[place - from];
    const known = points.filter((place) => value(place) !== null);
    const broken = seen.values.includes(null);
    const ticks = [...new Set([0, 1, 2, 3].slice(0, width > 420 ? 4 : 2).map((step, _, all) => Math.round(from + (end - from) * step / (all.length - 1))))];
    const releases = new Map();
    for (const [place, label] of seen.releases) releases.set(place, [...(releases.get(place) ?? []), label]);
    const sign = (wanted, more) => Plot.dot(
      seen.marks.filter(([place, mark]) => mark === wanted && value(place) !== null),
      {x: "0", y: ([place]) => value(place), r: large ? 6 : 5, className: `mark-${wanted}`, ...more});
    return Plot.plot({
      width,
      height: large ? LARGE : SMALL,
      marginLeft: 56, marginRight: large ? 42 : 36, marginTop: large ? 34 : 8, marginBottom: 24,
      x: {type: "linear", domain: from === end ? [from - 1, end + 1] : [from, end], axis: null},
      y: {nice: true, label: null},
      style: {fontSize: large ? "13px" : "11px", background: "none", color: "inherit", overflow: "visible"},
      marks: [
        Plot.areaY(points, {x: points, y1: low, y2: high, fill: "var(--now)", fillOpacity: 0.16, curve: "step"}),
        Plot.ruleX(seen.changed, {x: "0", stroke: "var(--soft)", strokeDasharray: "1 4", className: "changed"}),
        Plot.ruleX([...releases.keys()], {stroke: "var(--release)", strokeWidth: 1.5, className: "released"}),
        broken ? Plot.lineY(known, {x: known, y: known.map(value), stroke: "var(--soft)", strokeDasharray: "3 3", strokeWidth: 1}) : null,
        Plot.lineY(points, {x: points, y: values, stroke: "var(--now)", strokeWidth: large ? 1.8 : 1.5}),
        known.length <= 60 ? Plot.dot(known, {x: known, y: known.map(value), fill: "var(--now)", r: 2}) : null,
        sign("regressed", {symbol: "triangle", rotate: 180, fill: "var(--paper)", stroke: "var(--fail)"}),
        sign("fail", {symbol: "triangle", rotate: 180, fill: "var(--fail)", stroke: "var(--paper)"}),
        sign("accepted", {symbol: "diamond2", fill: "var(--accepted)", stroke: "var(--paper)"}),
        Plot.axisY({ticks: large ? 6 : 3, label: null, tickFormat: (tick) => number(tick, seen.series.unit === "bytes" ? "bytes" : null, 5)}),
        Plot.axisX(ticks, {label: null, tickFormat: (place) => day(profile, place)}),
        large ? Plot.text([...releases], {x: "0", text: ([, labels]) => labels.slice(0, 3).join(" "), frameAnchor: "top", dy: -14, rotate: releases.size > 5 ? -35 : 0, textAnchor: "start", dx: -4, fill: "var(--release)", lineWidth: 14, textOverflow: "ellipsis"}) : null,
        large ? Plot.tip(known, Plot.pointerX({x: known, y: known.map(value), title: known.map((place) => spoken(seen, place).join("\n")), fill: "var(--paper)", stroke: "var(--line)", lineWidth: 40})) : null,
      ],
    });
  }

  function told(seen, place) {
    const said = seen.marks.filter(([other]) => other === place).map(([, mark, reason]) => WORDS[mark] + (reason ? `: ${reason}` : ""));
    said.push(...seen.releases.filter(([other]) => other === place).map(([, , tag]) => `released: ${tag}`));
    said.push(...seen.changed.filter(([other]) => other === place).map(([, lines]) => `changed: ${lines.join(", ")}`));
    if (seen.failed.has(place)) said.push("did not succeed");
    const between = seen.profile.behind[place];
    if (between > 0) said.push(`${between} ${between === 1 ? "commit" : "commits"} before it without a record`);
    return said;
  }

  function spoken(seen, place) {
    const {series, profile} = seen;
    const noise = series.noise[place];
    return [
      `${number(series.values[place], series.unit, 6)}${noise ? ` (noise ±${number(noise, null, 2)})` : ""}`,
      `${profile.commits[place].slice(0, 7)} ${day(profile, place)} ${profile.subjects[place]}`,
      ...told(seen, place),
    ];
  }

  // Cards are drawn a few a frame, and only those that are seen.
  const waiting = new Set();
  const drawing = new WeakMap();
  function work() {
    const until = performance.now() + 8;
    for (const card of waiting) {
      waiting.delete(card);
      drawing.get(card)();
      if (performance.now() > until) break;
    }
    if (waiting.size) requestAnimationFrame(work);
    else performance.mark("mlci-drawn");
  }
  const watcher = new IntersectionObserver((entries) => {
    const idle = waiting.size === 0;
    for (const {isIntersecting, target} of entries) {
      if (!isIntersecting) { waiting.delete(target); continue; }
      watcher.unobserve(target);
      waiting.add(target);
    }
    if (idle && waiting.size) requestAnimationFrame(work);
  }, {rootMargin: "200px"});

  function card(item, from) {
    const seen = view(item, from);
    if (seen.values.every((value) => value === null)) return null;
    const about = summary(seen);
    const button = make("button", {type: "button"}, make("bdi", {textContent: named(item.series)}));
    const figure = make("figure", {className: "chart"}, make("div", {className: "plot"}));
    figure.dataset.label = `${named(item.series)} of ${item.run.name}: ${about}`;
    const element = make("article", {className: "card"}, make("h3", {}, button), make("p", {className: "soft", textContent: about}), figure);
    element.dataset.words = `${item.run.name} ${named(item.series)}`.toLowerCase();
    element.addEventListener("click", () => open(seen));
    drawing.set(element, () => mlci.draw(figure, (width) => plot(seen, width, false)));
    watcher.observe(element);
    return element;
  }

  function group(items, from) {
    const cards = items.map((item) => card(item, from)).filter(Boolean);
    return make("div", {className: "cards"}, ...cards);
  }

  function section(profile, run, from) {
    const items = (list) => list.map((series) => ({profile, run, series}));
    const element = make("section", {className: "run"}, make("h2", {}, make("bdi", {textContent: run.name})));
    const missing = run.measured.slice(from).filter((one) => !one).length, whole = run.measured.length - from;
    const last = run.measured.lastIndexOf(1);
    element.append(make("p", {className: "soft"},
      `${(whole - missing).toLocaleString("en")} of the last ${whole.toLocaleString("en")} measured commits have a record of it`,
      ...(last < 0 ? [] : ["; the newest is ", link(profile.commits[last].slice(0, 7), `commit/${profile.commits[last]}`), ` of ${day(profile, last)}`])));
    element.append(group(items(run.series), from));
    if (run.slices.length) {
      const folded = make("details", {className: "slices"}, make("summary", {textContent: `${run.slices.length} ${run.slices.length === 1 ? "slice" : "slices"}`}));
      const fill = () => { if (folded.children.length === 1) folded.append(group(items(run.slices), from)); };
      folded.addEventListener("toggle", () => { if (folded.open) fill(); });
      folded.fill = fill;
      element.append(folded);
    }
    if (run.resources.length) element.append(make("h3", {className: "took", textContent: "Time, memory and cost"}), group(items(run.resources), from));
    return element;
  }

  function build() {
    const profile = profiles[Number(at("profile").value)];
    const count = Number(at("range").value);
    const from = count === 0 ? 0 : Math.max(0, profile.commits.length - count);
    waiting.clear();
    watcher.disconnect();
    at("runs").replaceChildren(...profile.runs.map((run) => section(profile, run, from)));
    search();
  }

  function search() {
    const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) document.querySelectorAll("details.slices").forEach((folded) => folded.fill());
    let shown = 0, all = 0;
    for (const element of document.querySelectorAll(".card")) {
      element.hidden = !words.every((word) => element.dataset.words.includes(word));
      all++;
      shown += !element.hidden;
    }
    for (const folded of document.querySelectorAll("details.slices")) {
      const found = folded.querySelectorAll(".card:not([hidden])").length;
      folded.hidden = words.length > 0 && found === 0;
      if (words.length && found) folded.open = true;
    }
    for (const run of document.querySelectorAll("section.run")) run.hidden = words.length > 0 && run.querySelector(".card:not([hidden])") === null;
    for (const title of document.querySelectorAll(".took")) title.hidden = title.nextElementSibling.querySelector(".card:not([hidden])") === null;
    at("shown").textContent = words.length ? `${shown} of ${all} charts` : "";
  }

  // The larger chart, with the point under the slider marked, and the table.
  let opened = null;

  function mark() {
    const svg = at("detail-plot").querySelector("svg");
    const place = opened.places[Number(at("point").value)];
    svg.querySelector(".chosen")?.remove();
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("class", "chosen");
    circle.setAttribute("cx", svg.scale("x").apply(place));
    circle.setAttribute("cy", svg.scale("y").apply(opened.seen.series.values[place]));
    circle.setAttribute("r", 7);
    svg.append(circle);
    const said = spoken(opened.seen, place);
    at("point").setAttribute("aria-valuetext", said.join(", "));
    at("detail-point").replaceChildren(...said.map((line) => make("span", {textContent: line})));
  }

  const COLUMNS = [
    ["Commit", (row) => row.place, (row) => link(row.commit.slice(0, 7), `commit/${row.commit}`)],
    ["Date", (row) => row.time, (row) => row.day],
    ["Value", (row) => row.value, (row) => row.shown],
    ["Change", (row) => row.change, (row) => (row.change === null ? "" : (row.change > 0 ? "+" : "") + number(row.change, null, 3))],
    ["Noise", (row) => row.noise, (row) => (row.noise === null ? "" : `±${number(row.noise, null, 2)}`)],
    ["Note", (row) => row.note, (row) => row.note],
    ["Subject", (row) => row.subject, (row) => row.subject],
    ["Workflow run", (row) => row.workflow, (row) => (row.workflow === null ? "" : link(String(row.workflow), `actions/runs/${row.workflow}`))],
  ];

  function rowsOf(seen) {
    const {series, profile, run} = seen;
    let before = null;
    const rows = seen.points.map((place) => {
      const value = series.values[place];
      const change = value === null || before === null ? null : value - before;
      if (value !== null) before = value;
      return {
        place, commit: profile.commits[place], time: profile.times[place], day: day(profile, place), value, change,
        shown: value === null ? seen.odd.get(place) ?? "–" : number(value, series.unit, 6),
        noise: series.noise[place] ?? null, note: told(seen, place).join("; "), subject: profile.subjects[place],
        workflow: run.workflow_runs[place],
      };
    });
    return rows.reverse();
  }

  function page() {
    const {rows, first} = opened;
    const shown = rows.slice(first, first + PAGE);
    at("points").tBodies[0].replaceChildren(...shown.map((row) => make("tr", {}, ...COLUMNS.map(([, , cell]) => make("td", {}, cell(row))))));
    at("page-place").textContent = `${(first + 1).toLocaleString("en")} to ${(first + shown.length).toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
    at("newer").disabled = first === 0;
    at("older").disabled = first + PAGE >= rows.length;
    document.querySelector(".pages").hidden = rows.length <= PAGE;
  }

  function headers() {
    const row = at("points").tHead.rows[0];
    row.replaceChildren(...COLUMNS.map(([name, key]) => {
      const button = make("button", {type: "button", textContent: name});
      const header = make("th", {scope: "col"}, button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") === "ascending";
        for (const other of row.cells) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const empty = (item) => key(item) === null || key(item) === "";
        opened.rows.sort((one, other) => {
          if (empty(one) || empty(other)) return empty(one) - empty(other);
          const [left, right] = [key(one), key(other)];
          return (left < right ? -1 : left > right ? 1 : 0) * (down ? -1 : 1);
        });
        opened.first = 0;
        page();
      });
      return header;
    }));
  }

  function open(seen) {
    const places = seen.points.filter((place) => seen.series.values[place] !== null);
    opened = {seen, places, rows: rowsOf(seen), first: 0};
    at("detail-title").replaceChildren(make("bdi", {textContent: named(seen.series)}), " of ", make("bdi", {textContent: seen.run.name}));
    at("detail-about").textContent = summary(seen);
    at("point").max = places.length - 1;
    at("point").value = places.length - 1;
    headers();
    page();
    at("detail").showModal();
    const figure = make("figure", {className: "chart"}, make("div", {className: "plot", id: "detail-plot"}));
    figure.dataset.label = `${named(seen.series)} of ${seen.run.name}: ${summary(seen)}`;
    at("detail").querySelector("figure").replaceWith(figure);
    mlci.draw(figure, (width) => {
      queueMicrotask(mark);
      return plot(seen, width, true);
    });
  }

  at("close").addEventListener("click", () => at("detail").close());
  at("point").addEventListener("input", mark);
  for (const [id, step] of [["newer", -PAGE], ["older", PAGE]]) at(id).addEventListener("click", () => { opened.first += step; page(); });
  at("choices").addEventListener("submit", (event) => event.preventDefault());
  at("search").addEventListener("input", search);
  for (const id of ["profile", "range"]) at(id).addEventListener("change", build);
  at("range").value = Math.max(0, ...profiles.map((profile) => profile.commits.length)) <= WHOLE ? "0" : "200";
  build();
})();
