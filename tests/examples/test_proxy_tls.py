"""TLS in the example with traffic: curl, chains, and peers that are not what they should be."""

import asyncio
import hashlib
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import test_proxy_program as programs
from proxy_harness import program, run
from test_proxy_program import BLOCK, curl, needs_curl
from tls_harness import (
    CA_FILE,
    CERT_FILE,
    CLIENT,
    CLIENT_FILE,
    KEY_FILE,
    NAME,
    SERVER,
    OpenConn,
    secure,
)

from gost_core.common.net import Conn
from gost_core.common.tls import TLSConfig
from gost_core.context import Context
from gost_core.listener import Option, addr_option, tls_config_option
from proxy import tls
from proxy.tcp import SystemDialer, TCPConn
from proxy.tls import TLSConn, TLSListener, connect_tls
from proxy.tls_settings import CIPHERS

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
        sock, _ = listening.accept()
    _, peer = await asyncio.get_running_loop().connect_accepted_socket(TCPConn, sock)
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


@needs_curl
def test_curl_gets_100_mib_through_a_proxy_that_speaks_tls(origin: str, tmp_path: Path) -> None:
    with program("-L", f"http+tls://127.0.0.1:0?{SERVED}") as running:
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
        program("-L", "socks5://127.0.0.1:0") as first,
        program("-L", f"http+tls://127.0.0.1:0?{SERVED}") as second,
    ):
        hops = first.address("socks5"), second.address("http+tls")
        forward = "-F", f"socks5://{hops[0]}", "-F", f"http+tls://{hops[1]}?caFile={CA_FILE}"
        with program("-L", "socks5://127.0.0.1:0", *forward) as entry:
            way = "--socks5-hostname", entry.address("socks5")
            assert curl(*way, f"http://{origin}/1").stdout == BLOCK
        assert first.wait_for(r"target=(\S+)")[1] == hops[1]
        assert second.wait_for(r"target=(\S+)")[1] == origin


@needs_curl
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "certificate of .*issuer certificate"),
        ("caFile={CA_FILE}&serverName=other.example", "certificate of .*other.example"),
        ("secure=false", None),
        ("caFile={CA_FILE}&serverName=proxy.example", None),
    ],
)
def test_a_node_must_show_the_certificate_that_its_settings_ask_for(
    settings: str, said: str | None, origin: str
) -> None:
    with program("-L", f"socks5+tls://127.0.0.1:0?{SERVED}") as node:
        hop = f"socks5+tls://{node.address('socks5+tls')}?{settings.format(**NAMES)}"
        with program("-L", "socks5://127.0.0.1:0", "-F", hop) as entry:
            way = "--socks5-hostname", entry.address("socks5")
            assert (curl(*way, f"http://{origin}/1").stdout == BLOCK) is (said is None)
            if said is not None:
                entry.wait_for(said)


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
def test_settings_that_make_no_server_are_named(url: str, said: list[str]) -> None:
    with program("-L", url.format(**NAMES)) as running:
        assert running.ended() == 2
        message = "".join(running.lines)
        assert all(words.format(**NAMES) in message for words in said), message
        assert "Traceback" not in message


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
            done, _ = await asyncio.wait({closing}, timeout=5)
            await peer.beneath.close()  # whatever waits ends now
            assert done

    run(main())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_each_cipher_suite_is_the_one_of_that_name() -> None:
    command = ["openssl", "ciphers", "-stdname", "ALL"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = dict(line.split()[:3:2] for line in listed.splitlines())
    assert CIPHERS.items() <= names.items()
