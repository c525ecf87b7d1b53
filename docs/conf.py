"""How the documentation is built: ``tox -e docs``, or ``python -m sphinx docs build/site``."""

import gc
import os
import sys
import tomllib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

HERE = Path(__file__).parent

# What a build makes stays until its end: to look for garbage in it took a quarter of its time.
gc.set_threshold(100_000, 1_000)

sys.path.insert(0, str(HERE.parent))

project = "gost_core"
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]
author = "The gost-core developers"
project_copyright = "The gost-core developers, ginuerzh"

extensions = [
    "myst_parser",
    "notfound.extension",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "docs._made.citations",
    "docs._made.pictures",
    "docs._made.reference",
    "docs._made.go_names",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["examples"]
nitpicky = True
default_role = "obj"
smartquotes_action = "D"  # dashes only: "" stands for the empty string here

# The types of the standard library link to Python's documentation, by a copy of its inventory:
# building needs no network. docs/maintaining.md says where the copy is from.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", str(HERE / "_inventories" / "python.inv")),
}

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 72
add_module_names = False
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]

html_theme = "furo"
html_title = f"gost_core {release}"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["contract.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("filter.js", "tables.js")]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_dark_style = "github-dark"

# A host shows this page at any address, so its links begin at the root of the site.
notfound_urls_prefix = urlsplit(os.environ.get("READTHEDOCS_CANONICAL_URL", "/")).path
notfound_context = {
    "title": "There is no such page",
    "body": f"""
<h1>There is no such page</h1>
<p>What you look for may have another name now.</p>
<ul>
<li><a href="{notfound_urls_prefix}index.html">The index</a> says what is where.</li>
<li><a href="{notfound_urls_prefix}how-to.html">How do I ...?</a> answers single tasks.</li>
<li><a href="{notfound_urls_prefix}reference/index.html">The API reference</a> has a page for each
module.</li>
<li>The search field looks through all pages, also by the names of Go.</li>
</ul>""",
}


def keep_navigation(
    app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object
) -> None:
    """Make the navigation beside a page of titles only, whose trees are small to copy.

    It is the same beside all source listings of a folder, and made once for them.
    """
    make, folder = context["toctree"], page.rpartition("/")[0]
    if not titles:
        titles.update((name, titles_of(toc)) for name, toc in app.env.tocs.items())

    def kept(**wanted: object) -> str:
        assert wanted.get("titles_only"), "the theme asks for more than titles"
        listing = folder if page.startswith("_modules/") else page
        if listing not in navigation:
            whole, app.env.tocs = app.env.tocs, titles
            try:
                navigation[listing] = make(**wanted)
            finally:
                app.env.tocs = whole
        return navigation[listing]

    context["toctree"] = kept


def titles_of(toc: nodes.bullet_list) -> nodes.bullet_list:
    """Return the titles of a page's contents, and what it leads to; Sphinx would cut it so."""
    copy = toc.deepcopy()
    for entry in copy.children:
        if isinstance(entry, nodes.list_item) and len(entry) > 1:
            entry[1:] = [nodes.bullet_list("", *entry.findall(addnodes.toctree))]
    return copy


navigation: Final[dict[str, str]] = {}
titles: Final[dict[str, nodes.bullet_list]] = {}


def setup(app: Sphinx) -> None:
    """Register what runs before the theme, which asks for the navigation."""
    app.connect("html-page-context", keep_navigation, priority=400)
