// The field above the translation table: shows the rows that have what is typed, in either column.

const tables = document.querySelectorAll("table.translation");

if (tables.length > 0) {
  const field = document.createElement("input");
  field.type = "search";
  field.className = "name-filter";
  field.placeholder = "A Go or a Python name";
  field.setAttribute("aria-label", "Show only names with");
  tables[0].closest("section").before(field);

  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const table of tables) {
      let shown = 0;
      for (const row of table.querySelectorAll("tbody tr")) {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        shown += row.hidden ? 0 : 1;
      }
      table.closest("section").hidden = shown === 0;
    }
  });
}
