"""The views of the architecture, drawn by hand: a function for each."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from docs._made.canvas import WIDTH, Box, Canvas, Point, Tone

LEFT: Final = 12
"""Where the way down stands, from the left."""
WIDE: Final = 176
ASIDE: Final = 220
"""Where those stand who are asked on the way."""
NARROW: Final = WIDTH - ASIDE - 12
HALF: Final = 156
"""The width of one of two boxes side by side."""
RIGHT: Final = WIDTH - LEFT - HALF
INDENT: Final = LEFT + WIDE / 2 + 10
"""Where the words beside an arrow of the way down begin."""


def forward_path(draw: Canvas) -> None:
    """From a client to its target."""
    client = draw.outside(LEFT, 4, WIDE, "client")
    draw.panel(50, 352, "service.Service", indent=ASIDE - 4)
    listener = way(draw, 76, "listener.Listener", "service", "accept")
    draw.arrow(client.bottom, listener.top)
    handler = way(draw, 166, "handler.Handler", "service", "handle")
    draw.arrow(listener.bottom, handler.top)
    draw.lines(INDENT, 145, "a Conn, and", "a Context")
    admission = asked(draw, 76, "admission.Admission", "admit")
    draw.arrow(listener.right, admission.left)
    auth = asked(draw, 166, "auth.Authenticator", "authenticate")
    draw.arrow(handler.right, auth.left)
    for y, name, member in (
        (228, "bypass.Bypass", "contains"),
        (290, "limiter.rate.RateLimiter", "limiter"),
    ):
        box = asked(draw, y, name, member)
        turn = Point((LEFT + WIDE + ASIDE) / 2, handler.right.y)
        draw.arrow(handler.right, turn, Point(turn.x, box.left.y), box.left)
    draw.lines(INDENT, 262, "the target;", "then bytes,", "both ways,", "until both end")

    router = way(draw, 376, "chain.Router", "route", "dial")
    draw.arrow(handler.bottom, router.top)
    mapper = asked(draw, 376, "hosts.HostMapper", "lookup")
    resolver = asked(draw, 438, "resolver.Resolver", "resolve")
    draw.arrow(router.right, mapper.left)
    turn = Point((LEFT + WIDE + ASIDE) / 2, router.right.y)
    draw.arrow(router.right, turn, Point(turn.x, resolver.left.y), resolver.left)
    chainer = way(draw, 500, "chain.Chainer", "route", "route")
    draw.arrow(router.bottom, chainer.top)
    draw.lines(INDENT, 455, "which way?")
    hop = asked(draw, 500, "hop.Hop", "select", "route")
    draw.arrow(chainer.right, hop.left)
    selector = asked(draw, 577, "selector.Selector", "select", "route")
    draw.arrow(hop.bottom, selector.top)
    route = way(draw, 624, "chain.Route", "route", "dial")
    draw.arrow(chainer.bottom, route.top)
    draw.lines(INDENT, 584, "a Node for", "each hop")

    panel = draw.panel(710, 1027, "chain.Transporter")
    draw.words(146, 728, "of each node, in turn", "muted")
    draw.arrow(route.bottom, Point(route.bottom.x, panel.y))
    steps = [
        way(draw, 740, "dialer.Dialer", "out", "dial"),
        way(draw, 814, "dialer.Handshaker", "out", "handshake", maybe=True),
        way(draw, 888, "connector.Handshaker", "out", "handshake", maybe=True),
        way(draw, 962, "connector.Connector", "out", "connect"),
    ]
    for one, next_one in pairwise(steps):
        draw.arrow(one.bottom, next_one.top)
    beside = LEFT + WIDE + 14
    draw.lines(beside, 764, "opens the transport:", "TCP, TLS, a stream")
    draw.lines(beside, 838, "makes a connection", "into the transport")
    draw.lines(beside, 912, "greeting and login", "at the proxy")
    draw.lines(beside, 986, "asks for the next", "node or the target")
    target = draw.outside(LEFT, 1058, WIDE, "target")
    draw.arrow(steps[-1].bottom, target.top)
    draw.legend(beside, 1070, "a step that", "may be missing")


def way(draw: Canvas, y: float, name: str, tone: Tone, *members: str, maybe: bool = False) -> Box:
    """Draw a station of the way down."""
    return draw.interface(LEFT, y, WIDE, name, tone, members=members, maybe=maybe)


def asked(draw: Canvas, y: float, name: str, member: str, tone: Tone = "support") -> Box:
    """Draw one who is asked on the way."""
    return draw.interface(ASIDE, y, NARROW, name, tone, members=[member])


def reverse_path(draw: Canvas) -> None:
    """From a listener that goes out to bind, back to its handler."""
    draw.panel(4, 584, "behind the firewall")
    service = way(draw, 34, "service.Service", "service", "serve")
    handler = asked(draw, 34, "handler.Handler", "handle", "service")
    listener = draw.interface(
        LEFT,
        128,
        WIDTH - 2 * LEFT,
        "listener.Listener",
        "service",
        members=["init", "accept", "close"],
    )
    draw.arrow(service.bottom, Point(service.bottom.x, listener.y))
    draw.lines(INDENT, 112, "accepts")
    draw.arrow(service.right, handler.left)

    router = way(draw, 222, "chain.Router", "route", "bind")
    draw.arrow(Point(router.top.x, listener.end), router.top)
    draw.lines(INDENT, 205, "binds, once")
    route = way(draw, 306, "chain.Route", "route", "bind")
    draw.arrow(router.bottom, route.top)
    transporter = way(draw, 400, "chain.Transporter", "out", "bind")
    draw.arrow(route.bottom, transporter.top)
    draw.lines(INDENT, 378, "node by node,", "to the last")
    binder = way(draw, 494, "connector.Binder", "out", "bind", maybe=True)
    draw.arrow(transporter.bottom, binder.top)

    bound = asked(draw, 400, "common.net.Listener", "accept", "out")
    given, arriving = bound.x + 24, bound.right_edge - 16
    draw.arrow(binder.right, Point(given, binder.right.y), Point(given, bound.end))
    draw.lines(ASIDE, 542, "gives a listener", "that owns", "the tunnel")
    draw.arrow(bound.top, Point(bound.top.x, listener.end), tone="service")
    draw.lines(bound.top.x - 74, 286, "a Conn,", "with the", "visitor's", "address")
    draw.arrow(Point(handler.bottom.x, listener.y), handler.bottom, tone="service")

    draw.panel(660, 742, "the proxy at the far end", indent=INDENT - 4)
    public = draw.outside(LEFT, 696, WIDTH - 2 * LEFT, "the address that was bound")
    draw.arrow(binder.bottom, Point(binder.bottom.x, public.y))
    draw.lines(INDENT, 616, "asks the proxy", "to listen")
    draw.arrow(Point(arriving, public.y), Point(arriving, bound.end), tone="service")
    draw.words(arriving - 10, 616, "the connections,", "muted", "end")
    draw.words(arriving - 10, 630, "by the tunnel", "muted", "end")
    visitor = draw.outside(ASIDE, 786, NARROW, "visitor")
    draw.arrow(visitor.top, Point(visitor.top.x, public.end), tone="service")
    draw.legend(LEFT, 798, "a connector that can", "bind; not all can")


class Given(NamedTuple):
    """What answers a question, each with a method: for a listener, and for a handler."""

    question: str
    to_listener: tuple[tuple[str, str], ...]
    to_handler: tuple[tuple[str, str], ...]


GIVEN: Final = (
    Given(
        "who may come in",
        (("admission.Admission", "admit"), ("auth.Authenticator", "authenticate")),
        (("auth.Authenticator", "authenticate"),),
    ),
    Given(
        "how much",
        (("limiter.conn.ConnLimiter", "limiter"), ("limiter.traffic.TrafficLimiter", "in_")),
        (("limiter.rate.RateLimiter", "limiter"), ("limiter.traffic.TrafficLimiter", "in_")),
    ),
    Given(
        "where to",
        (("chain.Router", "bind"),),
        (("chain.Router", "dial"), ("bypass.Bypass", "contains")),
    ),
    Given(
        "who looks on",
        (("observer.stats.Stats", "add"), ("logger.Logger", "infof")),
        (
            ("observer.Observer", "observe"),
            ("recorder.Recorder", "record"),
            ("logger.Logger", "infof"),
        ),
    ),
    Given("what is changed", (), (("rewriter.Rewriter", "rewrite"),)),
    Given("what is kept", (), (("cache.Cache", "get"),)),
)
"""What the options of a listener and of a handler have a place for."""


def service(draw: Canvas) -> None:
    """What a service is made of."""
    draw.panel(4, 172, "service.Service")
    for x, member in ((RIGHT, "serve"), (RIGHT + 56, "addr"), (RIGHT + 105, "close")):
        draw.call(x, 22, f"service.Service.{member}")
    listener = draw.interface(
        LEFT, 36, HALF, "listener.Listener", "service", members=["accept", "addr"]
    )
    handler = draw.interface(RIGHT, 36, HALF, "handler.Handler", "service", members=["handle"])
    draw.arrow(listener.right, handler.left)
    forwarder = draw.interface(
        RIGHT, 110, HALF, "handler.Forwarder", "service", members=["forward"], maybe=True
    )
    draw.path((handler.bottom, forwarder.top), "maybe")
    hop = draw.interface(LEFT, 110, HALF, "hop.Hop", "route", members=["select"])
    draw.arrow(forwarder.left, hop.right)

    starts = 184.0
    heights = [max(len(listeners), len(handlers)) * 61 + 30 for _, listeners, handlers in GIVEN]
    end = starts + sum(heights) + 32
    for x, of_whom in ((LEFT, "a listener's options"), (RIGHT, "a handler's options")):
        draw.panel(starts, end, of_whom, x=x - 8, width=HALF + 16)
    y = starts + 32
    for (question, listeners, handlers), height in zip(GIVEN, heights, strict=True):
        for x, parts in ((LEFT, listeners), (RIGHT, handlers)):
            if parts:
                draw.words(x, y + 12, question, "muted")
            for row, (name, member) in enumerate(parts):
                tone: Tone = "route" if name.startswith("chain.") else "support"
                members = ["in_", "out"] if member == "in_" else [member]
                draw.interface(x, y + 20 + row * 61, HALF, name, tone, members=members)
        y += height


def routing(draw: Canvas) -> None:
    """How a target becomes a route."""
    draw.panel(4, 196, "chain.Router")
    draw.words(112, 22, "each attempt, in this order:", "muted")
    mapper = draw.interface(LEFT, 52, HALF, "hosts.HostMapper", "support", members=["lookup"])
    resolver = draw.interface(RIGHT, 52, HALF, "resolver.Resolver", "support", members=["resolve"])
    chainer = draw.interface(LEFT, 136, HALF, "chain.Chainer", "route", members=["route"])
    route = draw.interface(RIGHT, 136, HALF, "chain.Route", "route", members=["dial"])
    for box, task in (
        (mapper, "1  map"),
        (resolver, "2  resolve"),
        (chainer, "3  find a route"),
        (route, "4  dial by it"),
    ):
        draw.words(box.x, box.y - 6, task, "muted")
    draw.arrow(mapper.right, resolver.left)
    middle = Point(WIDTH / 2, resolver.end + 12)
    draw.arrow(
        resolver.bottom,
        Point(resolver.bottom.x, middle.y),
        Point(chainer.top.x + 40, middle.y),
        Point(chainer.top.x + 40, chainer.y),
    )
    draw.arrow(chainer.right, route.left)

    panel = draw.panel(232, 692, "hop.Hop", width=WIDTH - 36)
    draw.words(76, 250, "for each hop of the chain:", "muted")
    down = LEFT + 10 + HALF / 2
    draw.arrow(Point(down, chainer.end), Point(down, panel.y))
    draw.call(down + 10, 218, "hop.Hop.select")
    nodes = step(draw, 264, "hop.NodeList", "route", "nodes", maybe=True)
    bypass = step(draw, 338, "bypass.Bypass", "support", "contains")
    matcher = step(draw, 412, "routing.Matcher", "support", "match")
    selector = draw.panel(500, 680, "selector.Selector", x=LEFT, width=WIDTH - 56)
    filter_ = step(draw, 530, "selector.Filter", "route", "filter")
    strategy = step(draw, 614, "selector.Strategy", "route", "apply")
    draw.arrow(nodes.bottom, bypass.top)
    draw.arrow(bypass.bottom, matcher.top)
    draw.arrow(matcher.bottom, Point(matcher.bottom.x, selector.y))
    draw.arrow(filter_.bottom, strategy.top)
    beside = LEFT + HALF + 24
    draw.lines(beside, 288, "all nodes of the hop")
    draw.lines(beside, 354, "leaves out whose", "bypass contains", "the target")
    draw.lines(
        beside, 428, "leaves out what does", "not match; then one of", "highest priority wins,"
    )
    draw.lines(beside, 470, "or else")
    draw.lines(beside, 546, "takes out what has", "failed, and backups", "while others live")
    draw.lines(beside, 638, "chooses one")

    node = draw.interface(LEFT + 10, 728, HALF, "chain.Node", "route", members=["options", "copy"])
    draw.arrow(strategy.bottom, node.top)
    channel = WIDTH - 22
    draw.arrow(node.right, Point(channel, node.right.y), Point(channel, route.end), tone="route")
    draw.words(channel - 8, node.right.y - 8, "the nodes make the route", "muted", "end")

    draw.panel(806, 930, "a node's health", indent=down + 20)
    marker = draw.interface(
        LEFT, 838, HALF, "selector.Marker", "support", members=["mark", "reset"]
    )
    probe = draw.interface(
        RIGHT, 838, HALF, "chain.ProbeResultReader", "support", members=["probe_result"]
    )
    draw.path((node.bottom, Point(node.bottom.x, marker.y)))
    draw.path((Point(node.right_edge, node.end - 12), Point(probe.top.x, node.end - 12), probe.top))
    draw.lines(LEFT, 906, "marked by routes and", "probes; read by filters")
    draw.lines(RIGHT, 906, "stored by probes; read", "by strategies")


def step(
    draw: Canvas,
    y: float,
    name: str,
    tone: Tone,
    member: str,
    *,
    maybe: bool = False,
) -> Box:
    """Draw a step on the way from all nodes to one."""
    return draw.interface(LEFT + 10, y, HALF, name, tone, members=[member], maybe=maybe)


ASKED: Final[tuple[tuple[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]], ...]] = (
    (
        "To say what happens",
        (
            ("logger.Logger", ("infof", "with_fields"), ("every component,", "by its options")),
            ("metrics.Metrics", ("counter", "gauge"), ("whoever counts", "for operators")),
            (
                "observer.stats.Stats",
                ("add", "get"),
                ("listeners and services", "add; a reporter reads"),
            ),
            ("observer.Observer", ("observe",), ("services and handlers:", "states and counts")),
            (
                "recorder.Recorder",
                ("record",),
                ("services, handlers and", "routers, at their points"),
            ),
        ),
    ),
    (
        "To know",
        (
            ("metadata.Metadata", ("get", "is_exists"), ("every init(); selectors,", "of a node")),
            ("registry.Registry", ("get", "register"), ("who builds services", "from names")),
            ("ingress.Ingress", ("get_rule",), ("handlers of tunnels:", "whose host name?")),
            ("sd.SD", ("register", "get"), ("proxies that share", "their tunnels")),
            ("router.Router", ("get_route",), ("handlers of IP networks:", "by which client?")),
            ("cache.Cache", ("get", "set"), ("handlers: was it", "answered before?")),
        ),
    ),
    (
        "To change what passes",
        (("rewriter.Rewriter", ("rewrite",), ("HTTP handlers, by the", "settings of a node")),),
    ),
)
"""Who is asked, by which methods, and by whom."""


def cross_cutting(draw: Canvas) -> None:
    """Who asks those that all components share."""
    y = 4.0
    for heading, rows in ASKED:
        draw.panel(y, y + len(rows) * 65 + 28, heading)
        y += 30
        for name, members, askers in rows:
            asker = draw.rectangle(Box(x=LEFT, y=y + 5, width=HALF - 10, height=43), "outside")
            for row, text in enumerate(askers):
                draw.words(asker.top.x, asker.y + 18 + 15 * row, text, "middle")
            box = draw.interface(RIGHT, y, HALF, name, "support", members=members)
            draw.arrow(asker.right, Point(box.x, asker.right.y))
            y += 65
        y += 8


VIEWS: Final[dict[str, tuple[str, Callable[[Canvas], None]]]] = {
    "forward-path": ("The forward path", forward_path),
    "reverse-path": ("The reverse path", reverse_path),
    "service": ("Composition of a service", service),
    "routing": ("Routing", routing),
    "cross-cutting": ("Cross-cutting", cross_cutting),
}
"""Each view's title, and who draws it, by the name of its file."""
