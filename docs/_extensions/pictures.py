"""The pictures of the architecture: ``docs/pictures/<name>.svg``, each with a text in its place."""

from pathlib import Path
from typing import Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

FOLDER: Final = "pictures"


class Picture(SphinxDirective):
    """A picture by its name; the content is what it says to those who do not see it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make the image, once there is a picture of that name."""
        text = " ".join(self.content)
        if not text:
            raise ValueError("a picture needs a text, for those who do not see it")
        file = f"{FOLDER}/{self.arguments[0]}.svg"
        self.env.note_dependency(file)
        if not (Path(self.env.srcdir) / file).exists():
            return []
        return [nodes.image(uri=f"/{file}", alt=text, classes=["picture"])]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the build."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
