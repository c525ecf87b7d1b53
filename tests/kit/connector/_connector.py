"""Trials of the contract of connectors."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from contextlib import nullcontext
from ipaddress import IPv4Address

from typing_extensions import Buffer

from gost_core.common.net import (
    Addr,
    Conn,
    DeniedError,
    ProtocolError,
    UnsupportedError,
)
from gost_core.common.net import Dialer as NetDialer
from gost_core.common.url import Userinfo
from gost_core.connector import (
    BindUnsupportedError,
    ConnectOption,
    ConnectOptions,
    Connector,
)
from gost_core.context import Context
from gost_core.options import apply
from gost_core.testing import Contract
from gost_core.testing._stage.memory import Address, MemoryMetadata
from gost_core.testing.connector import ConnectorContract
from tests.kit._stuck import (
    ClosingBehindReads,
    ClosingBehindWrites,
    Hurried,
    OneBuffer,
    QuietEnd,
    ReadingOnBeneath,
    ending_at_the_limit,
    few_places,
    giving,
    keeping_the_conns,
    keeping_the_context,
    losing_places,
    stuck,
    timing_reads,
    with_one_object,
)
from tests.kit.connector._protocol import (
    Association,
    Framed,
    Passing,
    malformed_proxy,
    proxy,
    refusing_proxy,
)
from tests.kit.dialer._handshakes import watch
from tests.kit.dialer._protocol import LIFE_FAULTS, PASSWORD, TIME_LIMIT, Settings, mixed, read_line
from tests.kit.trial import Trial


class RightConnector(Settings, Connector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.check_ready()
        apply(ConnectOptions(), *opts)
        kind = self.kind(network)
        self.check_address(kind, address)
        await self.ask(conn, "connect", kind, address)
        return self.connection(conn, network, address)

    async def close(self) -> None:
        """Nothing is kept beyond a call."""

    def kind(self, network: str) -> str:
        for kind in ("tcp", "udp"):
            if network in (kind, f"{kind}4", f"{kind}6"):
                return kind
        raise UnsupportedError(f"the network {network!r} is not offered")

    def check_address(self, kind: str, address: str) -> None:
        if not address.rpartition(":")[0] and (kind != "udp" or address):
            raise ValueError(f"the address {address!r} has no host")

    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network.startswith("tcp"):
            return Passing(conn)
        return Framed(conn) if address else Association(conn)

    async def ask(self, conn: Conn, command: str, kind: str, address: str) -> str:
        await self.send(conn, self.request(command, kind, address))
        answer = await self.answer(conn)
        self.judge(answer, address)
        return answer

    def request(self, command: str, kind: str, address: str) -> bytes:
        password = (self.auth.password or "").replace(" ", "+")
        return f"{self.auth.username}:{password} {command} {kind} {address}\n".encode()

    async def send(self, conn: Conn, request: bytes) -> None:
        await conn.write(request)

    async def answer(self, conn: Conn) -> str:
        return await read_line(conn)

    def judge(self, answer: str, address: str) -> None:
        match answer.split(" ")[0]:
            case "ok" | "bound":
                pass
            case "denied":
                raise PermissionError("the node refuses")
            case "unable":
                raise BindUnsupportedError("the node cannot bind")
            case "unreachable":
                raise ConnectionRefusedError(f"the node cannot reach {address}")
            case _:
                raise ProtocolError("the node's answer is malformed")


async def pass_limit() -> None:
    await asyncio.sleep(1.2)


def run_connector(make: Callable[[], Connector]) -> Contract:
    return ConnectorContract(
        make,
        node=proxy,
        networks=("tcp", "udp"),
        associates=True,
        metadata=MemoryMetadata(timeout=10.0),
        bad_setting=("timeout", "soon"),
        refusing=refusing_proxy,
        garbling=malformed_proxy,
        secret=PASSWORD,
        pass_limit=pass_limit,
        time_limit=TIME_LIMIT,
    )


connectors = Trial[Callable[[], Connector]](ConnectorContract, run_connector, RightConnector)

for clause, life, history in LIFE_FAULTS:
    connectors.breaks(clause, history=history)(mixed(life, RightConnector))


@connectors.breaks("shape")
class WithoutConnectOptions(RightConnector):
    async def connect(  # type: ignore  # the fault
        self, ctx: Context, conn: Conn, network: str, address: str, /
    ) -> Conn:
        return await super().connect(ctx, conn, network, address)


@connectors.breaks("close-any-time")
class ClosableOnceReady(RightConnector):
    async def close(self) -> None:
        self.check_ready()


@connectors.breaks("connects")
class ConnectingToNothing(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return None  # type: ignore  # the fault


@connectors.breaks("outlives-call", history="b597467 the connection ended with the connect's limit")
class EndingWithTheConnect(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        call = asyncio.current_task()
        assert call is not None
        call.add_done_callback(lambda _: asyncio.ensure_future(conn.close()))
        return super().connection(conn, network, address)


class WithoutRemote(Passing):
    def remote_addr(self) -> Addr:
        return None  # type: ignore  # the fault


@connectors.breaks("addresses", history="x http2: the remote address was resolved here, so nil")
class WithoutRemoteAddress(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return super().connection(WithoutRemote(conn), network, address)


@connectors.breaks("options")
class ConnectIgnoringOrder(RightConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        return await super().connect(ctx, conn, network, address, *reversed(opts))


@connectors.breaks("name-to-node", history="8fd5200 0522ae8 #877 names were resolved here")
class ResolvingNames(RightConnector):
    def request(self, command: str, kind: str, address: str) -> bytes:
        host, _, port = address.rpartition(":")
        if host.endswith(".example"):
            address = f"203.0.113.80:{port}"
        return super().request(command, kind, address)


@connectors.breaks("address-to-node")
class LosingBrackets(RightConnector):
    def request(self, command: str, kind: str, address: str) -> bytes:
        return super().request(command, kind, address.replace("[", "").replace("]", ""))


@connectors.breaks("tcp-versions")
class ExactlyTcp(RightConnector):
    def kind(self, network: str) -> str:
        if network in ("tcp4", "tcp6"):
            raise UnsupportedError(f"the network {network!r} is not offered")
        return super().kind(network)


@connectors.breaks("udp-versions", history="x http: udp4 passed the test, only udp was framed")
class FramingExactlyUdp(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return Passing(conn) if network == "udp4" else super().connection(conn, network, address)


@connectors.breaks("network-unsupported", history="x relay tunnel: the request went first")
class AskingFirst(RightConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        if not network.startswith(("tcp", "udp")):
            await self.ask(conn, "connect", "tcp", address)
        return await super().connect(ctx, conn, network, address, *opts)


@connectors.breaks("host-missing", history="x socks5: no host became 127.0.0.1")
class InventingAHost(RightConnector):
    def check_address(self, kind: str, address: str) -> None:
        pass


class Truncating(Framed):
    async def read(self, n: int, /) -> bytes:
        return await super().read(min(n, 1000))


@connectors.breaks("datagrams")
class TruncatingDatagrams(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network.startswith("udp") and address:
            return Truncating(conn)
        return super().connection(conn, network, address)


class FirstTargetOnly(Association):
    target: Addr | None = None

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        self.target = self.target or addr
        await super().write_to(data, self.target)


@connectors.breaks("association", history="746811e an association sent all to its first target")
class MixingTargets(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and not address:
            return FirstTargetOnly(conn)
        return super().connection(conn, network, address)


class OnePortOfAHost(Association):
    def __init__(self, inner: Conn) -> None:
        super().__init__(inner)
        self.ports = dict[str, str]()

    async def write_to(self, data: Buffer, addr: Addr, /) -> None:
        host, _, port = str(addr).rpartition(":")
        port = self.ports.setdefault(host, port)
        await super().write_to(data, Address(addr.network(), f"{host}:{port}"))


@connectors.breaks("association")
class KeepingTargetsByHost(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and not address:
            return OnePortOfAHost(conn)
        return super().connection(conn, network, address)


@connectors.breaks("association", history='173de75 an association failed, for "" has no host')
class NeedingATarget(RightConnector):
    def check_address(self, kind: str, address: str) -> None:
        if not address.rpartition(":")[0]:
            raise ValueError(f"the address {address!r} has no host")


class DroppingAssociation(Association):
    async def write(self, data: Buffer, /) -> None:
        pass


@connectors.breaks("association-unconnected")
class DroppingWithoutAddress(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and not address:
            return DroppingAssociation(conn)
        return super().connection(conn, network, address)


class Lazy(Passing):
    """Sends the request with the first write, and takes the answer with the first read."""

    def __init__(self, inner: Conn, connector: "WaitingForTheClient", address: str) -> None:
        super().__init__(inner)
        self.connector = connector
        self.address = address
        self.request = connector.request("connect", "tcp", address)
        self.asked = asyncio.Event()
        self.answered = False

    async def write(self, data: Buffer, /) -> None:
        request, self.request = self.request, b""
        self.asked.set()
        await self.inner.write(request + bytes(data))

    async def read(self, n: int, /) -> bytes:
        await self.asked.wait()
        if not self.answered:
            self.connector.judge(await self.connector.answer(self.inner), self.address)
            self.answered = True
        return await self.inner.read(n)

    async def close(self) -> None:
        await super().close()
        self.asked.set()


@connectors.breaks("target-speaks-first", history="#125 the request waited for the client's bytes")
class WaitingForTheClient(RightConnector):
    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.check_ready()
        if not network.startswith("tcp"):
            return await super().connect(ctx, conn, network, address, *opts)
        apply(ConnectOptions(), *opts)
        self.check_address(self.kind(network), address)
        return Lazy(conn, self, address)


@connectors.breaks("early-bytes", history="x http connector: bytes behind the reply were lost")
class ReadingBeyondTheAnswer(RightConnector):
    async def answer(self, conn: Conn) -> str:
        if not (data := await conn.read(4096)):
            raise ConnectionResetError("the node is gone")
        return data.decode(errors="replace").partition("\n")[0]


@connectors.breaks("concurrent", history="25cd60d #896 a shared buffer sent another one's target")
class SharingABuffer(RightConnector):
    buffer = b""

    async def send(self, conn: Conn, request: bytes) -> None:
        self.buffer = request
        await asyncio.sleep(0)
        await conn.write(self.buffer)


@connectors.breaks("calls-apart", history="x shared header: the one of udp stuck to later requests")
class StickyHeader(RightConnector):
    header = ""

    def request(self, command: str, kind: str, address: str) -> bytes:
        if kind == "udp":
            self.header = kind
        return super().request(command, self.header or kind, address)


class NotOwning(Passing):
    async def close(self) -> None:
        pass


@connectors.breaks("owns-conn", history="x direct: nobody closed the connection to the node")
class NotOwningItsConn(RightConnector):
    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        return (
            NotOwning(super().connection(conn, network, address)) if address else Association(conn)
        )


@connectors.breaks("target-refused")
class RefusedWithoutAddress(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        super().judge(answer, "the target")


@connectors.breaks("target-refused")
class RefusedAsProtocolError(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except ConnectionRefusedError as error:
            raise ProtocolError(str(error)) from None


class ExpectingAWord(RightConnector):
    async def answer(self, conn: Conn) -> str:
        try:
            return await super().answer(conn)
        except ConnectionResetError:
            raise IndexError("list index out of range") from None


connectors.breaks("node-dies")(ExpectingAWord)


class RefusedAsReset(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except PermissionError:
            raise ConnectionResetError("status 0x02") from None


connectors.breaks("refused")(RefusedAsReset)


class MalformedAsValue(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except ProtocolError:
            if not answer.isascii():
                raise
            raise ValueError(f"no such status: {answer}") from None


connectors.breaks("malformed")(MalformedAsValue)


class WatchingAfterFailure(RightConnector):
    async def answer(self, conn: Conn) -> str:
        watching = asyncio.create_task(watch())
        try:
            answer = await super().answer(conn)
        except asyncio.CancelledError:
            watching.cancel()
            raise
        if answer.startswith(("ok", "bound", "unreachable")):
            watching.cancel()
        return answer


connectors.breaks("failure-frees")(WatchingAfterFailure)


class WatchingAfterCancelling(RightConnector):
    async def answer(self, conn: Conn) -> str:
        watching = asyncio.create_task(watch())
        try:
            answer = await super().answer(conn)
        except OSError:
            watching.cancel()
            raise
        watching.cancel()
        return answer


connectors.breaks("cancel-frees")(WatchingAfterCancelling)


class CancelledAsTimeout(RightConnector):
    async def answer(self, conn: Conn) -> str:
        try:
            return await super().answer(conn)
        except asyncio.CancelledError:
            raise TimeoutError("the node is silent") from None


connectors.breaks("cancellable", history="b92c1b1 #777 a silent node outlasted the caller's limit")(
    CancelledAsTimeout
)


@connectors.breaks("secret-hidden")
class TellingItsRequest(RightConnector):
    def __repr__(self) -> str:
        return f"<TellingItsRequest {self.auth.username}:{self.auth.password}>"


@connectors.breaks("secret-hidden")
class TellingInTheError(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except PermissionError:
            raise PermissionError(f"{self.auth.password!r} was refused") from None


@connectors.breaks("secret-hidden")
class TellingTheHeader(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except PermissionError:
            pair = f"{self.auth.username}:{self.auth.password}"
            raise PermissionError(f"Basic {b64encode(pair.encode())!r} was refused") from None


class EndingASecondLater(RightConnector):
    async def ask(self, conn: Conn, command: str, kind: str, address: str) -> str:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, lambda: asyncio.ensure_future(conn.close()))
        return await super().ask(conn, command, kind, address)


connectors.breaks("limits-cleared")(EndingASecondLater)


class Locking(RightConnector):
    lock: asyncio.Lock | None = None

    async def answer(self, conn: Conn) -> str:
        self.lock = self.lock or asyncio.Lock()
        async with self.lock:
            return await super().answer(conn)


connectors.breaks("silent-alone")(Locking)


class StuckAfterACancelledCall(RightConnector):
    stuck = False

    async def answer(self, conn: Conn) -> str:
        if self.stuck:
            await asyncio.Event().wait()
        try:
            return await super().answer(conn)
        except asyncio.CancelledError:
            self.stuck = True
            raise


connectors.breaks("silent-alone")(StuckAfterACancelledCall)


class ReadingOn(RightConnector):
    """Leaves a read to itself for a while when it is cancelled."""

    async def answer(self, conn: Conn) -> str:
        reading = asyncio.ensure_future(super().answer(conn))
        asyncio.get_running_loop().call_later(1.0, reading.cancel)
        reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(reading)


connectors.breaks("cancellable")(ReadingOn)


class DenyingForTheNode(RightConnector):
    def judge(self, answer: str, address: str) -> None:
        try:
            super().judge(answer, address)
        except PermissionError as error:
            raise DeniedError(str(error)) from error


connectors.breaks("refused")(DenyingForTheNode)


@connectors.breaks("node-dies")
class TakingTheEndForSuccess(RightConnector):
    async def answer(self, conn: Conn) -> str:
        try:
            return await super().answer(conn)
        except ConnectionResetError:
            return "ok"


connectors.breaks("failure-over")(stuck(RightConnector, "connect"))
connectors.breaks("cancel-frees")(losing_places(RightConnector, "connect", asyncio.CancelledError))
connectors.breaks("many-waiting")(few_places(RightConnector, "connect"))
connectors.breaks("outlives-limit")(ending_at_the_limit(RightConnector, "connect"))


@connectors.breaks("name-to-node")
class DigitsFirst(RightConnector):
    """Takes a host that begins with a digit for an IPv4 address."""

    def check_address(self, kind: str, address: str) -> None:
        super().check_address(kind, address)
        if address[:1].isdigit():
            IPv4Address(address.rpartition(":")[0])


@connectors.breaks("name-to-node")
class CuttingLongNames(RightConnector):
    """Has room for names of the usual length."""

    def request(self, command: str, kind: str, address: str) -> bytes:
        host, colon, port = address.rpartition(":")
        return super().request(command, kind, f"{host[:64]}{colon}{port}")


class KeepingTheRest(Framed):
    rest = b""

    async def read(self, n: int, /) -> bytes:
        data = self.rest or await self.frame()
        self.rest = data[n:]
        return data[:n]


@connectors.breaks("datagrams")
class RestOfADatagram(RightConnector):
    """Gives the rest of a datagram that is too long for a read to the next, as of a stream."""

    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and address:
            return KeepingTheRest(conn)
        return super().connection(conn, network, address)


@connectors.breaks("udp-silent-alone")
class OneAssociationAtATime(RightConnector):
    """Asks for one connection by udp after the other; tcp is free."""

    def __init__(self, auth: Userinfo | None = None) -> None:
        super().__init__(auth)
        self.asking = asyncio.Lock()

    async def ask(self, conn: Conn, command: str, kind: str, address: str) -> str:
        async with self.asking if kind == "udp" else nullcontext():
            return await super().ask(conn, command, kind, address)


@connectors.breaks("refused")
class GoingPastARefusal(RightConnector):
    """Dials what the node does not allow by the dialer that it was given."""

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        options = apply(ConnectOptions(), *opts)
        try:
            return await super().connect(ctx, conn, network, address)
        except PermissionError:
            if options.dialer is None:
                raise
            return await options.dialer.dial(ctx, network, address)


@connectors.breaks("target-refused")
class WatchingTheUnreachable(RightConnector):
    """Stops what watches the node, unless the node could not reach the target."""

    async def answer(self, conn: Conn) -> str:
        watching = asyncio.create_task(watch())
        answer = ""
        try:
            answer = await super().answer(conn)
            return answer
        finally:
            if answer != "unreachable":
                watching.cancel()


@connectors.breaks("reads-whole")
class TakingUpACancelledRead(RightConnector):
    """Has a cancelled read go on, and gives what that has asked for to the next."""

    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        tcp = network.startswith("tcp")
        return ReadingOnBeneath(conn) if tcp else super().connection(conn, network, address)


connectors.breaks("break-shown")(giving(RightConnector, "connect", QuietEnd))
connectors.breaks("nothing-kept")(keeping_the_context(RightConnector, "connect"))
connectors.breaks("nothing-kept")(keeping_the_conns(RightConnector, "connect"))
connectors.breaks("writes-whole")(giving(RightConnector, "connect", Hurried))
connectors.breaks("writes-whole")(giving(RightConnector, "connect", OneBuffer))
connectors.breaks("close-wakes")(giving(RightConnector, "connect", ClosingBehindReads))
connectors.breaks("close-wakes")(giving(RightConnector, "connect", ClosingBehindWrites))
connectors.breaks("outlives-limit")(timing_reads(RightConnector, "connect"))


@connectors.breaks("again")
class ConnectingOnce(RightConnector):
    """Takes what it connected by a node before this one for connected by this one."""

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        if type(conn) is Passing and network.startswith("tcp"):
            return conn
        return await super().connect(ctx, conn, network, address, *opts)


class Beside(Framed):
    def __init__(self, inner: Conn, side: Conn | None) -> None:
        super().__init__(inner)
        self.side = side

    async def close(self) -> None:
        if self.side is not None:
            await self.side.close()
        await super().close()


@connectors.breaks("calls-apart")
class KeepingTheDialer(RightConnector):
    """Opens a connection beside one by udp, by any dialer that it was ever given."""

    kept: NetDialer | None = None

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        self.kept = apply(ConnectOptions(), *opts).dialer or self.kept
        result = await super().connect(ctx, conn, network, address)
        if network != "udp" or not address:
            return result
        return Beside(conn, await self.kept.dial(ctx, "tcp", address) if self.kept else None)


class ShortAssociation(Association):
    async def read_from(self, n: int, /) -> tuple[bytes, Addr]:
        return await super().read_from(min(n, 1500))


@connectors.breaks("association")
class CuttingTheAssociation(RightConnector):
    """Cuts what it reads to what most networks carry."""

    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        if network == "udp" and not address:
            return ShortAssociation(conn)
        return super().connection(conn, network, address)


class ApplyingLate(Passing):
    opts: tuple[ConnectOption, ...] = ()

    async def write(self, data: Buffer, /) -> None:
        opts, self.opts = self.opts, ()
        apply(ConnectOptions(), *opts)
        await super().write(data)


@connectors.breaks("options")
class OptionsAtTheFirstWrite(RightConnector):
    """Looks at the options when the first bytes are sent."""

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        result = await super().connect(ctx, conn, network, address)
        if isinstance(result, ApplyingLate):
            result.opts = opts
        return result

    def connection(self, conn: Conn, network: str, address: str) -> Conn:
        tcp = network.startswith("tcp")
        return ApplyingLate(conn) if tcp else super().connection(conn, network, address)


@connectors.breaks("node-dies")
class ReadingTextOnly(RightConnector):
    """Has what is no text raise the ValueError of the codec."""

    async def answer(self, conn: Conn) -> str:
        answer = await super().answer(conn)
        if "\ufffd" in answer:
            raise UnicodeError(f"{answer!r} is no text")
        return answer


connectors.breaks("options")(with_one_object(RightConnector, "connect", ConnectOptions))


@connectors.breaks("refused-not-passed")
class GoingPastTheNode(RightConnector):
    """Dials from here what the node cannot reach."""

    async def connect(
        self, ctx: Context, conn: Conn, network: str, address: str, /, *opts: ConnectOption
    ) -> Conn:
        try:
            return await super().connect(ctx, conn, network, address, *opts)
        except ConnectionRefusedError:
            if (aside := apply(ConnectOptions(), *opts).dialer) is None:
                raise
            await conn.close()
            return await aside.dial(ctx, network, address)
