"use strict";
// The leaderboard: sorted by any column, filtered by words, state and column.
(() => {
  const board = document.getElementById("board");
  if (!board) return;
  const body = board.tBodies[0];
  const rows = [...body.rows].filter((row) => row.dataset.trial !== undefined);
  const groups = new Map([...body.rows].filter((row) => row.dataset.group !== undefined)
    .map((row) => [row.dataset.group, row]));
  const shown = document.getElementById("shown");
  const all = shown.textContent;

  // Sorting. Cells without a value come last, whichever way.
  const order = { column: 0, isNumber: true, sign: 1 };
  const compare = (a, b) => {
    const left = a.cells[order.column].dataset.value;
    const right = b.cells[order.column].dataset.value;
    if (left === undefined || right === undefined) {
      return (left === undefined ? 1 : 0) - (right === undefined ? 1 : 0);
    }
    const larger = order.isNumber
      ? left - right : left.localeCompare(right, undefined, { numeric: true });
    return order.sign * larger;
  };

  // Filtering.
  const words = document.getElementById("filter");
  const state = document.getElementById("state-filter");
  const toggle = document.getElementById("column-toggle");
  const filters = document.getElementById("column-filters");
  const fields = [...filters.querySelectorAll("input")];
  const texts = new Map();
  const textOf = (element) => {
    if (!texts.has(element)) {
      const parts = [];
      const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) parts.push(walker.currentNode.data.trim());
      texts.set(element, parts.filter(Boolean).join(" ").toLowerCase());
    }
    return texts.get(element);
  };
  // Whether a word of the text begins so: 0003 is a trial, and no part of 0.0003.
  const begins = (text, start) => {
    for (let at = text.indexOf(start); at >= 0; at = text.indexOf(start, at + 1)) {
      if (at === 0 || !/[\p{L}\p{N}.]/u.test(text[at - 1])) return true;
    }
    return false;
  };
  const fits = {
    "<": (value, bound) => value < bound, "<=": (value, bound) => value <= bound,
    ">": (value, bound) => value > bound, ">=": (value, bound) => value >= bound,
    "=": (value, bound) => value === bound,
  };
  // What a column's filter asks of a cell; undefined where it can't be understood.
  const asked = (text, isNumber) => {
    const given = text.trim().toLowerCase();
    const value = (cell) => (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value));
    const number = (part) => (part.trim() === "" ? NaN : Number(part));
    const bound = isNumber && /^([<>]=?|=)(.*)$/.exec(given);
    if (bound) {
      const limit = number(bound[2]);
      return Number.isNaN(limit) ? undefined : (cell) => fits[bound[1]](value(cell), limit);
    }
    const range = isNumber && /^(.*?)\.\.(.*)$/.exec(given);
    if (range) {
      const [low, high] = [number(range[1]), number(range[2])];
      return Number.isNaN(low) || Number.isNaN(high)
        ? undefined : (cell) => value(cell) >= low && value(cell) <= high;
    }
    return (cell) => textOf(cell).includes(given);
  };
  const conditions = () => {
    const found = [];
    const typed = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (typed.length) found.push((row) => typed.every((word) => begins(textOf(row), word)));
    if (state && state.value) found.push((row) => row.dataset.state === state.value);
    for (const field of fields) {
      const test = field.value.trim() ? asked(field.value, field.dataset.kind === "number") : null;
      field.setAttribute("aria-invalid", String(test === undefined));
      if (test) found.push((row) => test(row.cells[Number(field.dataset.column)]));
    }
    return found;
  };

  const update = () => {
    const tests = conditions();
    const kept = rows.filter((row) => tests.every((test) => test(row))).sort(compare);
    const isRanking = order.column === 0 && order.sign === 1;
    const lines = [];
    let group;
    for (const row of kept) {
      // Groups are those of the ranking, and have no meaning in any other order.
      if (isRanking && row.dataset.in !== group && groups.has(row.dataset.in)) {
        lines.push(groups.get(row.dataset.in));
      }
      group = row.dataset.in;
      lines.push(row);
    }
    body.replaceChildren(...lines);
    const wrong = fields.filter((field) => field.getAttribute("aria-invalid") === "true");
    shown.textContent = (tests.length ? `${kept.length} of ${rows.length} shown` : all)
      + (wrong.length ? `; “${wrong[0].value}” is no filter: write <5, >=5, 2..5 or a word` : "");
  };

  board.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const head = button.closest("th");
    const isDown = head.getAttribute("aria-sort") === "ascending";
    board.tHead.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    order.column = Number(button.dataset.column);
    order.isNumber = button.dataset.kind === "number";
    order.sign = isDown ? -1 : 1;
    update();
  });
  words.addEventListener("input", update);
  if (state) state.addEventListener("change", update);
  filters.addEventListener("input", update);
  toggle.addEventListener("click", () => {
    filters.hidden = !filters.hidden;
    toggle.setAttribute("aria-expanded", String(!filters.hidden));
    if (filters.hidden) {
      // A filter that can't be seen must not hide rows.
      fields.forEach((field) => { field.value = ""; });
      update();
    } else {
      fields[0].focus();
    }
  });
  if (words.value || (state && state.value)) update(); // what a browser kept on loading again
})();
