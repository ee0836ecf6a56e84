// The list of cases: a row per case, a column per method, of one score and region; sorted and filtered.
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("case-data").textContent);
  const element = (id) => document.getElementById(id);
  const [score, region, filter] = ["list-score", "list-region", "list-filter"].map(element);
  const table = document.querySelector("#case-list table");
  const heads = ["case", ...data.about, ...data.methods];
  const firstMethod = 1 + data.about.length;
  const opened = new Set([...(element("case")?.options ?? [])].map((option) => option.value)); // by the viewer, if any
  const sorted = { column: 0, falling: false };

  function make(tag, text, parent) {
    const made = document.createElement(tag);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  // text as it is contained in case, fold or grade; "< 0.5" or "> 10" as any method's score is
  function wanted(row) {
    const text = filter.value.trim().toLowerCase();
    const bound = /^([<>])\s*(\d*\.?\d+)$/.exec(text);
    if (!bound) return row.slice(0, firstMethod).some((cell) => cell.toLowerCase().includes(text));
    return row.slice(firstMethod).some((value) => value !== null &&
      (bound[1] === "<" ? value < Number(bound[2]) : value > Number(bound[2])));
  }

  function compared(one, other) {
    const [a, b] = [one[sorted.column], other[sorted.column]];
    if (a === null || b === null) return (a === null) - (b === null); // undefined ones are last either way
    const order = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return sorted.falling ? -order : order;
  }

  function fill() {
    const values = data.values[score.selectedIndex][region.selectedIndex];
    const rows = data.cases.map((about, index) => [...about, ...values[index]]).filter(wanted).sort(compared);
    const { decimals } = data.scores[score.selectedIndex];
    const body = document.createElement("tbody");
    for (const row of rows) {
      const line = make("tr", "", body);
      row.forEach((cell, column) => {
        const field = make("td", "", line);
        const text = typeof cell === "number" ? cell.toFixed(decimals) : cell ?? "–";
        if (column > 0 || !opened.has(cell)) { field.textContent = text; return; }
        const button = make("button", text, field);
        button.type = "button";
        button.title = `slices of ${text}`;
        button.addEventListener("click", () => document.dispatchEvent(new CustomEvent("open-case", { detail: text })));
      });
    }
    table.tBodies[0].replaceWith(body);
    element("list-count").textContent = `${rows.length} of ${data.cases.length} cases`;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const order = sorted.falling ? "descending" : "ascending";
      head.setAttribute("aria-sort", column === sorted.column ? order : "none");
    });
  }

  data.scores.forEach(({ title }) => make("option", title, score));
  data.regions.forEach((name) => make("option", name, region));
  heads.forEach((name, column) => {
    const button = make("button", name, make("th", "", table.tHead.rows[0]));
    button.type = "button";
    button.addEventListener("click", () => {
      sorted.falling = column === sorted.column && !sorted.falling;
      sorted.column = column;
      fill();
    });
  });
  for (const control of [score, region, filter]) control.addEventListener("input", fill);
  fill();
})();
