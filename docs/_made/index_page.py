"""The README as the page of the package on an index, where no link may be relative.

A build of the package loads this file by itself, as a metadata hook of hatchling. Links to pages of
``docs`` lead to the documentation, all others to the sources; ``project.urls`` says where both are.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGE: Final = re.compile(r"docs/(?!examples/)(.+)\.md")
LINK: Final = re.compile(r'(?P<before>\]\(|src=")(?P<path>(?!\w+:|#)[^")]+)')
"""The beginning of a link or an image that names a file."""


def absolute(text: str, urls: Mapping[str, str]) -> str:
    """Return a text of Markdown in which each link to a file leads to the same thing elsewhere."""

    def lead(link: re.Match[str]) -> str:
        path, _, anchor = link["path"].partition("#")
        page = PAGE.fullmatch(path)
        if page:
            url = f"{urls['Documentation']}{page[1]}.html"
        else:  # as GitHub, GitLab and others have it
            kind = "blob" if link["before"] == "](" else "raw"
            url = f"{urls['Source']}{kind}/HEAD/{path}"
        return f"{link['before']}{url}{'#' if anchor else ''}{anchor}"

    return LINK.sub(lead, text)


class IndexPage(MetadataHookInterface):
    """Gives the package's metadata its README."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field ``readme``."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, metadata["urls"]),
        }
