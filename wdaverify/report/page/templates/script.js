"use strict";
(() => {
  const root = document.documentElement;
  const colour = name => getComputedStyle(root).getPropertyValue(name).trim();
  const font = getComputedStyle(document.body).fontFamily;

  // Plots: the specification stands beside each; colours of the page are put in when it is drawn.
  function specification(holder) {
    const text = holder.textContent.replace(/var\((--[a-z-]+)\)/g, (_, name) => colour(name));
    const spec = JSON.parse(text);
    Object.assign(spec.layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {family: font, size: 13, color: colour("--ink")},
      hoverlabel: {bgcolor: colour("--raised"), bordercolor: colour("--line"), font: {family: font, color: colour("--ink")}, align: "left"},
    });
    for (const axis of ["xaxis", "yaxis"]) {
      Object.assign(spec.layout[axis], {gridcolor: colour("--grid"), linecolor: colour("--line"), tickcolor: colour("--line")});
    }
    return spec;
  }
  const options = {responsive: true, displayModeBar: false};
  function draw(width) {
    for (const holder of document.querySelectorAll("script[data-plot]")) {
      const place = document.getElementById(holder.dataset.plot), spec = specification(holder);
      if (width) { spec.layout.width = width; spec.layout.height *= 0.78; }
      const wide = place.clientWidth >= 560 || width;
      if (!wide) { spec.layout.margin.l = 48; spec.layout.font.size = 12; spec.layout.height *= 1.15; }
      place.style.height = spec.layout.height + "px";
      Plotly.react(place, spec.data, spec.layout, options);
    }
  }
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  // Paper is white and narrower than a screen, and nothing can be opened on it: short tables are, long ones and further plans are not.
  let opened = [];
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    opened = [...document.querySelectorAll("details:not([open]):not(.plan)")].filter(each => !each.querySelector("tr:nth-child(41)"));
    for (const each of opened) each.open = true;
    draw(660);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const each of opened) each.open = false;
    draw();
  });

  // Tables: the button of a column sorts by it, once more the other way round. Missing values stay at the end.
  function key(row, column) {
    const cell = row.cells[column], given = cell.dataset.key;
    if (given === undefined) return cell.textContent.trim().toLowerCase();
    return given === "inf" ? Infinity : given === "-inf" ? -Infinity : Number(given);
  }
  function sort(head) {
    const table = head.closest("table"), column = head.cellIndex, down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map(row => [key(row, column), row]);
    rows.sort(([a], [b]) => {
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      const order = typeof a === "string" ? a.localeCompare(b, undefined, {numeric: true}) : a < b ? -1 : a > b ? 1 : 0;
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }
  for (const head of document.querySelectorAll("table.sortable thead th")) {
    head.querySelector("button").addEventListener("click", () => sort(head));
  }
})();
