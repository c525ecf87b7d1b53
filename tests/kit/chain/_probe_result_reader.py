"""Trials of the contract of what is probed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from gost_core.chain import (
    Node,
    ProbeResult,
)
from gost_core.testing import Contract
from gost_core.testing.chain import ProbeResultReaderContract
from tests.kit.trial import Trial

TIME_LIMIT = 1.5


async def probe(node: Node, success: bool) -> None:
    """Probe a node once, as a hop does."""
    began = time.time()
    await asyncio.sleep(0)
    ended = time.time()
    error = "" if success else "the node does not answer"
    node.set_probe_result(
        ProbeResult(success=success, latency=ended - began, error=error, timestamp=ended)
    )
    if success:
        node.marker().reset()
    else:
        node.marker().mark()


class Probed:
    """How something is made and probed."""

    def make(self) -> Node:
        return Node("node", "192.0.2.1:1080")

    async def probe(self, node: Node, success: bool) -> None:
        await probe(node, success)


def run(make: Callable[[], Probed]) -> Contract:
    probed = make()
    return ProbeResultReaderContract(probed.make, probe=probed.probe, time_limit=TIME_LIMIT)


trial = Trial[Callable[[], Probed]](ProbeResultReaderContract, run, Probed)


@trial.breaks("shape")
class ResultIsAField(Probed):
    def make(self) -> Node:
        class Field:
            probe_result = None

        return Field()  # type: ignore  # the fault


@trial.breaks("none-at-first")
class ZeroAtFirst(Probed):
    def make(self) -> Node:
        node = super().make()
        node.set_probe_result(ProbeResult())
        return node


@trial.breaks("none-at-first")
class WellUntilItEnds(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        node.set_probe_result(ProbeResult(success=True, timestamp=time.time()))
        await super().probe(node, success)


class Editing(Probed):
    """Changes the result of a probe."""

    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return result

    async def probe(self, node: Node, success: bool) -> None:
        before = node.probe_result()
        await super().probe(node, success)
        result = node.probe_result()
        assert result is not None
        node.set_probe_result(self.edit(result) or before)


@trial.breaks("success-stored")
class StoringFailuresOnly(Editing):
    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return None if result.success else result


@trial.breaks("failure-stored")
class NotSayingWhy(Editing):
    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return replace(result, error="")


@trial.breaks("latest")
class KeepingTheFirst(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        first = node.probe_result()
        await super().probe(node, success)
        if first is not None:
            node.set_probe_result(first)


@trial.breaks("latest")
class KeepingTheError(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        before = node.probe_result()
        await super().probe(node, success)
        result = node.probe_result()
        if before is not None and result is not None:
            node.set_probe_result(replace(result, error=result.error or before.error))


@trial.breaks("timed")
class Untimed(Editing):
    def edit(self, result: ProbeResult) -> ProbeResult | None:
        return replace(result, timestamp=0.0)


@trial.breaks("failure-marks")
class NeverMarking(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        await super().probe(node, success)
        node.marker().reset()


@trial.breaks("success-resets", history="72db96d whose marks a probe resets")
class NeverResettingTheMarker(Probed):
    async def probe(self, node: Node, success: bool) -> None:
        count = node.marker().count()
        await super().probe(node, success)
        while node.marker().count() < count:
            node.marker().mark()


@trial.breaks("latest-alike")
class StoringChangesOnly(Editing):
    """Stores a result when what is probed has come up or gone down."""

    async def probe(self, node: Node, success: bool) -> None:
        before = node.probe_result()
        await super().probe(node, success)
        if before is not None and before.success is success:
            node.set_probe_result(before)


@trial.breaks("success-resets")
class ResettingWhenUpAgain(Probed):
    """Resets the marker only if the probe before has failed."""

    async def probe(self, node: Node, success: bool) -> None:
        before, count = node.probe_result(), node.marker().count()
        await super().probe(node, success)
        if success and before is not None and before.success:
            for _ in range(count):
                node.marker().mark()


@trial.breaks("failure-marks")
class MarkingChangesOnly(Probed):
    """Marks what goes down, and not what stays down."""

    async def probe(self, node: Node, success: bool) -> None:
        before, count = node.probe_result(), node.marker().count()
        await super().probe(node, success)
        if not success and before is not None and not before.success:
            node.marker().reset()
            for _ in range(count):
                node.marker().mark()
