"use strict";
// The leaderboard: sorted by any column, filtered by words, state and column.
(() => {
  const board = document.getElementById("board");
  if (!board) return;
  const body = board.tBodies[0];
  const lines = rowsOf(body);
  const rows = lines.filter((line) => line.heads === undefined);
  const groups = new Map(lines.filter((line) => line.heads !== undefined)
    .map((line) => [line.heads, line]));
  const drawn = new DrawnRows(body);
  const shown = document.getElementById("shown");
  const all = shown.textContent;

  // Sorting. Cells without a value come last, whichever way.
  const order = { column: 0, isNumber: true, sign: 1 };
  const sorted = (kept) => {
    const keys = new Map(kept.map((row) => [row, row.value(order.column)]));
    return kept.sort((a, b) => {
      const [left, right] = [keys.get(a), keys.get(b)];
      if (left === undefined || right === undefined) {
        return (left === undefined ? 1 : 0) - (right === undefined ? 1 : 0);
      }
      const larger = order.isNumber
        ? left - right : left.localeCompare(right, undefined, { numeric: true });
      return order.sign * larger;
    });
  };

  // Filtering.
  const words = document.getElementById("filter");
  const state = document.getElementById("state-filter");
  const toggle = document.getElementById("column-toggle");
  const filters = document.getElementById("column-filters");
  const fields = [...filters.querySelectorAll("input")];
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
  // What a column's filter asks of a row; undefined where it can't be understood.
  const asked = (text, column, isNumber) => {
    const given = text.trim().toLowerCase();
    const value = (row) => Number(row.value(column) ?? NaN);
    const number = (part) => (part.trim() === "" ? NaN : Number(part));
    const bound = isNumber && /^([<>]=?|=)(.*)$/.exec(given);
    if (bound) {
      const limit = number(bound[2]);
      return Number.isNaN(limit) ? undefined : (row) => fits[bound[1]](value(row), limit);
    }
    const range = isNumber && /^(.*?)\.\.(.*)$/.exec(given);
    if (range) {
      const [low, high] = [number(range[1]), number(range[2])];
      return Number.isNaN(low) || Number.isNaN(high)
        ? undefined : (row) => value(row) >= low && value(row) <= high;
    }
    return (row) => row.text(column).includes(given);
  };
  const conditions = () => {
    const found = [];
    const typed = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (typed.length) found.push((row) => typed.every((word) => begins(row.text(), word)));
    if (state && state.value) found.push((row) => row.state === state.value);
    for (const field of fields) {
      const [column, isNumber] = [Number(field.dataset.column), field.dataset.kind === "number"];
      const test = field.value.trim() ? asked(field.value, column, isNumber) : null;
      field.setAttribute("aria-invalid", String(test === undefined));
      if (test) found.push(test);
    }
    return found;
  };

  const update = () => {
    const tests = conditions();
    const kept = sorted(rows.filter((row) => tests.every((test) => test(row))));
    const isRanking = order.column === 0 && order.sign === 1;
    const shownLines = [];
    let group;
    for (const row of kept) {
      // Groups are those of the ranking, and have no meaning in any other order.
      if (isRanking && row.group !== group && groups.has(row.group)) {
        shownLines.push(groups.get(row.group));
      }
      group = row.group;
      shownLines.push(row);
    }
    drawn.show(shownLines);
    const wrong = fields.filter((field) => field.getAttribute("aria-invalid") === "true");
    shown.textContent = (tests.length ? `${kept.length} of ${rows.length} shown` : all)
      + (wrong.length ? `; “${wrong[0].value}” is no filter: write <5, >=5, 2..5 or a word` : "");
  };

  // Until now they could not be pressed: nobody would have listened.
  board.tHead.querySelectorAll("button").forEach((button) => { button.disabled = false; });
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
  // What a browser kept on loading again is applied; else a short table stands as it was written.
  if (words.value || (state && state.value)) update();
  else if (body.packedRows !== undefined) drawn.show(lines);
})();
