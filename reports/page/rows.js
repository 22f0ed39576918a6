"use strict";
// The rows of a long table: however they are sorted or filtered, a few hundred are drawn at once.
for (const body of document.querySelectorAll("tbody[data-step]")) {
  const table = body.parentElement;
  const step = Number(body.dataset.step);
  const note = document.createElement("p");
  const text = document.createElement("span");
  const button = document.createElement("button");
  note.className = "hint drawn-rows";
  text.setAttribute("role", "status");
  button.type = "button";
  button.className = "chip";
  note.append(text, " ", button);
  const place = table.closest(".scroll") || table;
  place.after(note);

  let limit = step;
  const number = (count) => count.toLocaleString("en");
  const fit = () => {
    let count = 0;
    for (const row of [...body.rows]) {
      const isDrawn = row.hidden || ++count <= limit;
      if (isDrawn === (row.style.display === "none")) row.style.display = isDrawn ? "" : "none";
    }
    const drawn = Math.min(count, limit);
    note.hidden = count <= step;
    text.textContent = `${number(drawn)} of ${number(count)} rows are drawn.`;
    button.textContent = `Draw ${number(Math.min(step, count - drawn))} more`;
    button.hidden = drawn === count;
  };
  const changed = new MutationObserver(() => { limit = step; fit(); });
  changed.observe(body, { childList: true, subtree: true, attributeFilter: ["hidden"] });
  button.addEventListener("click", () => {
    limit += step;
    fit();
    if (button.hidden) place.focus(); // else the keyboard would be back at the page's start
  });
  fit();
}
