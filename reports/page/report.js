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
  const isOnPaper = () => document.documentElement.classList.contains("paper");
  const themed = (layout, plot) => {
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
      width: isOnPaper() ? plot.clientWidth : undefined,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
      annotations: (layout.annotations || []).map((note) => ({
        ...note,
        // What stands among lines is read on the ground that the chart has.
        bgcolor: note.name === "backed" ? colour("--card") : undefined,
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
  const drawOne = (plot) => {
    const chart = charts[plot.dataset.chart];
    Plotly.react(plot, chart.data, themed(chart.layout, plot), config);
    // What a chart shows is in its label; ticks and legends read out one by one say nothing.
    plot.querySelectorAll(".main-svg").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
  };
  const draw = () => plots.forEach(drawOne);
  // At first one chart a task, so that the page answers while the later ones are drawn.
  const whenIdle = (work) => {
    if (window.requestIdleCallback) requestIdleCallback(work, { timeout: 100 });
    else setTimeout(work);
  };
  const waiting = [...plots];
  const drawNext = () => {
    const plot = waiting.shift();
    if (plot === undefined) {
      document.documentElement.dataset.drawn = "true";
      return;
    }
    drawOne(plot);
    whenIdle(drawNext);
  };
  drawNext();

  // A select that changes which of several charts is drawn in its place.
  document.querySelectorAll("[data-picks]").forEach((picker) => picker.addEventListener("change", () => {
    const [chosen] = picker.selectedOptions;
    const place = document.getElementById(picker.dataset.picks);
    const plot = place.querySelector(".plot");
    plot.dataset.chart = chosen.value;
    plot.setAttribute("aria-label", chosen.dataset.alternative);
    place.querySelector("h3").textContent = chosen.textContent;
    draw();
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const onPaper = (isOn) => () => {
    document.documentElement.classList.toggle("paper", isOn);
    draw();
  };
  addEventListener("beforeprint", onPaper(true));
  addEventListener("afterprint", onPaper(false));

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
})();
