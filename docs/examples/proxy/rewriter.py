"""What is changed in bodies."""

import re

from typing_extensions import Buffer

from gost_core import rewriter
from gost_core.context import Context
from gost_core.options import apply


class PatternRewriter(rewriter.Rewriter):
    """Replaces what a pattern finds; it holds no state, so no stream has an end to speak of."""

    def __init__(self, pattern: re.Pattern[bytes], replacement: bytes) -> None:
        self._pattern = pattern
        self._replacement = replacement

    async def rewrite(
        self, ctx: Context, data: Buffer | None, /, *opts: rewriter.RewriteOption
    ) -> bytes:
        apply(rewriter.RewriteOptions(), *opts)
        return b"" if data is None else self._pattern.sub(self._replacement, bytes(data))
