"""Rewriting the bodies of HTTP messages: a rewriter, and the rules of a node that ask for it."""

import json
import re
from collections.abc import AsyncGenerator, AsyncIterable, Mapping, Sequence
from contextlib import suppress

from typing_extensions import Buffer

from gost_core import rewriter
from gost_core.chain import HTTPBodyRewriteSettings
from gost_core.context import Context
from gost_core.options import apply

EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


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
        self._rules = [rule for rule in rules if _fits(rule, media_type)]
        self._option = rewriter.metadata_rewrite_option(metadata)
        self.is_stream = media_type == "text/event-stream"
        self.limit = max((rule.max_chunk_size for rule in rules), default=0) or 1 << 20

    def __bool__(self) -> bool:
        return bool(self._rules)

    async def rewrite(self, body: bytes, after: int = 0) -> bytes:
        """Apply the rules to a body or an event, each to what the one before it has made."""
        for rule in self._rules[after:]:
            body = await self._apply(rule, body)
        return body

    async def rewrite_events(self, stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
        """Apply the rules to an event stream: to each event, and to the end of all (D57)."""
        held, too_long = b"", False
        try:
            async for data in stream:
                held += data
                while (end := EVENT_END.search(held)) is not None:
                    event, held = held[: end.start()], held[end.end() :]
                    if not too_long:
                        event = await self.rewrite(event)
                    if event or too_long:
                        yield event + b"\n\n"
                    too_long = False
                if len(held) > self.limit:
                    yield held
                    held, too_long = b"", True
        except BaseException:
            with suppress(Exception):  # the first fault is the one to tell
                await self._end()
            raise
        yield held + await self._end()

    async def _end(self) -> bytes:
        added = b""
        for number, rule in enumerate(self._rules, 1):
            if rule.rewriter is not None:
                last = await rule.rewriter.rewrite(self._ctx, None, self._option)
                last = await self.rewrite(last, number) if last else b""
                added += last + b"\n\n" if last else b""
        return added

    async def _apply(self, rule: HTTPBodyRewriteSettings, body: bytes) -> bytes:
        kind, _, path = rule.type.partition(":")
        if kind != "json":
            return await self._replace(rule, body)
        *above, name = path.split(".")
        try:
            document = inner = json.loads(body)
            for key in above:
                inner = inner[key]
            text = inner[name]
        except (ValueError, LookupError, TypeError):  # no JSON, or not of this shape
            return body
        if not isinstance(text, str):
            return body
        inner[name] = (await self._replace(rule, text.encode())).decode()
        return json.dumps(document).encode()

    async def _replace(self, rule: HTTPBodyRewriteSettings, body: bytes) -> bytes:
        if rule.rewriter is None:
            return (
                rule.replacement
                if rule.pattern is None
                else rule.pattern.sub(rule.replacement, body)
            )
        if rule.pattern is not None and not rule.pattern.search(body):
            return body
        return await rule.rewriter.rewrite(self._ctx, body, self._option)


def _fits(rule: HTTPBodyRewriteSettings, media_type: str) -> bool:
    if rule.type.startswith("json:"):
        return media_type == "application/json"
    wanted = rule.type or ("*" if rule.rewriter is not None else "text/html")
    return wanted == "*" or media_type in [one.strip().lower() for one in wanted.split(",")]
