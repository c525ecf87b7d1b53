"""The example proxy with clients that nobody here wrote: all arrives, and each error is clear."""

import http.server
import importlib.util
import random
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.examples.peers import program as peer
from tests.examples.proxy_harness import LIMIT, forked, refused_address

pytestmark = pytest.mark.one_python

CONTENT = random.Random(0).randbytes(10 << 20)
SUM = sum(CONTENT)
USER, PASSWORD = "me", "secret"

# How the clients tell of it: curl's words are those of git and proxychains too.
WRONG = "407|rejected|[Aa]uthentication|ProxyError|Couldn't connect"
DEAD = "502|Bad Gateway|Can't complete SOCKS5|refused|ProxyError|Couldn't connect"

# What the browser finds, it writes into its page: the length and the sum of what has come.
PAGE = """\
<body><script>
const asked = new XMLHttpRequest();
asked.open("GET", "content", false);
asked.overrideMimeType("text/plain; charset=x-user-defined");
asked.send();
let sum = 0;
for (let i = 0; i < asked.response.length; i++) sum += asked.response.charCodeAt(i) & 255;
document.body.textContent = `${asked.response.length} bytes, ${sum} in all`;
</script>
"""


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def call(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=cwd, capture_output=True, timeout=LIMIT)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the content, also in a repository and for a page; give the address."""
    folder = tmp_path_factory.mktemp("origin")
    (folder / "content").write_bytes(CONTENT)
    (folder / "page.html").write_text(PAGE)
    if git := shutil.which("git"):
        who = "-c", "user.name=x", "-c", "user.email=x@example.org"
        call(git, "init", "--quiet", cwd=folder)
        call(git, "add", "content", cwd=folder)
        call(git, *who, "commit", "--quiet", "--message=content", cwd=folder)
        call(git, "update-server-info", cwd=folder)
    handler = partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
        thread.start()
        yield "{}:{}".format(*serving.server_address[:2])
        serving.shutdown()
        thread.join(LIMIT)


@dataclass(frozen=True, slots=True)
class Way:
    """How to get the content: the proxy, with a user for it, and the origin."""

    scheme: str
    proxy: str
    password: str
    origin: str
    folder: Path

    @property
    def url(self) -> str:
        scheme = self.scheme.replace("socks5", "socks5h")
        return f"{scheme}://{USER}:{self.password}@{self.proxy}"

    @property
    def content(self) -> str:
        return f"http://{self.origin}/content"


Got = tuple[bytes, str]
"""The content, or what else has come, and what is said of it."""


def curl(way: Way) -> Got:
    done = call(peer("curl", "curl"), "-sS", "--fail", "--proxy", way.url, way.content)
    return done.stdout, done.stderr.decode()


def wget(way: Way) -> Got:
    options = f"--proxy-user={USER}", f"--proxy-password={way.password}", "--tries=1"
    proxy = "-e", "use_proxy=yes", "-e", f"http_proxy=http://{way.proxy}/"
    done = call(peer("wget", "wget"), "-nv", "-O-", *options, *proxy, way.content)
    return done.stdout, done.stderr.decode()


def git(way: Way) -> Got:
    folder = way.folder / "clone"
    repository = f"http://{way.origin}/.git"
    done = call(
        peer("git", "git"), "-c", f"http.proxy={way.url}", "clone", "--quiet", repository, folder
    )
    content = folder / "content"
    return content.read_bytes() if content.exists() else b"", done.stderr.decode()


def _request(way: Way, command: list[str]) -> Got:
    request = f"GET /content HTTP/1.0\r\nHost: {way.origin}\r\n\r\n".encode()
    done = subprocess.run(command, input=request, capture_output=True, timeout=LIMIT)
    return done.stdout.partition(b"\r\n\r\n")[2], done.stderr.decode()


def ncat(way: Way) -> Got:
    kind = "--proxy-type", way.scheme, "--proxy-auth", f"{USER}:{way.password}"
    command = [peer("ncat", "ncat"), "--proxy", way.proxy, *kind, *way.origin.split(":")]
    return _request(way, command)


def socat(way: Way) -> Got:
    host, _, port = way.proxy.partition(":")
    there = f"PROXY:{host}:{way.origin},proxyport={port},proxyauth={USER}:{way.password}"
    return _request(way, [peer("socat", "socat"), "-t", str(LIMIT), "-", there])


def proxychains(way: Way) -> Got:
    settings = way.folder / "proxychains.conf"
    host, _, port = way.proxy.partition(":")
    settings.write_text(f"[ProxyList]\n{way.scheme} {host} {port} {USER} {way.password}\n")
    command = peer("proxychains4", "proxychains4"), "-f", settings, peer("curl", "curl")
    done = call(*command, "-sS", "--noproxy", "*", way.content)
    return done.stdout, done.stderr.decode()


WEBSOCKETS = """\
import asyncio, sys
import websockets

async def main():
    async def serve(client):
        await client.send(open(sys.argv[3], "rb").read())
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1] if sys.argv[2] == "alive" else sys.argv[2]
        uri = f"ws://127.0.0.1:{port}"
        async with websockets.connect(uri, proxy=sys.argv[1], max_size=None) as client:
            sys.stdout.buffer.write(await client.recv())

asyncio.run(main())
"""


def websockets(way: Way) -> Got:
    if importlib.util.find_spec("websockets") is None:
        pytest.skip("websockets is not installed; it is a package of Python")
    content = way.folder / "content"
    content.write_bytes(CONTENT)
    alive = call(peer("curl", "curl"), "-sS", f"http://{way.origin}/page.html").returncode == 0
    port = "alive" if alive else way.origin.partition(":")[2]
    done = call(sys.executable, "-c", WEBSOCKETS, way.url, port, content)
    return done.stdout, done.stderr.decode()


def chromium(way: Way) -> Got:
    options = "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={way.folder}"
    proxy = f"--proxy-server={way.scheme}://{way.proxy}", "--proxy-bypass-list=<-loopback>"
    done = call(
        peer("chromium", "chromium"),
        *options,
        *proxy,
        "--dump-dom",
        f"http://{way.origin}/page.html",
    )
    page = done.stdout.decode()
    return CONTENT if f"{len(CONTENT)} bytes, {SUM} in all" in page else b"", page


CLIENTS = [
    *(
        (client, scheme)
        for client in (curl, git, ncat, websockets)
        for scheme in ("socks5", "http")
    ),
    (proxychains, "socks5"),
    (proxychains, "http"),
    (wget, "http"),
    (socat, "http"),
]
clients = pytest.mark.parametrize(
    ("client", "scheme"), CLIENTS, ids=[f"{client.__name__}-{scheme}" for client, scheme in CLIENTS]
)


@clients
def test_all_arrives(
    client: Callable[[Way], Got], scheme: str, origin: str, tmp_path: Path
) -> None:
    with forked("-L", f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:0") as entry:
        content, said = client(Way(scheme, entry.address(scheme), PASSWORD, origin, tmp_path))
        assert content == CONTENT, said


@clients
def test_a_wrong_password_is_told(
    client: Callable[[Way], Got], scheme: str, origin: str, tmp_path: Path
) -> None:
    with forked("-L", f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:0") as entry:
        content, said = client(Way(scheme, entry.address(scheme), "guess", origin, tmp_path))
        assert content != CONTENT
        assert re.search(WRONG, said)
        entry.wait_for("wrong user name or password")


@clients
def test_a_dead_target_is_told(client: Callable[[Way], Got], scheme: str, tmp_path: Path) -> None:
    dead = refused_address()
    with forked("-L", f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:0") as entry:
        content, said = client(Way(scheme, entry.address(scheme), PASSWORD, dead, tmp_path))
        assert content != CONTENT
        assert re.search(DEAD, said)
        entry.wait_for(f"{dead}: .*Errno 111")


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_a_browser_gets_all_and_tells_of_a_dead_target(
    scheme: str, origin: str, tmp_path: Path
) -> None:
    dead = refused_address()
    with forked("-L", f"{scheme}://127.0.0.1:0") as entry:  # it takes no user from its arguments
        proxy = entry.address(scheme)
        content, said = chromium(Way(scheme, proxy, "", origin, tmp_path))
        assert content == CONTENT, said
        content, _ = chromium(Way(scheme, proxy, "", dead, tmp_path))
        assert not content
        entry.wait_for(f"{dead}: .*Errno 111")
