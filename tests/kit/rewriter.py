"""Trials of the contract of rewriters."""

import asyncio
from collections.abc import Callable
from typing import Final

from typing_extensions import Buffer

from gost_core.context import Context
from gost_core.options import apply
from gost_core.rewriter import RewriteOption, RewriteOptions, Rewriter
from gost_core.testing import Contract
from gost_core.testing.rewriter import RewriterContract
from tests.kit._backend import Asking, Deaf, Leaking
from tests.kit.trial import Trial

SAMPLES: Final[dict[bytes, bytes]] = {
    b"a black cat": b"a black dog",
    b"no animal at all": b"no animal at all",
    b"cat, cat": b"dog, dog",
}


class RightRewriter(Asking):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        apply(RewriteOptions(), *opts)
        if data is None:
            return b""
        body = bytes(data)
        await self.ask()
        return body.replace(b"cat", b"dog")


def run(make: Callable[[], Rewriter]) -> Contract:
    return RewriterContract(make, samples=SAMPLES, time_limit=2.0)


trial = Trial[Callable[[], Rewriter]](RewriterContract, run, RightRewriter)


@trial.breaks("shape")
class SyncRewriter:
    def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        return bytes(data or b"")


@trial.breaks("rewritten", history="x rewriter plugins: a failure leaves the body unchanged")
class Unchanged(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        return bytes(data or b"")


@trial.breaks("options")
class LeavingItsTimer(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        timer = asyncio.create_task(asyncio.sleep(30.0))
        result = await super().rewrite(ctx, data, *opts)
        timer.cancel()
        return result


@trial.breaks("empty-legal", history="x grpc rewriter: no answer for an empty body")
class NothingForEmpty(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        result = await super().rewrite(ctx, data, *opts)
        return result if result or data is None else None  # type: ignore  # the fault


@trial.breaks("end-legal", history="3193eeb the end is matched like a body")
class MatchingTheEnd(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        body = bytes(data)  # type: ignore  # the fault
        return await super().rewrite(ctx, body, *opts)


@trial.breaks("next-stream")
class EndedForGood(RightRewriter):
    ended = False

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.ended = self.ended or data is None
        return b"" if self.ended else await super().rewrite(ctx, data, *opts)


@trial.breaks("input-unchanged")
class RewritingInPlace(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        result = await super().rewrite(ctx, data, *opts)
        if data is not None and not memoryview(data).readonly:
            memoryview(data)[:] = result
        return result


@trial.breaks("streams-apart")
class OneBufferForAll(RightRewriter):
    body = b""

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.body = bytes(data or b"")
        await asyncio.sleep(0)
        return self.body.replace(b"cat", b"dog")


@trial.breaks("unknown-metadata-ignored")
class AddressedOnly(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        metadata = apply(RewriteOptions(), *opts).metadata
        if isinstance(metadata, dict) and "uri" not in metadata:
            return bytes(data or b"")
        return await super().rewrite(ctx, data)


@trial.breaks("next-stream")
class EndedByEmpty(RightRewriter):
    ended = False

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.ended = self.ended or data == b""
        return b"" if self.ended else await super().rewrite(ctx, data, *opts)


@trial.breaks("long-whole")
class CuttingAt64KiB(RightRewriter):
    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        return (await super().rewrite(ctx, data, *opts))[: 64 * 1024]


@trial.breaks("nothing-carried-over")
class RememberingByLength(RightRewriter):
    def __init__(self) -> None:
        self.made: dict[int, bytes] = {}

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        length = len(bytes(data or b""))
        if length not in self.made:
            self.made[length] = await super().rewrite(ctx, data, *opts)
        return self.made[length]


@trial.breaks("nothing-carried-over")
class KeepingHalfAWord(RightRewriter):
    rest = b""

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        body = self.rest + bytes(data or b"")
        self.rest = b"ca" if body.endswith(b"ca") else b""
        return await super().rewrite(ctx, body.removesuffix(b"ca"), *opts)


@trial.breaks("next-stream")
class EndingWithTheLast(RightRewriter):
    last = b""

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        if data:
            self.last = await super().rewrite(ctx, data, *opts)
        return self.last if data or data is None else b""


@trial.breaks("cancelled")
class DeafRewriter(Deaf, RightRewriter): ...


@trial.breaks("next-after-cancelled")
class LeakingRewriter(Leaking, RightRewriter): ...


@trial.breaks("options")
class KeepingOptions(RightRewriter):
    options = RewriteOptions()

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        apply(self.options, *opts)
        return await super().rewrite(ctx, data)


@trial.breaks("unknown-metadata-ignored")
class AddingToMetadata(RightRewriter):
    """Sends the body in the mapping of metadata."""

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        payload = apply(RewriteOptions(), *opts).metadata
        if isinstance(payload, dict):
            payload["size"] = len(bytes(data or b""))
        return await super().rewrite(ctx, data, *opts)


@trial.breaks("nothing-carried-over")
class KnowingBodiesByTheirEnds(RightRewriter):
    """Keeps what became of a body, under its length and its ends."""

    def __init__(self) -> None:
        self.made: dict[tuple[int, bytes, bytes], bytes] = {}

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        made = await super().rewrite(ctx, data, *opts)
        body = bytes(data or b"")
        return self.made.setdefault((len(body), body[:1024], body[-1024:]), made)


@trial.breaks("input-unchanged")
class KeepingAView(RightRewriter):
    """Keeps a view of the last body, so that its owner cannot make it shorter."""

    view: memoryview | None = None

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.view = None if data is None else memoryview(data)
        return await super().rewrite(ctx, self.view, *opts)


@trial.breaks("input-unchanged")
class KnowingTheBuffer(RightRewriter):
    """Answers for the same object what it answered before, whatever is in it now."""

    def __init__(self) -> None:
        self.last: Buffer | None = None
        self.made = b""

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        made = self.made
        if data is None or data is not self.last:
            made = await super().rewrite(ctx, data, *opts)
            self.last, self.made = data, made
        return made


@trial.breaks("options")
class RewriterKeepingContexts(RightRewriter):
    def __init__(self) -> None:
        self.contexts: list[Context] = []

    async def rewrite(self, ctx: Context, data: Buffer | None, /, *opts: RewriteOption) -> bytes:
        self.contexts.append(ctx)
        return await super().rewrite(ctx, data, *opts)


trials = (trial,)
