// A phone has no room for three columns: there the cells stand one below the other, and each says of which column it is.

for (const table of document.querySelectorAll("article table:not(.translation, .deviations, .ids, .kinds)")) {
  const columns = Array.from(table.querySelectorAll("thead th"), (head) => head.textContent.trim());
  if (columns.length < 3) continue;
  table.classList.add("labelled");
  for (const row of table.tBodies[0].rows) {
    Array.from(row.cells).forEach((cell, index) => {
      if (cell.textContent.trim() === "") cell.classList.add("blank");
      else if (index > 0 && columns[index] !== "") cell.dataset.column = columns[index];
    });
  }
}
