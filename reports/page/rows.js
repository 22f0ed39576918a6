"use strict";
// The rows of a long table. All but the first come as text, which is searched and sorted as it is:
// a row becomes an element when it is drawn, and a few hundred are drawn at once.

const parsing = document.createElement("table");
const decoding = document.createElement("textarea");

// What a piece of HTML without tags says, character references read.
const decoded = (html) => {
  if (!html.includes("&")) return html;
  decoding.innerHTML = html;
  return decoding.value;
};
const spaced = (parts) => parts.map((part) => part.trim()).filter(Boolean).join(" ").toLowerCase();

// A row that is in the page.
class DrawnRow {
  constructor(element) {
    this.element = element;
    this.state = element.dataset.state;
    this.group = element.dataset.in;
    this.heads = element.dataset.group; // the group whose heading this row is
  }

  // What its cell in a column is sorted by; undefined where it has nothing to sort by.
  value(column) { return this.element.cells[column].dataset.value; }

  // All words of its cell in a column, or of the whole row, in lower case.
  text(column) {
    const place = column === undefined ? this.element : this.element.cells[column];
    const [parts, walker] = [[], document.createTreeWalker(place, NodeFilter.SHOW_TEXT)];
    while (walker.nextNode()) parts.push(walker.currentNode.data);
    return spaced(parts);
  }
}

// The same of a row that came as text. No text and no attribute in it holds a bare < or >: all
// that is printed into a page is escaped.
class PackedRow {
  constructor(html) {
    this.html = html;
    this.state = this.attribute("data-state");
    this.group = this.attribute("data-in");
    this.heads = this.attribute("data-group");
  }

  get element() {
    if (this.made === undefined) {
      parsing.innerHTML = `<tbody>${this.html}</tbody>`;
      [this.made] = parsing.tBodies[0].rows;
    }
    return this.made;
  }

  value(column) { return this.attribute("data-value", this.cell(column)); }

  text(column) {
    const html = column === undefined ? this.html : `<td${this.cell(column)}`;
    return spaced(html.split(/<[^>]*>/).map(decoded));
  }

  cell(column) { return this.html.split("<td")[column + 1]; }

  attribute(name, tag = this.html) {
    const [start, end] = [tag.indexOf(` ${name}="`), tag.indexOf(">")];
    if (start < 0 || start > end) return undefined;
    const first = start + name.length + 3;
    return decoded(tag.slice(first, tag.indexOf("\"", first)));
  }
}

// All rows of a table's body: those that are in the page, and those that came as text.
const rowsOf = (body) => {
  const packed = (body.packedRows || "").split("</tr>");
  packed.pop(); // nothing follows the last row's end
  return [...[...body.rows].map((row) => new DrawnRow(row)),
    ...packed.map((html) => new PackedRow(`${html}</tr>`))];
};

// Draws so many of the rows that are to be shown, and more when asked.
class DrawnRows {
  constructor(body) {
    this.body = body;
    this.step = Number(body.dataset.step) || Infinity;
    this.limit = this.step;
    if (this.step === Infinity) return;
    this.note = document.createElement("p");
    this.text = document.createElement("span");
    this.button = document.createElement("button");
    this.note.className = "hint drawn-rows";
    this.text.setAttribute("role", "status");
    this.button.type = "button";
    this.button.className = "chip";
    this.note.append(this.text, " ", this.button);
    const table = body.parentElement;
    const place = table.closest(".scroll") || table;
    place.after(this.note);
    this.button.addEventListener("click", () => {
      this.limit += this.step;
      this.draw();
      if (this.button.hidden) place.focus(); // else the keyboard would be back at the page's start
    });
  }

  show(rows) {
    this.rows = rows;
    this.limit = this.step;
    this.draw();
  }

  draw() {
    this.body.replaceChildren(...this.rows.slice(0, this.limit).map((row) => row.element));
    if (this.note === undefined) return;
    const [count, drawn] = [this.rows.length, Math.min(this.rows.length, this.limit)];
    const number = (amount) => amount.toLocaleString("en");
    this.note.hidden = count <= this.step;
    this.text.textContent = `${number(drawn)} of ${number(count)} rows are drawn.`;
    this.button.textContent = `Draw ${number(Math.min(this.step, count - drawn))} more`;
    this.button.hidden = drawn === count;
  }
}
