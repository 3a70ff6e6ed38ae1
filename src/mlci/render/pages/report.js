// What only the report does: the plot of intervals, learning curves, and two pictures under one slider.
"use strict";
(() => {
  const GATES = ["fail", "inconclusive", "no-baseline", "pass"];
  const COLOURS = ["var(--fail)", "var(--warn)", "var(--warn)", "var(--pass)"];
  const SYMBOLS = ["square", "triangle", "diamond2", "circle"];
  const EDGE = 3; // times what is allowed

  function intervals(rows, width) {
    const clamp = (value) => Math.max(-EDGE, Math.min(EDGE, value));
    const wide = width > 640;
    const step = wide ? 26 : 40;
    const drawn = rows.map((row, index) => ({
      ...row,
      index,
      x: clamp(row.point),
      from: clamp(row.low ?? row.point),
      to: clamp(row.high ?? row.point),
      left: row.worst === null ? null : clamp(row.worst),
      right: row.best === null ? null : clamp(row.best),
    }));
    const ends = drawn.flatMap((row) => [row.from, row.to, row.left ?? -1, row.right ?? 0]);
    const domain = [Math.min(-1.5, ...ends) - 0.1, Math.max(1, ...ends) + 0.1];
    const label = {y: "index", fill: "currentColor", text: "label"};
    return Plot.plot({
      width,
      height: 44 + step * rows.length,
      marginLeft: wide ? 300 : 8,
      marginRight: 12,
      marginTop: 8,
      marginBottom: 36,
      x: {domain, label: "← worse · in units of what is allowed · better →", labelAnchor: "center", ticks: Math.min(7, width / 60)},
      y: {type: "band", domain: drawn.map((row) => row.index), axis: null, padding: 0},
      color: {domain: GATES, range: COLOURS},
      symbol: {domain: GATES, range: SYMBOLS},
      style: {fontSize: "13px", background: "none", color: "inherit", overflow: "visible"},
      marks: [
        Plot.barX(drawn.filter((row) => row.left !== null), {x1: domain[0], x2: "left", y: "index", inset: 0, fill: "var(--fail)", fillOpacity: 0.13}),
        Plot.barX(drawn.filter((row) => row.right !== null), {x1: "right", x2: domain[1], y: "index", inset: 0, fill: "var(--fail)", fillOpacity: 0.13}),
        Plot.ruleX([0], {stroke: "var(--soft)", strokeDasharray: "3 3"}),
        Plot.tickX(drawn.filter((row) => row.left !== null), {x: "left", y: "index", stroke: "var(--fail)", strokeWidth: 2}),
        Plot.tickX(drawn.filter((row) => row.right !== null), {x: "right", y: "index", stroke: "var(--fail)", strokeWidth: 2}),
        Plot.barX(drawn, {x1: "from", x2: "to", y: "index", fill: "gate", insetTop: step / 2 - 1.5, insetBottom: step / 2 - 1.5, dy: wide ? 0 : 8}),
        Plot.dot(drawn.filter((row) => row.x === row.point), {x: "x", y: "index", fill: "gate", symbol: "gate", r: 5, dy: wide ? 0 : 8}),
        Plot.text(drawn.filter((row) => row.x !== row.point), {x: "x", y: "index", text: (row) => (row.x < 0 ? "◀" : "▶"), fill: "gate", fontSize: 15, dy: wide ? 0 : 8}),
        wide
          ? Plot.text(drawn, {...label, frameAnchor: "left", textAnchor: "end", dx: -10, lineWidth: 22, textOverflow: "ellipsis"})
          : Plot.text(drawn, {...label, frameAnchor: "left", textAnchor: "start", dy: -9, lineWidth: width / 13, textOverflow: "ellipsis"}),
        Plot.tip(drawn, Plot.pointer({x: "x", y: "index", title: (row) => `${row.label}\n${row.words}\n${row.gate}`, fill: "var(--paper)", stroke: "var(--line)"})),
      ],
    });
  }

  function curve({now, before}, width) {
    const line = (points, more) => Plot.lineY(points, {x: "0", y: "1", ...more});
    return Plot.plot({
      width,
      height: 190,
      marginLeft: 48,
      marginRight: 8,
      x: {label: "step", ticks: Math.min(6, width / 60)},
      y: {label: null, ticks: 5, grid: true},
      style: {fontSize: "12px", background: "none", color: "inherit"},
      marks: [
        line(before, {stroke: "var(--before)", strokeWidth: 2, strokeDasharray: "5 4"}),
        line(now, {stroke: "var(--now)", strokeWidth: 2}),
        Plot.tip(now, Plot.pointerX({x: "0", y: "1", fill: "var(--paper)", stroke: "var(--line)"})),
      ],
    });
  }

  // Two pictures on top of each other; how much of the new one is seen, a slider says, by mouse or arrow keys.
  function slider(sides, index) {
    const range = document.createElement("input");
    const label = document.createElement("label");
    const button = document.createElement("button");
    const bar = document.createElement("div");
    bar.className = "slide";
    range.type = "range";
    range.min = 0;
    range.max = 100;
    range.value = 50;
    range.id = label.htmlFor = `slide-${index}`;
    label.textContent = "Baseline ↔ now";
    button.type = "button";
    const show = () => {
      sides.style.setProperty("--at", `${range.value}%`);
      range.setAttribute("aria-valuetext", `${range.value}% of the width shows the baseline`);
    };
    const turn = () => {
      const stacked = sides.classList.toggle("stacked");
      range.disabled = !stacked;
      button.textContent = stacked ? "Side by side" : "One over the other";
    };
    range.addEventListener("input", show);
    button.addEventListener("click", turn);
    bar.append(label, range, button);
    sides.before(bar);
    show();
    turn();
  }

  const [plot] = document.querySelectorAll('[data-chart="intervals"]');
  if (plot) mlci.draw(plot, (width) => intervals(mlci.data.intervals, width));
  document.querySelectorAll('[data-chart="curve"]').forEach((figure, index) => {
    mlci.draw(figure, (width) => curve(mlci.data.curves[index], width));
  });
  document.querySelectorAll(".sides.both").forEach(slider);
})();
