"""The contracts of hops and of node lists."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import deepcopy
from dataclasses import field, fields, replace
from ipaddress import ip_address
from typing import Final, Generic

from typing_extensions import TypeVar

from gost_core.chain import (
    Node,
    NodeFilterSettings,
    NodeOption,
    bypass_node_option,
    matcher_node_option,
    metadata_node_option,
    node_filter_option,
    priority_node_option,
)
from gost_core.common.net import Closer, DeniedError
from gost_core.context import Context
from gost_core.hop import (
    Hop,
    NodeList,
    SelectOption,
    SelectOptions,
    addr_select_option,
    host_select_option,
    network_select_option,
    path_select_option,
    protocol_select_option,
)
from gost_core.keys import HASH_SOURCE
from gost_core.options import FieldOption
from gost_core.routing import Request
from gost_core.testing._families.asking import APART, Asking, Waits
from gost_core.testing._run.attempt import Broken
from gost_core.testing._run.contract import Contract, clause
from gost_core.testing._run.report import describe
from gost_core.testing._run.waiting import (
    expect,
    expect_cancelled,
    given,
    leaving_no_task,
    need,
    owned,
    raises,
    returned,
    settle,
    start,
    turns,
    within,
)
from gost_core.testing._stage.fakes.lookups import FakeBypass, FakeMatcher
from gost_core.testing._stage.memory import MemoryMetadata
from gost_core.testing._stage.streams import TURNS

__all__ = ("HopContract", "NodeListContract")

NodeListT = TypeVar("NodeListT", bound=NodeList, default=NodeList)

# A selector may choose in turn, at random, by hash: what must not be chosen is looked for often.
_TIMES: Final[int] = 30
_DRAWS: Final[int] = 60
# Seconds of a failTimeout that passes at once, and of one that is far from over.
_SHORT: Final[float] = 0.02
_LONG: Final[float] = 60.0
_REQUEST: Final[Sequence[SelectOption]] = (
    network_select_option("udp"),
    addr_select_option("198.51.100.9:80"),
    host_select_option("target.example:80"),
    protocol_select_option("http"),
)


class HopContract(Asking, interface=Hop, first=("chosen",)):
    """What a hop promises that chooses among given nodes."""

    make: Callable[[Sequence[Node]], Hop] = field(kw_only=False)
    """Makes a hop with the nodes, in order, and any selector that goes by D45."""

    async def _specimen(self) -> Hop:
        return self._hop()

    @clause("Of nodes that all fit, one is chosen.", "D40")
    async def chosen(self) -> None:
        for count in (1, 3):
            nodes = [_node(f"node {number}") for number in range(count)]
            name = await self._select(self._hop(*nodes))
            names = [node.name for node in nodes]
            expect(name in names, f"of {names} the hop chose {name!r}")

    @clause("Without nodes, and if none fits, the choice is None.", "D40")
    async def none_fits(self) -> None:
        name = await self._select(self._hop())
        expect(name is None, f"there is no node, and the hop chose {name!r}")
        bypassed = _node("bypassed", bypass_node_option(FakeBypass("192.0.2.")))
        addr = addr_select_option("192.0.2.80:80")
        name = await self._select(self._hop(bypassed), addr)
        expect(name is None, f"the one node is bypassed, and the hop chose {name!r}")

    @clause("What is chosen has the marker of the node, so that failures count.", "D40")
    async def marker_kept(self) -> None:
        node = _node("one")
        chosen = await given(self._hop(node).select(Context()), "select()")
        kept = returned(chosen, "select()").marker() is node.marker()
        expect(kept, "what was chosen has a marker of its own")

    @clause("A node that has failed is not chosen while another lives.", "D45", after=("chosen",))
    async def failed_skipped(self) -> None:
        await self._expect_only("live", _failed("failed"), _node("live"))

    @clause(
        "Each choice goes by failures and rules as they are then.",
        "D45, D47, D48",
        after=("backup_steps_in", "backup_waits", "bypass_skips", "matcher_decides", "reset_lives"),
    )
    async def chosen_anew(self) -> None:
        rules, matcher = FakeBypass(), FakeMatcher(True)
        one = _node("one", matcher_node_option(matcher))
        two = _node("two", bypass_node_option(rules))
        hop, client = self._hop(one, two), Context().with_value(HASH_SOURCE, "192.0.2.1")
        asked = addr_select_option("192.0.2.9:80"), host_select_option("target.example:80")

        async def expect_now(name: str, since: str) -> None:
            found = {await self._select(hop, *asked, ctx=client) for _ in range(_TIMES)}
            expect(found == {name}, f"{since}, and of one and two the hop chose {found}")

        two.marker().mark()
        await expect_now("one", "two has failed")
        one.marker().mark()
        two.marker().reset()
        await expect_now("two", "one has failed, and two is reset")
        two.marker().mark()
        hop = self._hop(one, two, _node("backup", _backup()))
        await expect_now("backup", "one and two have failed")
        two.marker().reset()
        await expect_now("two", "two is reset")
        one.marker().reset()
        rules.prefixes = ("192.0.2.",)
        await expect_now("one", "the bypass of two contains the destination now")
        rules.prefixes, matcher.answer = (), False
        await expect_now("two", "the matcher of one says no now")

    @clause("A node has failed only after `maxFails` failures.", "D45", after=("failed_skipped",))
    async def failures_counted(self) -> None:
        one = _failed("one", metadata_node_option(MemoryMetadata(maxFails=2)))
        await self._expect_only("one", _failed("other"), one)

    @clause(
        "A node that failed may be chosen again after `failTimeout` seconds.",
        "D45",
        after=("chosen_anew", "failed_skipped", "nodes_unchanged"),
    )
    async def failures_expire(self) -> None:
        one = _failed("one", metadata_node_option(MemoryMetadata(failTimeout=_SHORT)))
        hop = self._hop(_failed("other"), one)
        # They are as many after many failures as after one, and however often the node is seen.
        for _ in range(_TIMES):
            one.marker().mark()
            await self._select(hop)
        await asyncio.sleep(2 * _SHORT)
        found = {await self._select(hop) for _ in range(_TIMES)}
        expect(found == {"one"}, f"the failures of one are over, and the hop chose {found}")

    @clause(
        "Until those seconds are over a failure counts in full; 0 or less of them are 10, and a "
        "`maxFails` of 0 or less is 1.",
        "D43, D45",
        after=("failed_skipped",),
    )
    async def failures_last(self) -> None:
        values: tuple[dict[str, object], ...] = (
            {"failTimeout": _LONG},
            {"failTimeout": _LONG, "maxFails": 2},
            {"failTimeout": 0, "maxFails": 0},
            {"failTimeout": -1.0, "maxFails": -1},
            {},
        )
        failed = [_failed(f"{one}", metadata_node_option(MemoryMetadata(**one))) for one in values]
        failed[1].marker().mark()
        for _ in range(_TIMES):
            failed[-1].marker().mark()
        await asyncio.sleep(1.5 * _LONG / 1000)
        for node in failed:
            await self._expect_only("live", node, _node("live"))

    @clause(
        "A value of another type in a node's metadata raises a ValueError that names the key and "
        "the node.",
        "D45",
        after=("chosen",),
    )
    async def wrong_types(self) -> None:
        for key, value in (
            *(("maxFails", value) for value in ("2", 1.5, True)),
            *(("failTimeout", value) for value in ("10", True, float("nan"), float("inf"))),
            *(("backup", value) for value in ("true", 1)),
        ):
            # Whoever reads the key of any node meets the value.
            option = metadata_node_option(MemoryMetadata(**{key: value}))
            hop = self._hop(_failed("peach", option), _failed("peach", option))
            if key == "backup":
                hop = self._hop(_node("peach", option), _node("peach", option))
            what = f"select() with a {key} of {value!r}"
            try:
                chosen = await within(hop.select(Context()), what)
            except ValueError as error:
                named = key in str(error) and "peach" in str(error)
                expect(named, f"{what}, at the node 'peach', raised {describe(error)}")
            else:
                raise Broken(f"{what} raised nothing and chose {chosen!r}")

    @clause("A node whose marker was reset lives.", "D43, D45", after=("failed_skipped",))
    async def reset_lives(self) -> None:
        one = _failed("one")
        one.marker().reset()
        await self._expect_only("one", _failed("other"), one)

    @clause(
        "If all have failed, the first that fits is chosen all the same.", "D45", after=("chosen",)
    )
    async def last_resort(self) -> None:
        misfit = _failed("misfit", matcher_node_option(FakeMatcher(False)))
        second, first = _failed("second", priority_node_option(7)), _failed("first", _backup())
        # Each has failed more often once, and later once.
        for later in (first, second, second):
            later.marker().mark()
            await self._expect_only("first", misfit, first, second)
        await self._expect_only("alone", _failed("alone"))

    @clause("A backup is not chosen while another node lives.", "D45", after=("chosen",))
    async def backup_waits(self) -> None:
        await self._expect_only("main", _node("backup", _backup()), _node("main"))

    @clause(
        "A backup is chosen when the other nodes have failed.", "D45", after=("failed_skipped",)
    )
    async def backup_steps_in(self) -> None:
        backup = _node("backup", _backup())
        await self._expect_only("backup", _failed("main"), _failed("other", _backup()), backup)
        await self._expect_only("backup", backup)

    @clause("The one highest priority above 0 wins.", "D45", after=("chosen",))
    async def priority_wins(self) -> None:
        nodes = [_node(str(number), priority_node_option(number)) for number in (0, 1, 7, 3)]
        await self._expect_only("7", *nodes)
        await self._expect_only("1", *nodes[:2])

    @clause(
        "Where no node alone has the highest priority above 0, a priority changes nothing.",
        "D45",
        after=("priority_wins",),
    )
    async def priority_ties(self) -> None:
        async def chosen(*priorities: int) -> set[str | None]:
            hop = self._hop(
                *(_node(str(n), priority_node_option(one)) for n, one in enumerate(priorities))
            )
            draws = (
                hop.select(Context().with_value(HASH_SOURCE, f"192.0.2.{n}")) for n in range(_DRAWS)
            )
            found = [await given(one, "select()") for one in draws]
            return {None if one is None else one.name for one in found}

        expected = await chosen(0, 0, 0)
        for priorities in ((7, 7, 0), (0, 7, 7), (-1, -5, -5), (0, -1, 0), (-1, -1, -1)):
            found = await chosen(*priorities)
            expect(
                found == expected,
                f"of equal nodes {expected} were chosen, with priorities {priorities} {found}",
            )

    @clause("A priority wins nothing for a node that has failed.", "D45", after=("failed_skipped",))
    async def priority_failed(self) -> None:
        await self._expect_only("low", _failed("high", priority_node_option(7)), _node("low"))

    @clause("A priority wins nothing for a backup.", "D45", after=("backup_waits",))
    async def priority_backup(self) -> None:
        backup = _node("backup", priority_node_option(7), _backup())
        await self._expect_only("main", backup, _node("main"))

    @clause("A node whose bypass contains the destination is left out.", "D47", after=("chosen",))
    async def bypass_skips(self) -> None:
        for whitelist in (False, True):
            # What contains() answers is the whole answer, for a whitelist too.
            rules = (FakeBypass(one, whitelist=whitelist) for one in ("192.0.2.", "198.51.100."))
            bypassed, other = (
                _node(name, bypass_node_option(one))
                for name, one in zip(("bypassed", "other"), rules, strict=True)
            )
            addr = addr_select_option("192.0.2.9:80")
            await self._expect_only("other", bypassed, other, opts=[addr])

    @clause("The bypass is asked by network and address, and told the host.", "D37, D47")
    async def bypass_question(self) -> None:
        rules = FakeBypass()
        hop = self._hop(_node("one", bypass_node_option(rules)))
        await self._select(
            hop,
            network_select_option("udp"),
            addr_select_option("192.0.2.9:80"),
            host_select_option("target.example:80"),
        )
        right = ("udp", "192.0.2.9:80", "target.example:80")
        expect(set(rules.asked) == {right}, f"the bypass was asked {rules.asked}")
        call = hop.select(Context(), host_select_option("target.example:80"))
        await given(call, "select()")
        for _, addr, _ in rules.asked[1:]:
            expect(addr in ("", "target.example:80"), f"without an address it was asked of {addr}")

    @clause(
        "What a bypass or a matcher raises comes through; no other is asked any more then, nor "
        "when select() is cancelled.",
        "D20, D36",
        after=("cancel_passes", "failures_raised"),
    )
    async def errors_pass(self) -> None:
        slow, slower = FakeBypass(), FakeMatcher(True)
        slow.asked.meanwhile = slower.requests.meanwhile = settle
        beside = bypass_node_option(slow), matcher_node_option(slower)
        hop = self._hop(_node("one", *beside), _node("two", *beside))
        slow.asked.hang()
        selecting = start(hop.select(Context(), addr_select_option("192.0.2.9:80")))
        await slow.asked.reached("the bypass")
        await expect_cancelled(selecting, "select()")
        left = len(slow.asked) - slow.asked.cancelled
        expect(not left, f"select() was cancelled, and {left} calls of a bypass go on")
        slow.asked.hang(0)
        for error in (DeniedError("refused by rule"), OSError("out of reach")):
            rules, matcher = FakeBypass(), FakeMatcher(True)
            rules.asked.fail_always(error)
            matcher.requests.fail_always(error)
            for option in (bypass_node_option(rules), matcher_node_option(matcher)):
                hop = self._hop(_node("one", *beside, option), _node("two", *beside))
                call = hop.select(Context(), addr_select_option("192.0.2.9:80"))
                what = f"select() where a rule raises {error!r}"
                await raises(leaving_no_task(call, what), what, type(error))

    @clause("A node whose matcher says no is left out.", "D48", after=("chosen",))
    async def matcher_decides(self) -> None:
        no = _node("no", matcher_node_option(FakeMatcher(False)))
        yes = _node("yes", matcher_node_option(FakeMatcher(True)))
        await self._expect_only("yes", no, yes)

    @clause("If there is a matcher, the filter is not asked.", "D48", after=("matcher_decides",))
    async def matcher_before_filter(self) -> None:
        misfit = node_filter_option(NodeFilterSettings(protocol="ssh"))
        one = _node("one", matcher_node_option(FakeMatcher(True)), misfit)
        other = _node("other", matcher_node_option(FakeMatcher(False)))
        await self._expect_only("one", one, other, opts=[protocol_select_option("http")])

    @clause("The matcher is shown what is known of the request.", "D48")
    async def matcher_request(self) -> None:
        matcher = FakeMatcher(True)
        hop = self._hop(_node("one", matcher_node_option(matcher)))
        known = Request(
            client_ip=ip_address("192.0.2.1"),
            host="target.example:80",
            network="tcp",
            protocol="http",
            method="GET",
            path="/path",
            query={"a": ["2", "1", "2"]},
            header={"Accept": ["text/html", "*/*"]},
            body=b"body",
        )
        for shown in (known, Request(), replace(known, host="")):
            values = {one.name: getattr(shown, one.name) for one in fields(shown)}
            before = deepcopy(values)
            opts = (FieldOption(SelectOptions, name, value) for name, value in values.items())
            await self._select(hop, *opts, addr_select_option("192.0.2.9:80"))
            expect(bool(matcher.requests), "the matcher was not asked")
            expect(values == before, "what was known of the request was changed")
            for name, right in before.items():
                value = getattr(matcher.requests[-1], name)
                expect(value == right, f"the request's {name} is {value!r} instead of {right!r}")

    @clause("A filter's protocol is the request's.", "D48", after=("chosen",))
    async def filter_protocol(self) -> None:
        settings = NodeFilterSettings(protocol="http")
        await self._expect_fits(settings, True, protocol_select_option("http"))
        await self._expect_fits(settings, False, protocol_select_option("tls"))
        await self._expect_fits(settings, False)

    @clause(
        "A filter's host is the request's, without port and case; a request without one misfits.",
        "D12, D37",
        after=("chosen",),
    )
    async def filter_host(self) -> None:
        fits = ("example.com", "example.com:443", "EXAMPLE.com", "example.com.:443")
        for rule in ("example.com", "Example.COM"):
            settings = NodeFilterSettings(host=rule)
            for host in fits:
                await self._expect_fits(settings, True, host_select_option(host))
            for host in ("www.example.com", "example.org", "example.com.org", ""):
                await self._expect_fits(settings, False, host_select_option(host))
        for rule, host, fit in (
            ("2001:db8::1", "[2001:db8::1]:443", True),
            ("2001:db8::1", "2001:DB8:0::1", True),
            ("2001:db8::1", "[2001:db8::2]:443", False),
            ("192.0.2.1", "[::ffff:192.0.2.1]:443", True),
        ):
            await self._expect_fits(NodeFilterSettings(host=rule), fit, host_select_option(host))

    @clause("A filter's host `.d` is everything below d, and not d.", "D12", after=("filter_host",))
    async def filter_host_below(self) -> None:
        settings = NodeFilterSettings(host=".example.com")
        for host in ("www.example.com", "a.b.example.com:443", "WWW.Example.COM.:443"):
            await self._expect_fits(settings, True, host_select_option(host))
        for host in ("example.com", "badexample.com", "www.example.com.org"):
            await self._expect_fits(settings, False, host_select_option(host))

    @clause("A filter's path is what the request's begins with.", "D48", after=("chosen",))
    async def filter_path(self) -> None:
        settings = NodeFilterSettings(path="/api")
        await self._expect_fits(settings, True, path_select_option("/api/one"))
        for path in ("/other/api", "/", ""):
            await self._expect_fits(settings, False, path_select_option(path))

    @clause(
        "Of a filter, everything that is set must fit.",
        "D48",
        after=("filter_protocol", "filter_host"),
    )
    async def filter_all(self) -> None:
        settings = NodeFilterSettings(protocol="http", host="example.com", path="/api")
        parts = (
            (protocol_select_option, "http", "tls"),
            (host_select_option, "example.com", "example.org"),
            (path_select_option, "/api", "/"),
        )
        await self._expect_fits(settings, True, *(part(fit) for part, fit, _ in parts))
        for wrong in parts:
            opts = (part(misfit if part is wrong[0] else fit) for part, fit, misfit in parts)
            await self._expect_fits(settings, False, *opts)

    @clause("The published nodes stay as they are.", "D23, D41", after=("chosen",))
    async def nodes_unchanged(self) -> None:
        nodes = [
            _node("one", bypass_node_option(FakeBypass()), priority_node_option(1)),
            _node("two", node_filter_option(NodeFilterSettings(protocol="http"))),
            _node("three", metadata_node_option(MemoryMetadata(failTimeout=_SHORT))),
        ]
        for failures in (0, 1):
            for node in nodes * failures:
                node.marker().mark()
            # A failure that is over still counts.
            await asyncio.sleep(2 * _SHORT * failures)
            before = [_state(node) for node in nodes]
            hop = self._hop(*nodes)
            for _ in range(3):
                await self._select(hop, *_REQUEST)
            for node, state in zip(nodes, before, strict=True):
                expect(_state(node) == state, f"the node {node.name!r} or its marker was changed")

    def _waits(self) -> Waits:
        rules, matcher = FakeBypass(), FakeMatcher(True)
        bypassing = self._hop(_node("one", bypass_node_option(rules)))
        matching = self._hop(_node("one", matcher_node_option(matcher)))
        yield "the bypass", rules.asked, lambda ctx: bypassing.select(ctx, *_REQUEST)
        yield "the matcher", matcher.requests, lambda ctx: matching.select(ctx, *_REQUEST)

    async def _expect_apart(self) -> None:
        rules = bypass_node_option(bypass := FakeBypass())
        names = [host for _, _, host in APART]
        filters = (node_filter_option(NodeFilterSettings(host=name[:-3])) for name in names)
        hop = self._hop(*(_node(*pair, rules) for pair in zip(names, filters, strict=True)))
        calls = (
            self._select(
                hop,
                network_select_option(network),
                addr_select_option(addr),
                host_select_option(name),
                ctx=Context().with_value(HASH_SOURCE, name),
            )
            for network, addr, name in APART
        )
        found = await asyncio.gather(*calls)
        expect(found == names, f"for requests to {names} at once the hop chose {found}")
        for (*_, name), ctx in zip(bypass.asked, bypass.asked.contexts, strict=True):
            of = ctx.value(HASH_SOURCE) or name
            expect(of == name, f"of {name} the bypass was asked with the values of {of}")
        asked = set(bypass.asked)
        expect(asked <= {*APART}, f"of requests {APART} the bypass was asked {asked}")

    @clause("Closing it ends its tasks; a hop that is no Closer has none.", "D19, D20")
    async def close_ends_tasks(self) -> None:
        before = asyncio.all_tasks()
        hop = self.make([_node("one"), _node("two")])
        await self._select(hop)
        if isinstance(hop, Closer):
            await given(hop.close(), "close()")
        left = [task.get_name() for task in asyncio.all_tasks() - before]
        expect(not left, f"{len(left)} tasks are left: {left}")

    async def _expect_only(
        self, name: str, *nodes: Node, opts: Sequence[SelectOption] = ()
    ) -> None:
        """Break the clause unless the hop chooses the node ``name`` whenever it is asked."""
        hop = self._hop(*nodes)
        for _ in range(_TIMES):
            chosen = await self._select(hop, *opts)
            names = [node.name for node in nodes]
            expect(chosen == name, f"of {names} the hop chose {chosen!r} instead of {name!r}")

    async def _expect_fits(
        self, settings: NodeFilterSettings, fits: bool, *opts: SelectOption
    ) -> None:
        chosen = await self._select(self._hop(_node("one", node_filter_option(settings))), *opts)
        request = ", ".join(map(repr, opts)) or "a request of which nothing is known"
        expected = "one" if fits else None
        what = f"{settings} chose {chosen!r} instead of {expected!r}: {request}"
        expect(chosen == expected, what)

    async def _select(
        self, hop: Hop, *opts: SelectOption, ctx: Context | None = None
    ) -> str | None:
        chosen = await given(hop.select(ctx or Context(), *opts), "select()")
        return None if chosen is None else chosen.name

    def _hop(self, *nodes: Node) -> Hop:
        return owned(self.make(nodes))


def _node(name: str, *opts: NodeOption) -> Node:
    return Node(name, "192.0.2.1:1080", *opts)


def _failed(name: str, *opts: NodeOption) -> Node:
    """Make a node that has failed once, just now."""
    node = _node(name, *opts)
    node.marker().mark()
    return node


def _backup() -> NodeOption:
    return metadata_node_option(MemoryMetadata(backup=True))


def _state(node: Node) -> list[object]:
    options = node.options()
    marker = node.marker()
    values = (getattr(options, one.name) for one in fields(options))
    return [node.name, node.addr, marker.count(), marker.time(), *values]


class NodeListContract(Contract, Generic[NodeListT], interface=NodeList):
    """What a node list promises."""

    make: Callable[[Sequence[Node]], NodeListT] = field(kw_only=False)
    """Makes one of the nodes, in order."""
    reload: Callable[[NodeListT, Sequence[Node]], Awaitable[object]] | None = None
    """Has it show other nodes from now on, as a reload does."""

    async def _specimen(self) -> NodeListT:
        return self._list(())

    @clause(
        "nodes() returns all nodes in order, failed ones and backups too, from construction on.",
        "D40",
    )
    async def complete(self) -> None:
        misfit = node_filter_option(NodeFilterSettings(protocol="none"))
        nodes = [
            _node("one"),
            _failed("two", priority_node_option(7)),
            _node("three", _backup(), misfit),
            *(Node(f"at {addr!r}", addr) for addr in ("/run/node.sock", "node.example", "")),
        ]
        own = [node.name for node in nodes]
        found = [node for node in self._list(nodes).nodes() if _is_node(node)]
        names = [node.name for node in found]
        expect(names == own, f"of the nodes {own}, right after construction, nodes() has {names}")
        kept = [one.marker() is node.marker() for one, node in zip(found, nodes, strict=True)]
        expect(all(kept), "a node that nodes() returned has a marker of its own")

    @clause("Without nodes it is empty, and not None.", "D40")
    async def empty(self) -> None:
        found = self._list(()).nodes()
        # The type rules None out; an object on trial need not keep to its types.
        is_none = found is None  # pyright: ignore[reportUnnecessaryComparison]
        expect(not is_none, "nodes() returned None")
        expect(not [node for node in found if _is_node(node)], f"there are no nodes but {found!r}")

    @clause("There is no None inside.", "D40", after=("empty",))
    async def no_none(self) -> None:
        for nodes in ((), (_node("one"),)):
            found = self._list(nodes).nodes()
            expect(all(_is_node(node) for node in found), f"nodes() returned {list(found)}")

    @clause(
        "What nodes() returned is a snapshot: later changes show in the next one, and not in it.",
        "D40",
        after=("complete", "no_none"),
    )
    async def snapshot(self) -> None:
        reload, nodes = need(self.reload, "reload"), [_node("one")]
        node_list = self._list(nodes)
        snapshots = [(node_list.nodes(), _addresses(nodes))]
        for number in (2, 3):
            nodes = [Node(name, f"192.0.2.{number}:1080") for name in ("one", "two")]
            await given(reload(node_list, nodes), "the reload")
            snapshots.append((node_list.nodes(), _addresses(nodes)))
        for found, own in snapshots:
            told = _addresses(found)
            expect(told == own, f"after reloads, what nodes() had returned of {own} is {told}")

    @clause(
        "Beside a reload too, nodes() is not empty, and there is no None inside.",
        "D40",
        after=("snapshot",),
    )
    async def beside_reload(self) -> None:
        reload, nodes = need(self.reload, "reload"), [_node("one"), _node("two")]
        node_list = self._list(nodes)
        reloading = start(reload(node_list, nodes[::-1]))
        for _ in range(TURNS):
            found = list(node_list.nodes())
            whole = bool(found) and all(map(_is_node, found))
            expect(whole, f"beside a reload from two nodes to two, nodes() returned {found}")
            await turns(1)
        await given(reloading, "the reload")

    def _list(self, nodes: Sequence[Node]) -> NodeListT:
        return owned(self.make(nodes))


def _addresses(nodes: Sequence[Node]) -> list[tuple[str, str]]:
    return [(node.name, node.addr) for node in nodes]


def _is_node(value: object) -> bool:
    return isinstance(value, Node)
