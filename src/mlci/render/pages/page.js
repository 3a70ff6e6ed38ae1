// What every page does beyond showing itself: colours, tables that sort and filter, charts as wide as their place.
"use strict";
const mlci = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  // Storage is refused where the browser keeps nothing for files: then a choice lasts as long as the page.
  const remembered = {
    get: () => { try { return localStorage.getItem("mlci-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("mlci-theme", value); } catch { /* as said */ } },
  };

  function theme() {
    const root = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const kept = remembered.get();
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "theme";
    const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
    const name = () => { button.textContent = isDark() ? "Light colours" : "Dark colours"; };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      remembered.set(root.dataset.theme);
      name();
    });
    dark.addEventListener("change", name);
    name();
    (document.querySelector("header") ?? document.body).append(button);
  }

  // A cell counts as the number that it begins with, in the unit that follows.
  const UNITS = {B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, s: 1, min: 60, h: 3600, d: 86400};
  const NUMBER = /\s*([+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?)(?: ?(B|kB|MB|GB|TB|s|min|h|d)(?![A-Za-z]))?/y;

  function value(cell) {
    if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
    const text = cell.textContent.trim().replaceAll("\u2212", "-");
    let total = NaN;
    NUMBER.lastIndex = 0;
    for (let found; (found = NUMBER.exec(text)) !== null;) {
      const amount = Number(found[1].replaceAll(",", "")) * (UNITS[found[2]] ?? 1);
      total = Number.isNaN(total) ? amount : total + amount;
      if (found[2] === undefined) break;
    }
    return total;
  }

  const words = new Intl.Collator("en", {numeric: true});

  function sort(table, column, descending) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => {
      const cell = row.cells[column];
      return {row, text: cell?.textContent.trim() ?? "", number: cell ? value(cell) : NaN};
    });
    const filled = rows.filter((item) => item.text !== "" && item.text !== "–");
    const numeric = filled.filter((item) => !Number.isNaN(item.number)).length * 2 > filled.length;
    const empty = (item) => (numeric ? Number.isNaN(item.number) : item.text === "" || item.text === "–");
    rows.sort((one, other) => {
      if (empty(one) || empty(other)) return empty(one) - empty(other); // last either way
      const order = numeric ? one.number - other.number : words.compare(one.text, other.text);
      return descending ? -order : order;
    });
    body.append(...rows.map((item) => item.row));
  }

  function sortable(table) {
    const headers = [...table.tHead.rows[0].cells];
    for (const [column, header] of headers.entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") === "ascending";
        for (const other of headers) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sort(table, column, descending);
      });
    }
  }

  let made = 0;

  function filterable(table) {
    const rows = [...table.tBodies[0].rows].map((row) => ({row, text: row.textContent.toLowerCase()}));
    const bar = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const count = document.createElement("output");
    bar.className = "filter";
    input.type = "search";
    input.id = label.htmlFor = `filter-${++made}`;
    label.textContent = "Filter";
    input.setAttribute("autocomplete", "off");
    const apply = () => {
      const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const {row, text} of rows) {
        row.hidden = !wanted.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = `${shown} of ${rows.length} rows`;
    };
    input.addEventListener("input", apply);
    apply();
    bar.append(label, input, count);
    (table.closest(".scroll") ?? table).before(bar);
  }

  const FEW = 6; // rows that need no filter

  function table(element) {
    if (element.tBodies[0].rows.length > 1) sortable(element);
    if (element.tBodies[0].rows.length >= FEW) filterable(element);
  }

  // Draw `make(width)` into a figure of the macro `chart`, again whenever its place gets another width.
  function draw(figure, make) {
    const place = figure.querySelector(".plot");
    let drawn = 0;
    const again = () => {
      const width = Math.floor(place.clientWidth);
      if (width === 0 || width === drawn) return;
      drawn = width;
      const svg = make(width);
      // To assistive technology it is one image: the names that Plot gives its parts would stand beside it.
      svg.querySelectorAll("[aria-label]").forEach((part) => part.removeAttribute("aria-label"));
      svg.setAttribute("role", "img");
      svg.setAttribute("aria-label", figure.dataset.label);
      place.replaceChildren(svg);
    };
    figure.hidden = false;
    new ResizeObserver(() => requestAnimationFrame(again)).observe(place);
    again();
  }

  // A filter or a chart within details that are folded has no width: the observer above waits for it.
  theme();
  document.querySelectorAll("table.data").forEach(table);
  return {data, draw, table};
})();
