"""Rewriting the bodies of HTTP messages: a rewriter, and the rules of a node that ask for it."""

import re
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import suppress

from gost_core import rewriter
from gost_core.chain import HTTPBodyRewriteSettings
from gost_core.common.net import ProtocolError
from gost_core.context import Context

EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class BodyRules:
    """Those of a node's rules that fit a media type (D68)."""

    def __init__(
        self,
        ctx: Context,
        rules: Sequence[HTTPBodyRewriteSettings],
        media_type: str,
        metadata: Mapping[str, str],
    ) -> None:
        self._ctx = ctx
        if any(rule.type.startswith("json:") for rule in rules):
            raise ValueError("rules on fields of JSON are not served here")
        self._rules = [rule for rule in rules if _fits(rule, media_type)]
        self._option = rewriter.metadata_rewrite_option(metadata)
        self.is_stream = media_type == "text/event-stream"
        self.limit = max((rule.max_chunk_size for rule in rules), default=0) or 1 << 20

    def __bool__(self) -> bool:
        return bool(self._rules)

    async def rewrite(self, body: bytes) -> bytes:
        """Apply the rules to a body or an event, each to what the one before it has made."""
        for rule in self._rules:
            body = await self._apply(rule, body)
        return body

    async def rewrite_events(self, stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """Apply the rules to an event stream: to each event, and to the end of all (D57)."""
        held = b""
        try:
            async for data in stream:
                *events, held = EVENT_END.split(held + data)
                if len(held) > self.limit:
                    raise ProtocolError(f"an event is longer than {self.limit} bytes")
                for event in events:
                    if rewritten := await self.rewrite(event):
                        yield rewritten + b"\n\n"
        except BaseException:
            with suppress(Exception):  # the first fault is the one to tell
                await self._end()
            raise
        yield await self._end()  # what no empty line ends is no event

    async def _end(self) -> bytes:
        last = b""
        for rule in self._rules:
            last = await self._apply(rule, last) if last else b""
            if rule.rewriter is not None:
                last += await rule.rewriter.rewrite(self._ctx, None, self._option)
        return last + b"\n\n" if last else b""

    async def _apply(self, rule: HTTPBodyRewriteSettings, body: bytes) -> bytes:
        if rule.pattern is not None and not rule.pattern.search(body):
            return body
        if rule.rewriter is not None:
            return await rule.rewriter.rewrite(self._ctx, body, self._option)
        return rule.pattern.sub(rule.replacement, body) if rule.pattern else rule.replacement


def _fits(rule: HTTPBodyRewriteSettings, media_type: str) -> bool:
    wanted = rule.type or ("*" if rule.rewriter is not None else "text/html")
    return wanted == "*" or media_type in [one.strip().lower() for one in wanted.split(",")]
