"""The kinds of faults that competent developers make, and what sees each in each interface.

For each interface and each kind there is a clause that sees such a fault, or the reason why there
can be none. ``python -m tests.kit.clauses`` writes the table.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Final, TypeAlias

from typing_extensions import get_protocol_members

Holds: TypeAlias = Callable[[str], bool]
"""Tells whether something is so of an interface."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of faults."""

    name: str
    what: str
    """What goes wrong."""
    clauses: frozenset[str]
    """The clauses that see it: without their interface, or of one interface alone."""
    nowhere: Mapping[str, Holds] = field(default_factory=dict[str, Holds])
    """Why it cannot occur in an interface, and in which."""

    def reason(self, interface: str) -> str:
        """Return why it cannot occur in an interface; "" = it can."""
        return next((why for why, holds in self.nowhere.items() if holds(interface)), "")

    def sees(self, clause: str) -> bool:
        """Tell whether a clause sees it."""
        return clause in self.clauses or clause.rpartition(".")[2] in self.clauses


def members(interface: str) -> Iterator[tuple[str, object]]:
    """Return the members of an interface."""
    module, _, name = interface.rpartition(".")
    cls: type[object] = getattr(import_module(f"gost_core.{module}"), name)
    for member in sorted(get_protocol_members(cls)):
        yield member, inspect.getattr_static(cls, member)


def never_waits(interface: str) -> bool:
    """Tell whether no method of an interface waits."""
    return not any(inspect.iscoroutinefunction(member) for _, member in members(interface))


def never_closed(interface: str) -> bool:
    """Tell whether an interface has nothing that ends it."""
    return not {"close", "abort", "close_write", "serve"} & {name for name, _ in members(interface)}


def among(*prefixes: str) -> Holds:
    """Name interfaces, by themselves or all that begin in this way."""
    return lambda interface: any(
        interface == one or interface.startswith(one + ".") for one in prefixes
    )


def all_but(*prefixes: str) -> Holds:
    """Name all interfaces but some."""
    named = among(*prefixes)
    return lambda interface: not named(interface)


@dataclass(frozen=True, slots=True)
class Cell:
    """What there is to say of a kind in an interface."""

    clauses: tuple[str, ...]
    """The names of the clauses that see it."""
    reason: str
    """Why there is none; "" = not known."""


def row(ids: tuple[str, ...]) -> tuple[Cell, ...]:
    """Return the cells of an interface, which has clauses of these ids, kind by kind."""
    interface = ids[0].rpartition(".")[0]
    return tuple(
        Cell(tuple(one.rpartition(".")[2] for one in ids if kind.sees(one)), kind.reason(interface))
        for kind in KINDS
    )


def clauses(names: str) -> frozenset[str]:
    """Name clauses."""
    return frozenset(names.split())


NEVER_WAITS: Final = {"None of its methods waits.": never_waits}
TELLS: Final = among(
    "chain.ProbeResultReader",
    "common.net.ConnUnwrapper",
    "common.net.ContextCarrier",
    "hop.NodeList",
    "metadata.Metadatable",
    "selector.Markable",
)
COUNTS: Final = among("metrics", "observer.stats", "selector.Marker")
LIMITS: Final = among("limiter")
CHOOSES: Final = among("selector.Filter", "selector.Selector", "selector.Strategy")
CONNECTIONS: Final = among(
    "common.net.Aborter",
    "common.net.Closer",
    "common.net.Conn",
    "common.net.HalfCloser",
    "common.net.PacketConn",
)
LISTENERS: Final = among("common.net.Listener", "listener")
LOOKUPS: Final = among(
    "admission",
    "auth",
    "bypass",
    "cache",
    "hosts",
    "ingress",
    "resolver",
    "router",
    "routing",
    "sd",
)
WATCHES: Final = among("logger", "observer.Observer", "recorder", "rewriter")


def any_of(*each: Holds) -> Holds:
    """Name what any of them names."""
    return lambda interface: any(holds(interface) for holds in each)


KINDS: Final = (
    Kind(
        "Cancelled calls",
        "A call swallows its cancellation, or leaves something open, changed or locked.",
        clauses(
            "cancelled-again "
            "accept-cancellable cancel cancel-closes cancel-closes-listener "
            "cancel-closes-target cancel-frees cancel-handlers cancel-passes "
            "cancel-spares-others cancel-takes-nothing cancellable cancelled "
            "cancelled-accept-loses-nothing cancelled-frees cancelled-read-loses-nothing "
            "cancelled-twin cancelled-whole close-cancelled handshake-cancel-closes "
            "next-after-cancelled read-cancellable reads-whole reverse-bind-cancelled "
            "works-after-cancel write-cancellable"
        ),
        NEVER_WAITS,
    ),
    Kind(
        "Calls at once",
        "Calls at once mix: one gets what another asked for.",
        clauses(
            "addresses-apart all-served at-once calls-apart carried-addresses clients-apart "
            "accepted-apart changes-apart deletes-apart marks-apart "
            "close-at-once concurrent concurrent-whole connections-apart duplex first-callers "
            "handlers-concurrent handles-apart multiplexing-independent one-session "
            "readers-not-mixed streams-apart threads-apart ways-apart writers-not-mixed "
            "writes-whole ends-whole handler.Handler.carries"
        ),
        {
            "None of its methods waits.": never_waits,
            "Its calls say nothing and are told nothing.": among("common.net.HalfCloser"),
        },
    ),
    Kind(
        "One stops the others",
        "While one party is silent or slow, the others wait.",
        clauses(
            "accept-alone all-served bad-client concurrent handlers-concurrent many-visitors "
            "changes-go-on many-waiting "
            "others-go-on proxied-silent silence-apart silent-accepted silent-alone "
            "silent-client silent-dial-alone stuck-client"
        ),
        {
            "None of its methods waits.": never_waits,
            "It has one other end.": CONNECTIONS,
            "Its records may wait for one another.": among("recorder"),
            "It waits for nobody.": among("rewriter"),
        },
    ),
    Kind(
        "Names and addresses",
        "A host, an address or a network is understood in one of its forms only, or cut wrongly.",
        clauses(
            "address address-dialed address-forms address-judged address-to-node addresses "
            "any-address "
            "any-port any-source both-families bypass-question cache.Cache.keys-apart "
            "chain.Router.datagram-names dial-host dials-target direct-empty-host filter-host "
            "filter-host-below foreign-addr gateway-verbatim host-case host-idna "
            "host-with-port ipv6-host key-case keys-whole known-by-address literals "
            "literals-none malformed-addr mapped mapped-empty name-stays name-to-node "
            "names-exact names-one-form network network-versions networks no-host no-port "
            "nodes-resolved nodes-unresolved one-address one-family one-form "
            "other-family-empty other-family-literal own-hostname port-ignored real-address "
            "remote-addr-nowhere resolved resolved-ipv6 resolver-question resolves-names "
            "sd.SD.registered set-spelling tcp-versions trailing-dot udp-versions unix "
            "unmapped-resolved unresolved visitor-address wildcard-below wildcard-itself"
        ),
        {
            "It is given no host, address or network.": any_of(
                TELLS,
                COUNTS,
                WATCHES,
                LIMITS,
                among(
                    "auth",
                    "common.net.Aborter",
                    "common.net.Closer",
                    "common.net.HalfCloser",
                    "selector",
                ),
            ),
        },
    ),
    Kind(
        "Fails open",
        "What it asks is broken or gone, and it lets through, makes an answer up, or goes direct.",
        clauses(
            "unreachable-table refuses-all "
            "admission-fails-closed auther-broken backend-broken broken-backend-raises "
            "bypass-broken change-raises common.net.Dialer.refused "
            "common.net.Dialer.unresolvable connector.Binder.refused "
            "connector.Connector.refused connector.Connector.target-refused refused-not-passed "
            "connector.Handshaker.refused dead-rule-refused dialer.Dialer.refused "
            "dialer.Handshaker.refused empty-list-refused end-is-no-answer errors-pass "
            "failure-raises forward-broken-hop last-resort next-after-failures none-direct "
            "none-ends none-fits rate-limiter-broken reference-fails-closed "
            "refusal-not-direct resolver-failure unreachable-raises"
        ),
        {
            "It asks nobody who could be out of reach.": any_of(
                TELLS,
                COUNTS,
                CONNECTIONS,
                among(
                    "common.net.Listener",
                    "limiter.conn.Limiter",
                    "limiter.rate.Limiter",
                    "limiter.traffic.Limiter",
                    "logger",
                    "metadata",
                    "rewriter",
                    "selector",
                ),
            ),
            "It asks through its listener and its handler.": among("service"),
        },
    ),
    Kind(
        "Keeps what was lent",
        "It keeps, changes or closes what was lent: options, buffers, lists, chains.",
        clauses(
            "settings-unchanged labels-reused "
            "connections-dropped handler.Handler.nothing-left nothing-kept probes-go-on "
            "any-buffer batch-not-kept batch-unchanged bind-options buffer-not-kept "
            "failed-not-kept "
            "buffer-returned chain-stays-open copy-distinct copy-shares-sessions copy-values "
            "fields-apart fields-copied get-all-snapshot handles-apart hop-stays-open "
            "hops-stay-open input-unchanged items-not-kept items-unchanged labels-copied "
            "labels-unchanged listener.Listener.lent-stays-open members-stay-open "
            "members-unchanged multiplexing-copies nodes-unchanged options options-live "
            "own-options owns-conn owns-input per-call-options request-handed-on "
            "request-not-kept request-unchanged result-own route-dialer-kept route-dialer-limits "
            "router-stays-open snapshot threads-snapshot tls-settings unregister-leaves-open"
        ),
        {
            "It is lent nothing that could change.": any_of(
                TELLS,
                COUNTS,
                LIMITS,
                among(
                    "common.net.Aborter",
                    "common.net.Closer",
                    "common.net.HalfCloser",
                    "common.net.Listener",
                ),
            ),
            "What it is given becomes its own.": among("metadata", "service"),
        },
    ),
    Kind(
        "Budgets",
        "It grants by another rate, a budget starts anew, is shared, or its place is lost.",
        clauses(
            "all-or-nothing backlog-full budget-lasts burst-bounds changed-limit-acts "
            "closing-frees-once datagram-in-parts directions-apart dropped-datagram-raises "
            "empty-key first-callers grants-to-limit grants-within-ask group-refusal-free "
            "idle-saves-burst last-option-wins limit-found limit-keeps-serving "
            "limiter.conn.ConnLimiter.keys-apart limiter.conn.Limiter.limit-told "
            "limiter.rate.Limiter.limit-told limiter.rate.RateLimiter.keys-apart "
            "limiter.traffic.Limiter.limit-told place-given-back-once place-not-kept rate "
            "rate-first rate-limited read-ahead-bounded refills refusal-final refusal-free "
            "refused-reads-raise refused-traffic-raises refused-write-raises release-floored "
            "release-returns same-budget scope-defaults scopes-apart services-apart set-wakes "
            "spent-refused spent-waits traffic-limited traffic-refused unlimited-free "
            "unlimited-grants unlimited-wakes unserved-scope-none zero-changes-nothing"
        ),
        {
            "It has no budget and no places.": all_but(
                "common.net.Conn", "handler", "limiter", "listener"
            ),
        },
    ),
    Kind(
        "Stale answers",
        "After a change it gives the answer, the session or the state of before.",
        clauses(
            "address-freed addresses-after-close asked-anew asking-clears change-found "
            "changed-limit-acts chosen-anew delete-removes deregister-removes expires "
            "fail-timeout failures-expire get-keeps get-leaves-mark last-found latest "
            "level-shared lives next-stream node-comes-back nodes-resolved nothing-carried-over "
            "options-live own-marker reference-follows reference-gone register-replaces "
            "renew-expired renew-extends reset-clears reset-keeps-time reset-lives "
            "reset-restores reset-zeroes retries-at-once reverse-accept-error "
            "route-each-attempt same-each-time "
            "selector.Strategy.items-not-kept set-answer set-deletes set-governs set-once "
            "set-replaces set-told shared snapshot unregister-removes updated"
        ),
        {
            "When its rules change is not in the interface.": among(
                "admission", "auth", "bypass", "hosts", "router", "routing"
            ),
            "It answers nothing.": any_of(
                CONNECTIONS,
                among("metrics.Counter", "metrics.Observer", "observer.Observer", "recorder"),
            ),
            "It tells what is beneath.": among("common.net.ConnUnwrapper"),
            "What a name stands for now, the system says.": among("common.net.Dialer"),
            "It keeps nothing from one call to the next.": among("connector", "dialer.Handshaker"),
            "Its limit is fixed.": among("limiter.conn.Limiter", "limiter.rate.Limiter"),
            "It gives out the same series for good.": among("metrics.Metrics"),
            "Its hop and its router are asked for each client.": among("handler"),
            "Its state is that of its listener.": among("service"),
        },
    ),
    Kind(
        "Bytes",
        "Bytes are lost, cut, mixed or made up, above all at an end.",
        clauses(
            "datagram-written ends-told ends-whole packets-unchanged traffic-in-parts "
            "accepted-survive answers association break-shown broken-off bytes-unchanged "
            "cache.Cache.found cancelled-accept-loses-nothing carries client-half-closes "
            "close-reaches-peer closed-whole connected-peer cut cut-shown cut-shows "
            "datagram-cut datagram-not-empty datagram-too-long datagram-whole datagrams "
            "delivered early-bytes early-visitor empty-is-no-end empty-kept empty-legal end "
            "direct-last-words "
            "end-is-no-answer end-legal ends-stream exchange exchange-ends failure-beneath "
            "kept-whole last-words long-whole one-way reading-goes-on reads-at-least-one "
            "reads-at-most reads-what-is-there reads-whole recorded retry-delivers rewritten "
            "target-half-closes target-speaks-first told-truly too-long transfer truncated "
            "udp udp-packets whole write-to-gone-peer write-waits writes-whole "
            "writing-goes-on"
        ),
        {
            "It carries no bytes.": any_of(
                COUNTS,
                LIMITS,
                CHOOSES,
                among(
                    "admission",
                    "auth",
                    "bypass",
                    "chain.Chainer",
                    "chain.ProbeResultReader",
                    "common.net.Closer",
                    "common.net.ContextCarrier",
                    "hop",
                    "hosts",
                    "ingress",
                    "logger",
                    "metadata",
                    "registry",
                    "resolver",
                    "router",
                    "routing",
                    "sd",
                    "selector",
                    "service",
                ),
            ),
        },
    ),
    Kind(
        "Left open",
        "After a failure a connection, a place or a task is left.",
        clauses(
            "bind-failure-closes cancel-closes cancel-frees cancelled-frees client-gone "
            "close-after-peer close-cancelled close-ends-tasks closed-by-failure conn-left "
            "failed-init-releases failure-contained failure-frees failure-over "
            "final-error-closes first-handshake-failure-closes garbage handle-after-close "
            "handshake-failure-closes hop-failure-closes later-handshake-failure-closes "
            "next-after-cancelled next-after-failures no-task-left node-dies releases "
            "resolve-failure-closes target-failure-closes target-unreachable tasks-ended "
            "unaccepted-closed"
        ),
        {
            "It opens nothing.": any_of(
                TELLS,
                COUNTS,
                among(
                    "chain.Chainer",
                    "common.net.Aborter",
                    "common.net.HalfCloser",
                    "common.net.PacketConn",
                    "limiter",
                    "logger",
                    "metadata",
                    "registry",
                    "selector",
                ),
            ),
        },
    ),
    Kind(
        "Closing",
        "Closing twice, at once or from inside fails, or leaves somebody who waits.",
        clauses(
            "close-after-end "
            "abort-twice accept-after-close after-close close-after-peer close-any-time "
            "close-at-once close-before-init close-before-serve close-bounded "
            "close-closes-all close-closes-inner close-ends-admission close-ends-serve "
            "close-ends-sessions close-ends-tunnel close-follows close-frees "
            "close-inside-handler close-leaves-handlers close-order close-twice "
            "close-wakes close-wakes-accept close-wakes-dial close-wakes-read close-wakes-write "
            "closed-error closes common.net.Closer.at-once from-inside read-after-close "
            "reverse-close twice use-after-close wakes-waiting write-after write-after-close"
        ),
        {
            "What can be closed is a Closer, which has clauses of its own.": never_closed,
        },
    ),
    Kind(
        "Marks and counts",
        "A failure is marked or counted that is none, or none is marked; counts are wrong.",
        clauses(
            "add-adds cancel-marks-nobody counted-in counts current-falls dec-subtracts-one "
            "denied-not-counted failed-avoided failed-skipped failure-counted failure-marks "
            "failure-stored failures-counted failures-last inc-adds-one labels-apart "
            "marks-apart limit-marks mark-counts mark-stamps marker marker-kept marks-itself "
            "max-fails own-marker "
            "max-fails-default negative-leaves never-failed none-at-first "
            "refusal-marks-nobody same-series starts-at-zero stats-counted "
            "success-not-counted success-resets success-stored target-marks-nobody "
            "time-of-last timed"
        ),
        {
            "It marks and counts nothing.": any_of(
                TELLS,
                CONNECTIONS,
                LOOKUPS,
                WATCHES,
                among("common.net", "connector", "dialer", "metadata", "registry"),
            ),
            "Its budgets are a kind of their own.": LIMITS,
            "Its routes mark.": among("chain.Router", "chain.Transporter"),
            "What it counts stands in records of its own.": among("handler"),
            "It is given what the filters left.": among("selector.Strategy"),
        },
    ),
    Kind(
        "Credentials",
        "Credentials that are nearly right let in, or a secret is told.",
        clauses(
            "any-characters auth.Authenticator.refused auther-decides auther-empty-id "
            "auther-needed client-id connector.Connector.refused connector.Handshaker.refused "
            "empty-credentials empty-id exact-pair passwords-hidden secret-hidden"
        ),
        {
            "It is given no credentials.": all_but(
                "auth",
                "connector.Connector",
                "connector.Handshaker",
                "dialer",
                "handler",
                "listener",
            ),
        },
    ),
    Kind(
        "Threads",
        "Calls from several threads lose something.",
        clauses(
            "first-callers threads threads-apart threads-reset threads-set threads-snapshot "
            "threads-told threads-unregister"
        ),
        {
            "One thread alone may use it (D21).": any_of(
                TELLS,
                CONNECTIONS,
                LISTENERS,
                LOOKUPS,
                CHOOSES,
                among(
                    "chain",
                    "common.net.Dialer",
                    "connector",
                    "dialer",
                    "handler",
                    "hop",
                    "limiter.traffic",
                    "metadata",
                    "observer.Observer",
                    "recorder",
                    "rewriter",
                    "service",
                ),
            ),
        },
    ),
    Kind(
        "Foreign and malformed",
        "What is malformed, unknown or from a stranger ends it, hangs it or is believed.",
        clauses(
            "absent-false admission-told-source auth.Authenticator.any-characters "
            "auth.Authenticator.empty-credentials bad-client bad-setting-named "
            "chain.Chainer.any-address change-raises client-reset common.net.Conn.broken-off "
            "common.net.Conn.truncated connected-elsewhere deregister-unknown empty-address "
            "empty-name-refused empty-none empty-request foreign-addr forward-no-target "
            "garbage host-missing host-whole limiter.conn.ConnLimiter.empty-key "
            "limiter.conn.Limiter.zero-changes-nothing limiter.rate.RateLimiter.empty-key "
            "limiter.traffic.TrafficLimiter.unserved-scope-none malformed malformed-addr "
            "metadata-taken misfit-written missing-empty missing-invalid missing-none "
            "missing-raises nameless negative-refused network-unsupported never-raises "
            "no-host-refused no-items no-none none-refused other-keys-harmless "
            "other-kind-harmless proxied-invalid proxied-nobody renew-unknown "
            "resolver-invalid stored-none udp-elsewhere unable unknown-empty "
            "unknown-field-ignored unknown-harmless unknown-ignored unknown-metadata-ignored "
            "unknown-name-harmless unknown-skipped unknown-table unreadable-address "
            "unreadable-skipped "
            "unreadable-source unregister-missing unresolvable unsupported wrong-type-refused "
            "wrong-types"
        ),
        {
            "Its methods take no arguments.": any_of(
                TELLS,
                among(
                    "common.net.Aborter",
                    "common.net.Closer",
                    "common.net.Listener",
                    "selector.Marker",
                ),
            ),
            "Every number means something.": among(
                "limiter.rate.Limiter",
                "limiter.traffic.Limiter",
                "metrics.Gauge",
                "metrics.Observer",
            ),
            "Its connectors and dialers meet the nodes.": among("chain.Route", "chain.Transporter"),
            "What clients send is read by its handler.": among("service"),
        },
    ),
    Kind(
        "Time limits",
        "A limit is not kept, is kept too long, or ends what has no limit.",
        clauses(
            "accept-waits backoff chain.Router.limit-told close-bounded expires fail-timeout "
            "fail-timeout-default failures-expire final-error-waits init-without-metadata "
            "limit-earlier limit-kept limit-marks limit-passed limit-passes limits-cleared "
            "lives outlives outlives-call outlives-its-caller outlives-its-maker "
            "time-outs-apart timed timeout timeout-each-attempt timeout-zero"
        ),
        {
            "It ends no call: whoever asks does.": any_of(
                LOOKUPS,
                WATCHES,
                among("chain.Chainer", "limiter.traffic", "selector.Strategy"),
            ),
            "It waits for nothing.": any_of(never_waits, among("common.net.HalfCloser")),
            "A limit is for a call, and it has none of its own.": CONNECTIONS,
        },
    ),
    Kind(
        "Wrong way",
        "It goes direct, past a node or to the wrong one.",
        clauses(
            "accepts again any-connection association-unconnected bind-empty-route bind-no-chain "
            "bind-order binds bypass-refuses connect connect-past-the-chain connects dial "
            "dial-order dials direct-bind direct-dial direct-packets direct-unsupported "
            "forward-none "
            "forward-target handled handshake-order known-by-address multiplexing-cuts "
            "multiplexing-twice no-chain-direct no-route-direct nodes-of-hops "
            "options-dialer-used own-connection own-network reaches refusal-not-direct "
            "reverse-binds-in-accept route-dials route-used taken-route unconnected"
        ),
        {
            "It reaches nobody for others.": any_of(
                TELLS,
                COUNTS,
                LIMITS,
                LOOKUPS,
                WATCHES,
                CHOOSES,
                among(
                    "common.net.Aborter",
                    "common.net.Closer",
                    "common.net.Conn",
                    "common.net.HalfCloser",
                    "hop",
                    "metadata",
                    "registry",
                    "selector",
                ),
            ),
        },
    ),
    Kind(
        "Wrong choice",
        "Of several, the wrong one is taken: priorities, backups, the most exact, the last resort.",
        clauses(
            "backup-serves backup-steps-in backup-waits backups best-first bypass-skips "
            "chosen common.net.Dialer.resolves-names exact exact-first filter-all filter-host "
            "filter-path filter-protocol hash-source in-order last-resort longest-first "
            "matcher-before-filter matcher-decides priority-backup priority-failed "
            "priority-ties priority-wins question rest table-by-id table-order weight "
            "weight-default"
        ),
        {
            "It answers yes or no, or who it is.": among("admission", "auth", "bypass", "routing"),
            "It gives all that it has.": among("resolver", "sd", "registry", "cache"),
            "It is told whom to reach.": among(
                "chain.Route", "chain.Router", "chain.Transporter", "connector", "dialer", "handler"
            ),
            "It has nothing to choose among.": any_of(
                TELLS, COUNTS, CONNECTIONS, LISTENERS, WATCHES, LIMITS, among("metadata", "service")
            ),
        },
    ),
)
