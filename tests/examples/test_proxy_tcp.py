"""What the example's connections and listeners promise."""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest

from gost_core.common.net import ClosedError, HalfCloser, UnsupportedError
from gost_core.context import Context
from gost_core.dialer import net_dialer_dial_option
from gost_core.listener import AcceptError, addr_option, netns_option, proxy_protocol_option
from gost_core.listener import ClosedError as ListenerClosedError
from proxy.dialer.tcp import TCPDialer
from proxy.listener.tcp import TCPListener
from proxy.metadata import MemoryMetadata
from proxy.net.address import TCPAddr, split_host_port
from proxy.net.dialer import SystemDialer
from tests.examples.proxy_harness import connected, echo, run, server


def test_a_cancelled_read_loses_nothing() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            loop = asyncio.get_running_loop()
            received = b""
            for number in range(200):
                reading = asyncio.create_task(conn.read(100))
                await asyncio.sleep(0)
                await loop.sock_sendall(peer, bytes([number]))
                for _ in range(number % 5):  # cancel at every stage of the delivery
                    await asyncio.sleep(0)
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    received += await reading
            peer.shutdown(socket.SHUT_WR)
            while data := await conn.read(100):
                received += data
            assert received == bytes(range(200))

    run(main())


def test_reads_of_any_size_give_the_stream_in_order() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            sent = bytes(range(256)) * 4096
            sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(peer, sent))
            received, size = b"", 1
            while len(received) < len(sent):
                data = await conn.read(size)
                assert 1 <= len(data) <= size
                received += data
                size = size * 3 % 70_001 + 1
            await sending
            assert received == sent

    run(main())


def test_a_peer_that_is_not_read_from_is_held_up() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            sending = asyncio.create_task(
                asyncio.get_running_loop().sock_sendall(peer, bytes(16 * 1024 * 1024))
            )
            done, _ = await asyncio.wait([sending], timeout=0.5)
            assert not done, "16 MiB were buffered for nobody"
            received = 0
            while received < 16 * 1024 * 1024:
                received += len(await conn.read(1024 * 1024))
            await sending

    run(main())


def test_a_write_returns_when_the_peer_can_no_longer_hold_it_up() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            sent = bytearray(b"x" * 32 * 1024 * 1024)
            writing = asyncio.create_task(conn.write(sent))
            done, _ = await asyncio.wait([writing], timeout=0.2)
            assert not done, "the connection took 32 MiB that nobody reads"
            received = 0
            while not writing.done():
                received += len(await asyncio.get_running_loop().sock_recv(peer, 1024 * 1024))
            sent[:] = b"y" * len(sent)  # the caller's again, as soon as the call has returned
            while received < len(sent):
                data = await asyncio.get_running_loop().sock_recv(peer, 1024 * 1024)
                assert b"y" not in data
                received += len(data)

    run(main())


def test_a_write_takes_any_buffer() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            await conn.write(memoryview(struct.pack("2I", 1, 2)).cast("I"))
            await conn.write(b"")
            assert await asyncio.get_running_loop().sock_recv(peer, 100) == struct.pack("2I", 1, 2)

    run(main())


def test_the_end_of_the_peers_stream_stays_and_writing_goes_on() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            peer.send(b"question")
            peer.shutdown(socket.SHUT_WR)
            assert await conn.read(100) == b"question"
            assert [await conn.read(100) for _ in range(3)] == [b"", b"", b""]
            await conn.write(b"answer")
            assert await asyncio.get_running_loop().sock_recv(peer, 100) == b"answer"

    run(main())


def test_close_write_ends_the_outgoing_stream_alone() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            assert isinstance(conn, HalfCloser)
            await conn.write(b"question")
            await conn.close_write()
            await conn.close_write()
            with pytest.raises(BrokenPipeError):
                await conn.write(b"more")
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(peer, 100) == b"question"
            assert await loop.sock_recv(peer, 100) == b""
            peer.send(b"answer")
            assert await conn.read(100) == b"answer"

    run(main())


@pytest.mark.parametrize("operation", ["read", "write"])
def test_close_ends_a_waiting_call_with_closed_error(operation: str) -> None:
    async def main() -> None:
        async with connected() as (conn, _):
            call = conn.read(1) if operation == "read" else conn.write(bytes(64 * 1024 * 1024))
            waiting = asyncio.create_task(call)
            await asyncio.sleep(0)
            await asyncio.gather(conn.close(), conn.close())
            with pytest.raises(ClosedError):
                await waiting

    run(main())


def test_a_closed_connection_refuses_everything_but_its_addresses() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            peer.send(b"never read")
            addresses = str(conn.local_addr()), str(conn.remote_addr())
            await conn.close()
            with pytest.raises(ClosedError):
                await conn.read(1)
            with pytest.raises(ClosedError):
                await conn.write(b"x")
            assert isinstance(conn, HalfCloser)
            with pytest.raises(ClosedError):
                await conn.close_write()
            await conn.close()
            assert (str(conn.local_addr()), str(conn.remote_addr())) == addresses

    run(main())


def test_a_second_reader_or_writer_gets_a_runtime_error() -> None:
    async def main() -> None:
        async with connected() as (conn, _):
            reading = asyncio.create_task(conn.read(1))
            writing = asyncio.create_task(conn.write(bytes(64 * 1024 * 1024)))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await conn.read(1)
            with pytest.raises(RuntimeError):
                await conn.write(b"x")
            await conn.close()
            await asyncio.gather(reading, writing, return_exceptions=True)

    run(main())


def test_a_read_of_nothing_is_a_value_error() -> None:
    async def main() -> None:
        async with connected() as (conn, _):
            with pytest.raises(ValueError, match="at least 1"):
                await conn.read(0)

    run(main())


def test_a_reset_is_reported_behind_the_data_that_came_before_it() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            peer.send(b"last words")
            assert await conn.read(4) == b"last"
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            assert await conn.read(100) == b" words"
            for _ in range(2):  # never the b"" of a stream that was whole
                with pytest.raises(ConnectionResetError):
                    await conn.read(100)
            with pytest.raises(ConnectionResetError):
                await conn.write(b"x")

    run(main())


def test_a_write_to_a_peer_that_went_away_raises_in_the_end() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            peer.close()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                await conn.write(bytes(64 * 1024 * 1024))

    run(main())


def test_a_listener_is_bound_when_init_returns_and_frees_its_address_when_close_does() -> None:
    async def main() -> None:
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        address = str(listener.addr())
        assert not address.endswith(":0")
        accepting = asyncio.create_task(listener.accept())
        await asyncio.sleep(0)
        await asyncio.gather(listener.close(), listener.close())
        with pytest.raises(ListenerClosedError):
            await accepting
        assert str(listener.addr()) == address
        again = TCPListener(addr_option(address))
        await again.init(None)
        await again.close()

    run(main())


def test_a_connection_that_arrives_at_a_cancelled_accept_is_not_lost() -> None:
    async def main() -> None:
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        host, port = split_host_port(str(listener.addr()))
        loop = asyncio.get_running_loop()
        for stage in range(6):
            accepting = asyncio.create_task(listener.accept())
            await asyncio.sleep(0)
            with socket.socket() as peer:
                peer.setblocking(False)
                await loop.sock_connect(peer, (host, port))
                peer.send(b"hello")
                for _ in range(stage):
                    await asyncio.sleep(0)
                accepting.cancel()
                try:
                    conn = await accepting
                except asyncio.CancelledError:
                    later = asyncio.create_task(listener.accept())
                    closed = asyncio.create_task(loop.sock_recv(peer, 1))
                    await asyncio.wait([later, closed], return_when=asyncio.FIRST_COMPLETED)
                    if closed.done():  # then the peer knows
                        later.cancel()
                        with pytest.raises(ConnectionResetError):
                            await closed
                        continue
                    closed.cancel()
                    conn = await later
                assert await conn.read(100) == b"hello"
                await conn.close()
        await listener.close()

    run(main())


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ECONNABORTED])
def test_a_host_in_trouble_is_reported_as_accept_error(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        dialing = asyncio.create_task(SystemDialer().dial(Context(), "tcp", str(listener.addr())))
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", _raiser(OSError(number, "trouble")))
            with pytest.raises(AcceptError) as caught:
                await listener.accept()
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == number
        await (await listener.accept()).close()
        await (await dialing).close()
        await listener.close()

    run(main())


def test_a_listener_that_fails_for_good_says_so_once_and_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        listener = TCPListener(addr_option("127.0.0.1:0"))
        await listener.init(None)
        dialing = asyncio.create_task(SystemDialer().dial(Context(), "tcp", str(listener.addr())))
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "accept", _raiser(OSError(errno.EBADF, "gone")))
            with pytest.raises(OSError, match="gone"):
                await listener.accept()
        with pytest.raises(ListenerClosedError):
            await listener.accept()
        await (await dialing).close()

    run(main())


def _raiser(error: OSError) -> Callable[[socket.socket], object]:
    def raise_it(_: socket.socket) -> object:
        raise error

    return raise_it


def test_a_component_is_initialized_exactly_once() -> None:
    async def main() -> None:
        dialer = TCPDialer()
        with pytest.raises(RuntimeError):
            await dialer.dial(Context(), "127.0.0.1:1")
        await dialer.init(None)
        with pytest.raises(RuntimeError):
            await dialer.init(None)
        listener = TCPListener(addr_option("127.0.0.1:0"))
        with pytest.raises(RuntimeError):
            await listener.accept()
        await listener.close()

    run(main())


@pytest.mark.parametrize(
    ("address", "settings", "named"),
    [
        ("127.0.0.1", {}, "port"),
        ("127.0.0.1:65536", {}, "port"),
        ("::1:80", {}, "brackets"),
        ("127.0.0.1:0", {"backlog": "many"}, "backlog"),
    ],
)
def test_a_wrong_setting_is_named(address: str, settings: dict[str, object], named: str) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match=named):
            await TCPListener(addr_option(address)).init(MemoryMetadata(settings))

    run(main())


def test_an_option_that_is_not_served_is_refused_and_not_ignored() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="netns"):
            await TCPListener(addr_option("127.0.0.1:0"), netns_option("other")).init(None)
        with pytest.raises(ValueError, match="proxy_protocol"):
            await TCPListener(addr_option("127.0.0.1:0"), proxy_protocol_option(2)).init(None)
        listener = TCPListener(addr_option("127.0.0.1:0"), proxy_protocol_option(-1))
        await listener.init(None)
        await listener.close()

    run(main())


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")
def test_an_address_without_host_serves_both_families() -> None:
    async def main() -> None:
        listener = TCPListener(addr_option(":0"))
        await listener.init(None)
        _, port = split_host_port(str(listener.addr()))
        for address, client in ((f"127.0.0.1:{port}", "127.0.0.1:"), (f"[::1]:{port}", "[::1]:")):
            dialing = asyncio.create_task(SystemDialer().dial(Context(), "tcp", address))
            accepted = await listener.accept()
            dialed = await dialing
            assert str(accepted.remote_addr()).startswith(client)
            assert str(dialed.remote_addr()) == address
            await accepted.close()
            await dialed.close()
        await listener.close()

    run(main())


def test_a_dialed_connection_outlives_the_timeout_of_the_call() -> None:
    async def main() -> None:
        async with server(echo) as address:
            dialer = TCPDialer()
            await dialer.init(None)
            conn = await asyncio.wait_for(
                dialer.dial(Context(), address, net_dialer_dial_option(SystemDialer())), 2
            )
            await asyncio.sleep(2.1)
            await conn.write(b"still here")
            assert await conn.read(100) == b"still here"
            await conn.close()

    run(main())


def test_a_dial_says_what_went_wrong() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "{}:{}".format(*taken.getsockname())
        dial = SystemDialer().dial
        with pytest.raises(ConnectionRefusedError):
            await dial(Context(), "tcp", address)
        with pytest.raises(ConnectionRefusedError):  # for a name with several addresses, too
            await dial(Context(), "tcp", address.replace("127.0.0.1", "localhost"))
        with pytest.raises(socket.gaierror):
            await dial(Context(), "tcp", "name.invalid:80")
        with pytest.raises(UnsupportedError):
            await dial(Context(), "unix", address)
        with pytest.raises(ValueError, match="no host"):
            await dial(Context(), "tcp", ":80")

    run(main())


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:443", "example.com:0", ":8080"])
def test_an_address_comes_back_as_it_was_written(text: str) -> None:
    assert str(TCPAddr(*split_host_port(text))) == text


def test_of_what_strangers_write_little_is_kept() -> None:
    split_host_port.cache_clear()
    split_host_port(f"{'a' * 253}:80")
    with pytest.raises(ValueError, match="so many"):  # it could be as long as a head of HTTP
        split_host_port(f"{'a' * 254}:80")
    for number in range(5000):
        split_host_port(f"host{number}:80")
    assert 1 < split_host_port.cache_info().currsize <= 1024


def test_a_read_of_little_leaves_the_rest_to_the_next_one_also_when_it_waited() -> None:
    async def main() -> None:
        async with connected() as (conn, peer):
            for _ in range(3):
                reading = asyncio.create_task(conn.read(2))
                await asyncio.sleep(0)
                await asyncio.get_running_loop().sock_sendall(peer, b"hello")
                assert [await reading, await conn.read(1), await conn.read(9)] == [
                    b"he",
                    b"l",
                    b"lo",
                ]
            peer.close()
            assert await conn.read(2) == b""

    run(main())
