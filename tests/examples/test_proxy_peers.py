"""The example proxy among programs and libraries that nobody here wrote."""

import asyncio
import hashlib
import http.server
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
import socks
from python_socks import ProxyError
from python_socks.async_.asyncio import Proxy

from tests.examples.peers import (
    dante,
    haproxy,
    microsocks,
    ncat,
    nginx,
    openssh,
    privoxy,
    squid,
    stunnel,
    tinyproxy,
)
from tests.examples.proxy_harness import LIMIT, echo, forked, refused_address, run, server
from tests.examples.tls_harness import CA_FILE, NAME

pytestmark = pytest.mark.one_python

CONTENT = random.Random(0).randbytes(10 << 20)


class Origin(http.server.BaseHTTPRequestHandler):
    """Serves the content."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Run an HTTP server; give its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
        thread.start()
        yield "{}:{}".format(*serving.server_address[:2])
        serving.shutdown()
        thread.join(LIMIT)


PEERS = [microsocks, dante, tinyproxy, openssh, squid, privoxy, ncat]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.__name__)
@pytest.mark.parametrize("last", ["socks5", "http"])
def test_a_chain_goes_through_a_middle_hop_of_others(
    peer: Callable[[Path], AbstractContextManager[str]], last: str, origin: str, tmp_path: Path
) -> None:
    with peer(tmp_path) as middle, forked("-L", f"{last}://127.0.0.1:0") as exit:
        hops = "-F", middle, "-F", f"{last}://{exit.address(last)}"
        with forked("-L", "socks5://127.0.0.1:0", *hops) as entry:
            with httpx.Client(
                proxy=f"socks5://{entry.address('socks5')}", trust_env=False, timeout=LIMIT
            ) as client:
                for _ in range(2):
                    assert client.get(f"http://{origin}/").content == CONTENT
            exit.wait_for(rf"target={origin}")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.__name__)
def test_a_target_that_a_peer_cannot_reach_is_told_to_the_client(
    peer: Callable[[Path], AbstractContextManager[str]], tmp_path: Path
) -> None:
    target = refused_address()
    with peer(tmp_path) as last, forked("-L", "http://127.0.0.1:0", "-F", last) as entry:
        with httpx.Client(
            proxy=f"http://{entry.address('http')}", trust_env=False, timeout=LIMIT
        ) as client:
            answer = client.get(f"http://{target}/")
        assert 500 <= answer.status_code <= 504
        entry.wait_for(target)


def test_a_wrong_password_at_a_peer_is_told(tmp_path: Path) -> None:
    with ncat(tmp_path) as last:
        hop = last.replace("secret", "guess")
        with forked("-L", "http://127.0.0.1:0", "-F", hop) as entry:
            with httpx.Client(
                proxy=f"http://{entry.address('http')}", trust_env=False, timeout=LIMIT
            ) as client:
                assert client.get("http://127.0.0.1:9/").status_code in (403, 502)
            entry.wait_for("other credentials")


@pytest.mark.parametrize(
    ("front", "hop"),
    [
        (haproxy, "socks5://{}"),
        (stunnel, f"socks5+tls://{{}}?caFile={CA_FILE}&serverName={NAME}"),
    ],
    ids=["haproxy", "stunnel"],
)
def test_a_proxy_is_reached_behind_a_front_of_others(
    front: Callable[[Path, str], AbstractContextManager[str]],
    hop: str,
    origin: str,
    tmp_path: Path,
) -> None:
    with (
        forked("-L", "socks5://127.0.0.1:0") as exit,
        front(tmp_path, exit.address("socks5")) as address,
        forked("-L", "http://127.0.0.1:0", "-F", hop.format(address)) as entry,
        httpx.Client(
            proxy=f"http://{entry.address('http')}", trust_env=False, timeout=LIMIT
        ) as client,
    ):
        assert client.get(f"http://{origin}/").content == CONTENT
        dead = refused_address()
        assert client.get(f"http://{dead}/").status_code == 502
        exit.wait_for(f"{dead}: .*Errno 111")


def test_the_gateway_leads_to_nginx_and_tells_when_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    with nginx(tmp_path) as address:
        target = address
    with forked("-L", f"gateway://127.0.0.1:0/{target}") as entry:
        url = f"http://{entry.address('gateway')}/content"
        with httpx.Client(trust_env=False, timeout=LIMIT) as client:
            assert client.get(url).status_code == 502
            entry.wait_for(f"{target}: .*Errno 111")
    with nginx(tmp_path) as address, forked("-L", f"gateway://127.0.0.1:0/{address}") as entry:
        url = f"http://{entry.address('gateway')}/content"
        with httpx.Client(trust_env=False, timeout=LIMIT) as client:
            assert client.get(url).content == CONTENT


def test_pysocks_is_served_and_refused_by_password() -> None:
    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "socks5://me:secret@127.0.0.1:0") as entry:
                host, _, port = entry.address("socks5").rpartition(":")

                def ask(password: str) -> bytes:
                    target_host, _, target_port = target.rpartition(":")
                    with socks.create_connection(
                        (target_host, int(target_port)),
                        timeout=int(LIMIT),
                        proxy_type=socks.SOCKS5,
                        proxy_addr=host,
                        proxy_port=int(port),
                        proxy_username="me",
                        proxy_password=password,
                    ) as client:
                        client.sendall(b"question")
                        client.shutdown(socket.SHUT_WR)
                        return b"".join(iter(lambda: client.recv(100), b""))

                assert await asyncio.to_thread(ask, "secret") == b"question"
                with pytest.raises(socks.ProxyError, match="authentication failed"):
                    await asyncio.to_thread(ask, "guess")

    run(main())


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_python_socks_is_served_and_refused_by_password(scheme: str) -> None:
    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", f"{scheme}://me:secret@127.0.0.1:0") as entry:
                address = entry.address(scheme)
                host, _, port = target.rpartition(":")
                proxy = Proxy.from_url(f"{scheme}://me:secret@{address}")
                client = await proxy.connect(dest_host=host, dest_port=int(port), timeout=LIMIT)
                reader, writer = await asyncio.open_connection(sock=client)
                writer.write(CONTENT)
                answer = await reader.readexactly(len(CONTENT))
                assert hashlib.sha256(answer).digest() == hashlib.sha256(CONTENT).digest()
                writer.close()
                await writer.wait_closed()
                refused = Proxy.from_url(f"{scheme}://me:guess@{address}")
                with pytest.raises(ProxyError):
                    await refused.connect(dest_host=host, dest_port=int(port), timeout=LIMIT)

    run(main())
