"""TLS in the example with traffic: curl, chains, and peers that are not what they should be."""

import asyncio
import hashlib
import io
import logging
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from gost_core.common.net import Conn
from gost_core.common.tls import TLSConfig
from gost_core.context import Context
from gost_core.keys import PEER_CERTIFICATE
from gost_core.listener import Option, addr_option, logger_option, tls_config_option
from proxy.dialer.tls import TLSDialer
from proxy.listener import tls as tls_listener
from proxy.listener.tls import TLSListener
from proxy.logger import StandardLogger
from proxy.metadata import MemoryMetadata
from proxy.net import tls
from proxy.net.dialer import SystemDialer
from proxy.net.newcomers import Newcomers
from proxy.net.tcp import TCPConn
from proxy.net.tls import TLSConn, client_config, connect_tls, server_config
from tests.examples import test_proxy_program as programs
from tests.examples.proxy_harness import connected, echo, forked, router_through, run, server
from tests.examples.test_proxy_program import BLOCK, curl, needs_curl
from tests.examples.tls_harness import (
    CA_FILE,
    CERT_FILE,
    CLIENT,
    CLIENT_CERTIFICATE,
    CLIENT_FILE,
    KEY_FILE,
    NAME,
    SERVER,
    OpenConn,
    secure,
)

SERVED = f"certFile={CERT_FILE}&keyFile={KEY_FILE}"

# Told apart by their names, since the paths are others in each process.
NAMES = {
    "CA_FILE": CA_FILE,
    "CERT_FILE": CERT_FILE,
    "KEY_FILE": KEY_FILE,
    "CLIENT_FILE": CLIENT_FILE,
    "SERVED": SERVED,
}

origin = programs.origin


@asynccontextmanager
async def secured(
    client: TLSConfig = CLIENT, served: TLSConfig = SERVER
) -> AsyncGenerator[tuple[OpenConn, OpenConn], None]:
    """Yield the client's end and the server's end of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        conn = await SystemDialer().dial(Context(), "tcp", "{}:{}".format(*listening.getsockname()))
        peer = TCPConn(*listening.accept())
    ends = await secure(conn, peer, client, served)
    try:
        yield ends
    finally:
        for end in ends:
            await end.close()


async def connect(listener: TLSListener, config: TLSConfig = CLIENT) -> TLSConn:
    inner = await SystemDialer().dial(Context(), "tcp", str(listener.addr()))
    try:
        return await connect_tls(inner, config, NAME)
    except BaseException:
        await inner.close()
        raise


@asynccontextmanager
async def listening(*opts: Option) -> AsyncGenerator[TLSListener, None]:
    listener = TLSListener(addr_option("127.0.0.1:0"), tls_config_option(SERVER), *opts)
    await listener.init(None)
    try:
        yield listener
    finally:
        await listener.close()


async def read_to_end(conn: Conn) -> bytes:
    pieces: list[bytes] = []
    while data := await conn.read(1000):
        pieces.append(data)
    return b"".join(pieces)


async def ended(conn: Conn) -> None:
    """Wait until the peer has ended a connection, by whatever means."""
    with suppress(ConnectionResetError):
        await read_to_end(conn)


# ---- the program


@pytest.mark.one_python
@needs_curl
def test_curl_gets_100_mib_through_a_proxy_that_speaks_tls(origin: str, tmp_path: Path) -> None:
    with forked("-L", f"http+tls://127.0.0.1:0?{SERVED}") as running:
        proxy = "--proxy", f"https://{running.address('http+tls')}", "--proxy-cacert", CA_FILE
        assert curl(*proxy, "--proxytunnel", f"http://{origin}/1").stdout == BLOCK
        done = curl(*proxy, "--output", str(tmp_path / "body"), f"http://{origin}/100")
        assert done.returncode == 0, done.stderr.decode()
        with (tmp_path / "body").open("rb") as body:
            digest = hashlib.file_digest(body, "sha256").hexdigest()
        assert digest == hashlib.sha256(BLOCK * 100).hexdigest()


@needs_curl
def test_the_second_hop_of_a_chain_is_tls_through_the_first(origin: str) -> None:
    with (
        forked("-L", "socks5://127.0.0.1:0") as first,
        forked("-L", f"http+tls://127.0.0.1:0?{SERVED}") as second,
    ):
        hops = first.address("socks5"), second.address("http+tls")
        forward = "-F", f"socks5://{hops[0]}", "-F", f"http+tls://{hops[1]}?caFile={CA_FILE}"
        with forked("-L", "socks5://127.0.0.1:0", *forward) as entry:
            way = "--socks5-hostname", entry.address("socks5")
            assert curl(*way, f"http://{origin}/1").stdout == BLOCK
        assert first.wait_for(r"target=(\S+)")[1] == hops[1]
        assert second.wait_for(r"target=(\S+)")[1] == origin


@needs_curl
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("secure=true", "certificate of .*issuer certificate"),
        ("caFile={CA_FILE}&serverName=other.example", "certificate of .*other.example"),
        ("secure=false", None),
        ("caFile={CA_FILE}&serverName=proxy.example", None),
    ],
)
def test_a_node_must_show_the_certificate_that_its_settings_ask_for(
    settings: str, said: str | None, origin: str
) -> None:
    with forked("-L", f"socks5+tls://127.0.0.1:0?{SERVED}") as node:
        hop = f"socks5+tls://{node.address('socks5+tls')}?{settings.format(**NAMES)}"
        with forked("-L", "socks5://127.0.0.1:0", "-F", hop) as entry:
            way = "--socks5-hostname", entry.address("socks5")
            assert (curl(*way, f"http://{origin}/1").stdout == BLOCK) is (said is None)
            if said is not None:
                entry.wait_for(said)


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http+tls://:0", ["certificate", "certFile", "keyFile"]),
        ("http+tls://:0?keyFile={KEY_FILE}", ["keyFile", "certFile"]),
        ("http+tls://:0?certFile={CERT_FILE}", ["certFile", "{CERT_FILE}"]),
        ("http+tls://:0?{SERVED}&caFile=missing.pem", ["caFile", "missing.pem", "No such file"]),
        ("http+tls://:0?certFile={CERT_FILE}&keyFile={CLIENT_FILE}", ["keyFile", "mismatch"]),
        ("http+tls://:0?{SERVED}&serverName=here", ["serverName"]),
    ],
)
def test_settings_that_make_no_server_are_named(
    refusal: Callable[..., str], url: str, said: list[str]
) -> None:
    message = refusal("-L", url.format(**NAMES))
    assert all(words.format(**NAMES) in message for words in said), message


# ---- the connection


def test_nothing_that_has_arrived_is_lost_when_the_own_stream_is_ended() -> None:
    async def main() -> None:
        async with secured() as (conn, peer):
            data = bytes(range(256)) * 1000
            sending = asyncio.create_task(peer.write(data))
            first = await conn.read(5)  # the rest of its record is decrypted, and others wait
            await conn.close_write()
            await sending
            assert await peer.read(5) == b""
            await peer.close()
            assert first + await read_to_end(conn) == data

    run(main())


def test_a_stream_that_is_cut_short_does_not_look_ended() -> None:
    async def main() -> None:
        async with secured() as (conn, peer):
            await peer.write(b"pay 1000")
            await peer.beneath.close()  # an end that anybody on the way could forge
            assert await conn.read(100) == b"pay 1000"
            for _ in range(2):
                with pytest.raises(ConnectionResetError, match="mid-stream"):
                    await conn.read(100)

    run(main())


def test_what_was_tampered_with_breaks_the_stream_off() -> None:
    async def main() -> None:
        async with secured() as (conn, peer):
            await peer.beneath.write(b"\x17\x03\x03\x00\x20" + bytes(32))
            for _ in range(2):
                with pytest.raises(ConnectionResetError, match="127"):
                    await conn.read(100)
            with pytest.raises(ConnectionResetError):
                await conn.write(b"x")
            await conn.close()
            with pytest.raises(ConnectionResetError, match="alert"):  # the peer is told
                await peer.read(100)

    run(main())


def test_closing_waits_only_briefly_for_a_peer_that_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls, "FAREWELL", 0.1)

    async def main() -> None:
        async with secured() as (conn, peer):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await conn.beneath.write(bytes(100_000_000))  # the way is full: TLS knows not
            closing = asyncio.create_task(conn.close())
            done, _ = await asyncio.wait({closing}, timeout=30)
            await peer.beneath.close()  # whatever waits ends now
            assert done

    run(main())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_peer_that_changes_its_keys_and_asks_for_new_ones_is_served() -> None:
    async def main() -> None:
        async with listening() as listener:
            client = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", str(listener.addr()), "-tls1_3"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert client.stdin is not None
            assert client.stdout is not None
            conn = await listener.accept()
            for line in (b"one\n", b"K\n", b"two\n"):
                client.stdin.write(line)
                if line == b"K\n":  # is no text, but what has it change its keys
                    await client.stdout.readuntil(b"KEYUPDATE")
                else:
                    assert await conn.read(100) == line
                    await conn.write(b"answer to " + line)
                    await client.stdout.readuntil(b"answer to " + line)
            client.kill()
            await client.communicate()
            await conn.close()

    run(main())


# ---- the listener


def test_clients_that_speak_no_tls_or_nothing_at_all_disturb_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_listener, "LIMIT", 2.0)
    log = io.StringIO()
    target = logging.Manager(logging.RootLogger(logging.NOTSET)).getLogger("tls")
    target.addHandler(logging.StreamHandler(log))

    async def main() -> None:
        async with listening(logger_option(StandardLogger(target))) as listener:
            plain, silent = [
                await SystemDialer().dial(Context(), "tcp", str(listener.addr())) for _ in range(2)
            ]
            await plain.write(b"GET / HTTP/1.1\r\n\r\n")
            conn = await connect(listener)
            served = await listener.accept()
            await conn.write(b"good")
            assert await served.read(100) == b"good"
            for client in (plain, silent):  # the silent one within its limit
                await ended(client)
                await client.close()
            await conn.close()
            await served.close()

    run(main())
    assert re.search("SSLError from 127.0.0.1:.*HTTP_REQUEST", log.getvalue())
    assert re.search("TimeoutError from 127.0.0.1:", log.getvalue())


def test_clients_that_do_not_finish_their_handshakes_stop_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_listener, "Newcomers", partial(Newcomers, 3))

    async def main() -> None:
        async with listening() as listener:
            dial = SystemDialer().dial
            silent = [await dial(Context(), "tcp", str(listener.addr())) for _ in range(10)]
            await (await connect(listener)).close()
            for conn in silent[:8]:
                await ended(conn)
            for conn in silent:
                await conn.close()

    run(main())


def test_a_listener_can_ask_clients_for_certificates() -> None:
    files = {"certFile": CERT_FILE, "keyFile": KEY_FILE, "caFile": CA_FILE}
    config = server_config(MemoryMetadata(files))
    known = client_config(MemoryMetadata({"caFile": CA_FILE, "certFile": CLIENT_FILE}))

    async def main() -> None:
        async with secured(known, config) as (conn, served):
            context = served.context()
            assert context is not None
            assert context.value(PEER_CERTIFICATE) == CLIENT_CERTIFICATE
            assert conn.context() is None  # the server is nobody's client
        async with listening(tls_config_option(config)) as listener:
            unknown = await connect(listener)  # it learns only from its first read (TLS 1.3)
            with pytest.raises(ConnectionResetError, match="certificate required"):
                await unknown.read(1)
            await unknown.close()

    run(main())


# ---- the dialer


def test_a_wrong_certificate_is_no_permanent_error_so_another_node_is_tried() -> None:
    async def main() -> None:
        async with server(echo) as target:
            with (
                forked("-L", f"socks5+tls://127.0.0.1:0?{SERVED}") as wrong,
                forked("-L", "socks5://127.0.0.1:0") as right,
            ):
                first = f"socks5+tls://{wrong.address('socks5+tls')}"
                router = await router_through(
                    f"{first},socks5://{right.address('socks5')}", retries=1
                )
                conn = await router.dial(Context(), "tcp", target)
                await conn.write(b"hello")
                assert await conn.read(5) == b"hello"
                await conn.close()
                router = await router_through(first)
                with pytest.raises(ssl.SSLError, match="certificate of") as caught:
                    await router.dial(Context(), "tcp", target)
                assert not isinstance(caught.value, ValueError)

    run(main())


def test_whom_to_expect_must_be_known() -> None:
    async def main() -> None:
        async with connected() as (conn, _):
            dialer = TLSDialer()
            await dialer.init(None)
            with pytest.raises(ValueError, match="serverName"):
                await dialer.handshake(Context(), conn)

    run(main())


# ---- settings


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key = tmp_path / "key.pem"
    command = [openssl, "pkcs8", "-topk8", "-in", KEY_FILE, "-passout", "pass:x", "-out", str(key)]
    subprocess.run(command, check=True)
    settings = MemoryMetadata({"certFile": CERT_FILE, "keyFile": str(key)})
    with pytest.raises(ValueError, match="keyFile"):
        server_config(settings)
    assert "phrase" not in capfd.readouterr().err


def test_a_key_without_a_certificate_is_a_slip_of_the_pen() -> None:
    with pytest.raises(ValueError, match="certFile"):
        client_config(MemoryMetadata({"keyFile": KEY_FILE}))


@pytest.mark.parametrize(
    ("key", "value"), [("secure", "perhaps"), ("secure", 1), ("caFile", 7), ("serverName", True)]
)
def test_a_setting_of_a_wrong_type_is_named(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        client_config(MemoryMetadata({key: value}))
