"""The pictures of the architecture: ``docs/pictures/<name>.svg``, each with a text in its place.

On a page they stand in its text, not in a frame of their own: so they follow the page's switch
between light and dark, and their names are links.
"""

from pathlib import Path
from typing import Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

FOLDER: Final = "pictures"
ROOT: Final = 'href="../'
"""How a link of a picture begins: it is written as seen from the pictures' folder."""


class Picture(SphinxDirective):
    """A picture by its name; the content is what it says to those who do not see it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Put the picture here, its links as seen from this page."""
        if not self.content:
            raise ValueError("a picture needs a text, for those who do not see it")
        file = f"{FOLDER}/{self.arguments[0]}.svg"
        self.env.note_dependency(file)
        svg = (Path(self.env.srcdir) / file).read_text(encoding="utf-8")
        up = "../" * self.env.docname.count("/")
        svg = svg.replace(ROOT, f'href="{up}')
        return [nodes.raw("", f'<figure class="picture">\n{svg}</figure>', format="html")]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the build."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
