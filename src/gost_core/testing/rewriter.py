"""The contract of rewriters."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from itertools import pairwise
from typing import Final

from typing_extensions import Buffer

from gost_core.context import Context
from gost_core.rewriter import RewriteOption, RewriteOptions, Rewriter, metadata_rewrite_option
from gost_core.testing._families.calls import Calls, Methods
from gost_core.testing._families.lent import lend
from gost_core.testing._families.options import AnyOption, TakesOptions, lend_contexts
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import clause
from gost_core.testing._run.waiting import expect, need, owned, within

__all__ = ("RewriterContract",)

# Bytes: more than most buffers hold.
_LONG: Final[int] = 300_000
# More than is looked at of a body to tell what it is.
_END: Final[int] = 4096


class RewriterContract(
    Calls[Rewriter],
    TakesOptions,
    interface=Rewriter,
    first=("rewritten",),
    said={
        "options": (
            "Any callable may be an option of rewrite(); each is applied once, in order. The "
            "context is not kept.",
            "D23, D69",
        )
    },
):
    """What a rewriter promises."""

    make: Callable[[], Rewriter] = field(kw_only=False)
    """Makes a rewriter. It is closed at the end, if it is a Closer."""
    samples: Mapping[bytes, bytes] | None = None
    """Bodies, with what it makes of each; at least two, so that mixing them shows."""

    def _build(self) -> Rewriter:
        return owned(self.make())

    _options = RewriteOptions

    async def _ready(self) -> Rewriter:
        return self._build()

    async def _methods(self, component: Rewriter) -> Methods:
        async def rewrite(data: bytes, wanted: bytes) -> None:
            result = await component.rewrite(Context(), data)
            expect(result == wanted, f"rewrite({data!r}) returned {result!r} when it was cancelled")

        samples = self.samples or {}
        return {f"rewrite({one!r})": partial(rewrite, one, to) for one, to in samples.items()}

    async def _call_with(self, *opts: AnyOption) -> None:
        rewriter = self._build()
        await lend_contexts(lambda ctx: rewriter.rewrite(ctx, b"", *opts), "rewrite()")

    def _samples(self) -> Mapping[bytes, bytes]:
        return need(self.samples or None, "samples")

    async def _rewrite(
        self, rewriter: Rewriter, data: Buffer | None, what: str, *opts: RewriteOption
    ) -> bytes:
        return _bytes(await within(rewriter.rewrite(Context(), data, *opts), what), what)

    async def _expect_rewritten(self, rewriter: Rewriter, when: str, *opts: RewriteOption) -> None:
        for data, wanted in self._samples().items():
            result = await self._rewrite(rewriter, data, f"rewrite({data!r})", *opts)
            expect(result == wanted, f"rewrite({data!r}) returned {result!r}{when}, not {wanted!r}")

    async def _tried(self, rewriter: Rewriter, data: bytes) -> bytes | None:
        """Rewrite what is perhaps no body; return None if that is refused."""
        try:
            return await self._rewrite(rewriter, data, f"rewrite() of {len(data)} bytes")
        except Broken:
            raise
        except Exception:
            return None

    @clause("rewrite() returns, as bytes, what stands in place of what it was given.", "D57")
    async def rewritten(self) -> None:
        await self._expect_rewritten(self._build(), "")

    @clause("A long body is rewritten whole, or refused.", "D57", after=("rewritten",))
    async def long_whole(self) -> None:
        for data, wanted in self._samples().items():
            rewriter = self._build()
            many = _LONG // max(1, len(data))
            made = {n: await self._tried(rewriter, data * n) for n in (2, 3, many)}
            *few, long = [result in (None, wanted * n) for n, result in made.items()]
            # To some, what stands there several times is something else.
            expect(long or not all(few), f"a body of {len(data) * many} bytes was not rewritten")

    @clause('b"", an empty body, is legal.', "D57")
    async def empty_legal(self) -> None:
        await self._rewrite(self._build(), b"", 'rewrite(b"")')

    @clause("None, the end of a stream, is legal and gets bytes.", "D57")
    async def end_legal(self) -> None:
        await self._rewrite(self._build(), None, "rewrite(None)")

    @clause(
        "The end of one stream, and an empty body, leave the rewriter fit for the next.",
        "D57",
        after=("empty_legal", "end_legal", "rewritten"),
    )
    async def next_stream(self) -> None:
        rewriter, samples = self._build(), self._samples()
        for _ in range(2):
            await self._expect_rewritten(rewriter, " after the end of a stream")
            await self._rewrite(rewriter, b"", 'rewrite(b"")')
            await self._expect_rewritten(rewriter, " after an empty body")
            end = await self._rewrite(rewriter, None, "rewrite(None)")
            again = end and end in samples.values()
            expect(not again, f"rewrite(None) returned {end!r}, which an earlier body became")

    @clause(
        "Nothing of a body shows in a later one, be it like the later one, or cut off.",
        "D57",
        after=("long_whole", "rewritten"),
    )
    async def nothing_carried_over(self) -> None:
        rewriter = self._build()
        # At most some 30 of each.
        sizes = {data: range(1, len(data), len(data) // 30 + 1) for data in self._samples()}
        parts = [data[:size] for data, several in sizes.items() for size in several]
        for part in parts:
            await self._tried(rewriter, part)
        for part in parts:
            await self._tried(rewriter, part)
            await self._expect_rewritten(rewriter, f" after {part!r}")
        for one, other in pairwise(self._samples()):
            rewriter, ends = self._build(), one * (_END // max(1, len(one)))
            # Bodies of one length, with the same at their ends.
            for middle, times in ((one, len(other)), (other, len(one))):
                data = ends + (middle * times)[:_LONG] + ends
                alone = await self._tried(self._build(), data)
                again = await self._tried(self._build(), data) == alone
                made = await self._tried(rewriter, data)
                expect(
                    not again or made in (None, alone),
                    f"{data!r:.50} became {made!r:.50} after another",
                )

    @clause("Any buffer is taken, and is neither changed nor kept.", "D57", after=("rewritten",))
    async def input_unchanged(self) -> None:
        rewriter = self._build()

        async def rewrite(wanted: bytes, given: Buffer) -> None:
            what = f"rewrite() of a {type(given).__name__}"
            result = await self._rewrite(rewriter, given, what)
            expect(result == wanted, f"{what} returned {result!r} instead of {wanted!r}")

        for view in ((), (memoryview,)):
            # The same one each time, with something else in it.
            buffer = bytearray()
            for data, wanted in self._samples().items():
                buffer += data
                await lend(partial(rewrite, wanted), buffer, *view)

    @clause("Calls for different streams overlap without mixing.", "D57", after=("rewritten",))
    async def streams_apart(self) -> None:
        rewriter = self._build()
        streams = asyncio.gather(*(self._stream(rewriter, data) for data in self._samples()))
        await within(streams, "rewrite(), several at once,")

    async def _stream(self, rewriter: Rewriter, data: bytes) -> None:
        for _ in range(5):
            result = await rewriter.rewrite(Context(), data)
            wanted = self._samples()[data]
            expect(
                result == wanted,
                f"rewrite({data!r}) returned {result!r} instead of {wanted!r} beside other calls",
            )

    @clause(
        "Metadata that it does not know, of any kind that JSON can hold, changes nothing, and is "
        "not changed.",
        "D23, D57",
        after=("rewritten",),
    )
    async def unknown_metadata_ignored(self) -> None:
        rewriter = self._build()
        for metadata in (None, True, 1, "text", [1, "two"], {"gost-core-testing": {"a": None}}):
            option, before = metadata_rewrite_option(metadata), repr(metadata)
            await self._expect_rewritten(rewriter, f" with the metadata {before}", option)
            expect(repr(metadata) == before, f"the metadata {before} became {metadata!r}")


def _bytes(result: object, what: str) -> bytes:
    if not isinstance(result, bytes):
        raise Broken(f"{what} returned {type(result).__qualname__} instead of bytes")
    return result
