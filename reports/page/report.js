"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const plots = [...document.querySelectorAll("[data-chart]")];
  const config = {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false,
    showEditInChartStudio: false,
    plotlyServerURL: "",
    topojsonURL: "",
    scrollZoom: false,
    modeBarButtons: [["toImage", "zoom2d", "resetScale2d"]],
  };

  // The page knows light from dark; the charts take their neutral colours from it.
  const themed = (layout) => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = (given) => ({
      ...given,
      gridcolor: colour("--chart-grid"),
      linecolor: colour("--line"),
      tickfont: { color: colour("--muted"), size: 11.5 },
      title: given && given.title
        ? { ...given.title, font: { color: colour("--muted"), size: 12 } }
        : undefined,
    });
    return {
      ...layout,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
      annotations: (layout.annotations || []).map((note) => ({
        ...note,
        font: { color: colour(note.name === "label" ? "--ink" : "--muted"), size: 12 },
      })),
      hoverlabel: {
        bgcolor: colour("--card"), bordercolor: colour("--line"),
        font: { color: colour("--ink"), size: 12.5 }, align: "left",
      },
      modebar: {
        bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--accent"),
      },
    };
  };
  const draw = () => plots.forEach((plot) => {
    const chart = charts[plot.dataset.chart];
    Plotly.react(plot, chart.data, themed(chart.layout), config);
  });
  draw();

  // A select that changes which of several charts is drawn in its place.
  document.querySelectorAll("[data-picks]").forEach((picker) => picker.addEventListener("change", () => {
    const plot = document.getElementById(picker.dataset.picks);
    plot.dataset.chart = picker.value;
    plot.setAttribute("aria-label", picker.selectedOptions[0].dataset.alternative);
    draw();
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => { draw(); plots.forEach((plot) => Plotly.Plots.resize(plot)); });
  addEventListener("afterprint", draw);

  // Highlight: one trial stays, the others fade, in every chart.
  const faded = 0.12;
  const highlight = (trial) => {
    for (const plot of plots) {
      charts[plot.dataset.chart].data.forEach((trace) => {
        const meta = trace.meta || {};
        if (meta.trial !== undefined) {
          trace.opacity = trial === null || meta.trial === trial ? 1 : faded;
        } else if (meta.trials !== undefined) {
          trace.marker.opacity = meta.trials.map((t) => (trial === null || t === trial ? 0.9 : faded));
        }
      });
    }
    draw();
  };
  const chips = [...document.querySelectorAll(".chip")];
  chips.forEach((chip) => chip.addEventListener("click", () => {
    const isOn = chip.getAttribute("aria-pressed") === "true";
    chips.forEach((other) => other.setAttribute("aria-pressed", String(other === chip && !isOn)));
    highlight(isOn ? null : chip.dataset.trial);
  }));

  // Leaderboard: sort and filter.
  const board = document.getElementById("board");
  if (!board) return;
  const body = board.tBodies[0];
  const rows = [...body.rows];
  const compare = (column, isNumber, sign) => (a, b) => {
    const left = a.cells[column].dataset.value;
    const right = b.cells[column].dataset.value;
    if (left === undefined || right === undefined) {
      return (left === undefined ? 1 : 0) - (right === undefined ? 1 : 0);
    }
    return sign * (isNumber ? left - right : left.localeCompare(right, undefined, { numeric: true }));
  };
  board.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const head = button.closest("th");
    const isDown = head.getAttribute("aria-sort") === "ascending";
    board.tHead.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const order = compare(Number(button.dataset.column), button.dataset.kind === "number", isDown ? -1 : 1);
    body.append(...rows.slice().sort(order));
  });
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const all = shown.textContent;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = words.length ? `${count} of ${rows.length} shown` : all;
  });
})();
