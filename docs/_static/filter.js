// The field above the long tables: shows the rows that have what is typed, each with the row of what it belongs to.

const tables = document.querySelectorAll("table.filtered");

// So that chain.Transporter.Multiplex, Transporter.multiplex and limiter/traffic are found as they are written.
const words = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");

// A table with its heading, or without it if that is the title of the page.
const whole = (table) => {
  const section = table.closest("section");
  return section.querySelector("h1") ? table.closest(".table-wrapper") : section;
};

if (tables.length > 0) {
  const field = document.createElement("input");
  field.type = "search";
  field.className = "table-filter";
  field.placeholder = tables[0].classList.contains("translation")
    ? "A Go or a Python name"
    : "A name, a number, or words";
  field.setAttribute("aria-label", "Show only the rows with");

  const status = document.createElement("p");
  status.className = "basis";
  status.setAttribute("role", "status");

  const rows = Array.from(tables).flatMap((table) => {
    let owner = null;
    return Array.from(table.querySelectorAll("tbody tr"), (row) => {
      owner = row.classList.contains("member") ? owner : row;
      const names = Array.from(row.querySelectorAll("a"), (link) => link.hash.slice(1));
      return { element: row, owner, text: words([row.id, ...names, row.textContent].join(" ")) };
    });
  });

  const show = () => {
    const wanted = words(field.value.trim()).replace(/^-|-$/g, "");
    const found = rows.filter((row) => row.text.includes(wanted));
    const shown = new Set(found.flatMap((row) => [row.element, row.owner]));
    for (const row of rows) row.element.hidden = !shown.has(row.element);
    for (const table of tables) {
      whole(table).hidden = !table.querySelector("tbody tr:not([hidden])");
    }
    status.textContent = wanted === "" ? "" : `${found.length} of ${rows.length}`;
    if (found.length === 0) {
      const search = document.createElement("a");
      search.href = `${document.documentElement.dataset.content_root}search.html?q=${encodeURIComponent(field.value)}`;
      search.textContent = "search all pages";
      status.replaceChildren("Nothing has that. You can ", search, ".");
    }
  };
  field.addEventListener("input", show);
  whole(tables[0]).before(field, status);
}
