"use strict";
// Sort a table by a column: numbers by value, text by the reader's locale; undefined values stay last.
function sortBy(table, column, heading) {
  const down = heading.getAttribute("aria-sort") === "ascending" ||
    (!heading.hasAttribute("aria-sort") && !heading.classList.contains("text") && column > 1);
  const key = (row) => row.cells[column].dataset.order;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const order = heading.classList.contains("text") || column === 0 ? a.localeCompare(b) : a - b;
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows);
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) =>
    heading.querySelector("button").addEventListener("click", () => sortBy(table, column, heading)));
}

// Print with every section open, and restore the reader's choice afterwards.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.open = true;
    fold.dataset.shut = "";
  }
});
addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("details[data-shut]")) {
    fold.open = false;
    delete fold.dataset.shut;
  }
});
// A link into a closed section opens it.
addEventListener("hashchange", () => document.getElementById(location.hash.slice(1))?.closest("details")?.setAttribute("open", ""));
