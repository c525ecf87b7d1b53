"""The example's program: what the settings in its URLs do, and where its components come from."""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gost_core.connector import Connector
from gost_core.context import Context
from gost_core.recorder import (
    RECORDER_SERVICE_CLIENT_ADDRESS,
    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
)
from proxy.connector.socks5 import SOCKS5Connector
from proxy.net.dialer import SystemDialer
from proxy.plugins import Plugins, connectors, dialers, handlers, listeners
from tests.examples.proxy_harness import echo, forked, program, run, server

Refusal = Callable[..., str]


async def is_served(entry: str, target: str) -> bool:
    """Tell whether a SOCKS5 proxy without password takes a client to an echoing target."""
    connector = SOCKS5Connector()
    await connector.init(None)
    conn = await SystemDialer().dial(Context(), "tcp", entry)
    try:
        conn = await connector.handshake(Context(), conn)
        conn = await connector.connect(Context(), conn, "tcp", target)
        await conn.write(b"question")
        return await conn.read(8) == b"question"
    except OSError:
        return False
    finally:
        await conn.close()


@pytest.mark.parametrize(
    ("settings", "served"),
    [
        ("idleTimeout=60", True),
        ("admission=127.0.0.0/8", False),
        ("admission=~127.0.0.0/8", True),
        ("admission=~192.0.2.0/24", False),
        ("bypass=127.0.0.0/8", False),
        ("bypass=192.0.2.0/24,*.example.com", True),
        ("bypass=~127.0.0.1", True),
        ("limiter=1000000&climiter=2&rlimiter=5", True),
    ],
)
def test_a_service_does_as_its_settings_say(settings: str, served: bool) -> None:
    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", f"socks5://127.0.0.1:0?{settings}") as running:
                assert await is_served(running.address("socks5"), target) is served

    run(main())


def test_a_client_has_so_many_places_as_the_settings_say() -> None:
    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "socks5://127.0.0.1:0?climiter=1") as running:
                entry = running.address("socks5")
                taken = await SystemDialer().dial(Context(), "tcp", entry)
                assert not await is_served(entry, target)
                await taken.close()
                while not await is_served(entry, target):  # until the proxy has seen the end
                    pass

    run(main())


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-L", "http://:0?admision=10.0.0.0/8"], ["-L", "admision"]),
        (["-L", "http://:0?admission=here"], ["-L", "here"]),
        (["-L", "http://:0?priority=3"], ["-L", "priority"]),
        (["-L", "http://:0?admission="], ["-L", "admission", "nothing"]),
        (["-L", "http://:0?admission=~"], ["-L", "admission", "nothing"]),
        (["-L", "http://:0?admission"], ["-L", "admission", "nothing"]),
        (["-L", "http://:0?admission=10.0.0.0/8,"], ["-L", "admission", "nothing"]),
        (["-L", "http://:0?bypass=~"], ["-L", "bypass", "nothing"]),
        (["-L", "http://:0?bypass=%20"], ["-L", "bypass", "nothing"]),
        (["-L", "http://:0?bypass=127.0.*"], ["-L", "127.0.*", "network"]),
        (["-L", "http://:0?bypass=a:80"], ["-L", "a:80"]),
        (["-L", "http://:0?bypass=a.b&Bypass=c.d"], ["-L", "Bypass", "twice"]),
        (["-L", "http://:@:0"], ["-L", "user"]),
        (["-L", "socks5://@:0"], ["-L", "user"]),
        (["-L", "socks5://me:@:0"], ["-L", "socks5://:0", "no password"]),
        (["-L", "socks5://me@:0"], ["-L", "socks5://:0", "no password"]),
        (["-L", "http://:0?limiter=nan"], ["-L", "limiter", "number"]),
        (["-L", "http://:0?limiter=inf"], ["-L", "limiter", "number"]),
        (["-L", "http://:0?limiter=1e99"], ["-L", "limiter", "number"]),
        (["-L", "http://:0?limiter=" + "9" * 400], ["-L", "limiter", "number"]),
        (["-L", "http://:0?limiter=0"], ["-L", "limiter", "more than 0"]),
        (["-L", "http://:0?climiter=0.5"], ["-L", "climiter", "whole"]),
        (["-L", "http://:0?rlimiter=-1"], ["-L", "rlimiter", "more than 0"]),
        (["-L", "http://:0?backlog=1.5"], ["-L", "backlog", "whole"]),
        (["-L", "http://:0?backlog=99999999999"], ["-L", "backlog", "number"]),
        (["-L", "http://:0", "--timeout", "nan"], ["--timeout", "number"]),
        (["-L", "http://:0/127.0.0.1:80"], ["-L", "target"]),
        (["-L", "http+pigeon://:0"], ["-L", "pigeon", "tcp"]),
        (["-L", "http://:0", "-F", "http://a:1?priority=high"], ["-F", "priority", "high"]),
        (["-L", "http://:0", "-F", "http://a:1?proirity=2"], ["-F", "proirity"]),
        (["-L", "http://:0", "--resolver", "dns.example:53"], ["--resolver", "dns.example"]),
        (["-L", "http://:0", "--hosts", "missing"], ["--hosts", "missing"]),
        # What an unset variable leaves.
        (["-L", "http://:0?"], ["-L", "nothing"]),
        (["-L", "http://%20:secret@:0"], ["-L", "user"]),
        (["-L", "http://me:%20@:0"], ["-L", "password"]),
        (["-L", "http://:0", "--timeout", "-1"], ["--timeout", "more than 0"]),
        (["-L", "http://:0?backlog=-1"], ["-L", "backlog", "more than 0"]),
        (["-L", "http://:0", "--metrics", ""], ["--metrics", "port"]),
        (["-L", "http://:0", "--record", ""], ["--record"]),
        (["-L", "http://:0", "--sd", "redis://"], ["--sd", "port"]),
        (["-L", "http://:0", "--record", " "], ["--record", "no file"]),
        (["-L", "http+://:0"], ["-L", "http+://:0", "protocol"]),
        (["-L", "http://:0", "-F", "http+://a:1"], ["-F", "protocol"]),
        (["-L", "gateway://:0?ingress=a.example=%20"], ["-L", "HOST=SERVICE"]),
        # What could never be of use, or not as it says.
        (["-L", "tcp://:0/127.0.0.1"], ["-L", "127.0.0.1", "port"]),
        (["-L", "tcp://:0/127.0.0.1:80;"], ["-L", "port"]),
        (["-L", "tcp://:0/127.1:80"], ["-L", "four decimal parts"]),
        (["-L", "http://:0", "-F", "http://a:1/path"], ["-F", "settings"]),
        (["-L", "http://:0", "-F", "http+tls://a:1?serverName=a..b"], ["-F", "a..b"]),
        (["-L", "gateway://:0?ingress=A=one,a=two"], ["-L", "two services"]),
        *(
            (["-L", f"gateway://:0?ingress={rule}=one"], ["-L", "neither a name nor"])
            for rule in ("*", "**", "*a", "a*", "a.*.b", "~a", "a|b", "*.a*")
        ),
        (["-L", "http://0x7f000001:0"], ["-L", "0x7f000001", "four decimal parts"]),
        (["-L", "http://0:0"], ["-L", "http://0:0", "four decimal parts"]),
        (["-L", "http://:0", "-F", "http://127.1:1"], ["-F", "127.1", "four decimal parts"]),
        (["-L", "http://:0", "--metrics", "0:0"], ["--metrics", "four decimal parts"]),
        (["-L", "http://:0", "--sd", "redis://a:1/one"], ["--sd", "percent-encoded"]),
        (["-L", "http://:0", "--time", "5"], ["unrecognized", "--time"]),
        (["-L", "http://name.invalid:0"], ["-L", "name.invalid"]),
        # Files that are no files, or no text.
        (["-L", f"http+tls://:0?certFile={'a' * 5000}&keyFile=b"], ["-L", "name too long"]),
        (["-L", "http://:0", "--record", "."], ["--record", "directory"]),
        (["-L", "http://:0", "--record", "missing/file"], ["--record", "missing/file"]),
        (["-L", "http://:0", "--hosts", "."], ["--hosts", "directory"]),
        (["-L", "http://caf\udce9:secret@:0"], ["-L", "percent-encoded"]),
    ],
)
def test_a_bad_setting_is_named(refusal: Refusal, arguments: list[str], said: list[str]) -> None:
    message = refusal(*arguments)
    for words in said:
        assert words in message


@pytest.mark.one_python
@pytest.mark.parametrize(
    "arguments", ["-L http://:0 --hosts {}", "@{}", "-L http+tls://:0?certFile={}&keyFile={}"]
)
def test_nobody_waits_for_a_named_pipe_that_says_nothing(
    refusal: Refusal, arguments: str, tmp_path: Path
) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    assert f"{pipe} is a named pipe" in refusal(*arguments.format(pipe, pipe).split())


@pytest.mark.one_python
def test_a_record_that_nobody_reads_keeps_the_program_from_no_end(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    with forked("-L", "http://127.0.0.1:0", "--record", str(pipe)) as running:
        running.wait_for("recording fails: .*No such device")
        assert running.stop() == 0


@pytest.mark.one_python
def test_a_record_may_be_a_pipe_that_somebody_reads(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with forked("-L", "http://127.0.0.1:0", "--record", str(pipe)) as running:
        running.address("http")
        assert running.stop() == 0
    with open(reader, "rb") as read:
        told = [json.loads(json.loads(line)["record"])["state"] for line in read]
    assert told == ["running", "closed"]


@pytest.mark.one_python
@pytest.mark.parametrize(
    "line", ["127.1 a", "127.0.0.1 a..b", "127.0.0.1 *.a", "127.0.0.1 127.1", "127.0.0.1 a\0b"]
)
def test_a_line_of_the_hosts_that_could_map_nothing_is_named(
    refusal: Refusal, line: str, tmp_path: Path
) -> None:
    file = tmp_path / "hosts"
    file.write_text(f"127.0.0.1 good\n{line}\n")
    last = refusal("-L", "http://:0", "--hosts", str(file)).splitlines()[-1]
    assert "argument --hosts" in last
    assert "line 2 of the hosts" in last


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_arguments_and_hosts_are_read_however_their_lines_end(
    before: bytes, end: bytes, tmp_path: Path
) -> None:
    arguments, hosts = tmp_path / "arguments", tmp_path / "hosts"
    hosts.write_bytes(before + b"127.0.0.1 one" + (end or b"\n") + b"127.0.0.1 two" + end)
    said = before + b"--log-level" + (end or b"\n") + b"info" + end
    arguments.write_bytes(said)
    with forked("-L", "http://127.0.0.1:0", f"@{arguments}", "--hosts", str(hosts)) as running:
        running.address("http")


def test_names_are_mapped_by_the_hosts_file(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(echo) as target:
            port = target.rpartition(":")[2]
            (tmp_path / "hosts").write_text("127.0.0.1 mapped.example\n")
            with forked("-L", "socks5://127.0.0.1:0", "--hosts", str(tmp_path / "hosts")) as one:
                assert await is_served(one.address("socks5"), f"mapped.example:{port}")

    run(main())


def test_what_happens_is_recorded_and_measured_where_the_arguments_say(
    tmp_path: Path,
) -> None:
    record = tmp_path / "record"
    arguments = ["--record", str(record), "--metrics", "127.0.0.1:0"]

    async def main() -> None:
        async with server(echo) as target:
            with forked("-L", "socks5://127.0.0.1:0", *arguments) as running:
                metrics, entry = running.address("metrics"), running.address("socks5")
                assert await is_served(entry, target)
                reader, writer = await asyncio.open_connection(*metrics.split(":"))
                writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
                assert b'proxy_connections_total{service="socks5://127.0.0.1:0"} 1.0' in (
                    await reader.read()
                )
                writer.close()
                await writer.wait_closed()
                assert running.stop() == 0
                events = [json.loads(line) for line in record.read_text().splitlines()]
                points = [event["metadata"]["point"] for event in events if event["metadata"]]
                assert points == [
                    RECORDER_SERVICE_CLIENT_ADDRESS,
                    RECORDER_SERVICE_ROUTER_DIAL_ADDRESS,
                ]
                told = [json.loads(event["record"]) for event in events if not event["metadata"]]
                assert [event["state"] for event in told if event["type"] == "status"] == [
                    "running",
                    "closed",
                ]
                assert told[-1]["counts"]["input_bytes"] > len(b"question")

    run(main())


KINDS: Sequence[Plugins[Any, Any]] = (listeners, handlers, dialers, connectors)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(sorted(kind.get_all())))
def test_every_plugin_that_is_announced_can_be_made(kind: Plugins[Any, Any]) -> None:
    assert kind.get_all()
    for name in kind.get_all():
        kind.named(name)()


def install(path: Path, entry_point: str, code: str = "") -> None:
    """Write what the installation of a package leaves behind."""
    (path / "other.py").write_text(code)
    info = path / "other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[gost.connectors]\n{entry_point}\n")


def test_a_plugin_of_another_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        tmp_path,
        "telepathy = other:Telepathy",
        "from proxy.connector.http import HTTPConnector\nclass Telepathy(HTTPConnector): pass\n",
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = Plugins[object, Connector]("gost.connectors")
    assert set(found.get_all()) == {*connectors.get_all(), "telepathy"}
    assert type(found.named("telepathy")()).__name__ == "Telepathy"
    assert "other" in sys.modules


def test_a_plugin_that_takes_a_name_of_this_package_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "socks5 = other:Thing")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = Plugins[object, Connector]("gost.connectors")
    assert type(found.named("socks5")()) is SOCKS5Connector


def test_a_plugin_that_cannot_be_loaded_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "broken = module_that_is_missing:Thing")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    broken = Plugins[object, Connector]("gost.connectors").named("broken")
    with pytest.raises(ValueError, match=r"'broken'.*module_that_is_missing"):
        broken()


# ---- hints, secrets, and what others have installed


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["-L", ":1080"], "write http:// or socks5:// in front"),
        (["-L", "auto://:1080"], "write http:// or socks5:// in front; for both, an -L each"),
        (["-L", "AUTO://:1080"], "write http:// or socks5:// in front; for both, an -L each"),
        (["-L", "https://:1080"], r"write http\+tls://"),
        (["-L", "socks://:1080"], "write socks5://"),
        (["-F", "socks5h://far:1080"], "write socks5://"),
        (["-F", "far:1080"], "write http:// or socks5:// in front"),
        (["-L", "telnet://:1080"], "it must begin with one of .*http://, .*socks5://"),
    ],
)
def test_who_knows_the_words_of_gost_is_told_those_of_this_program(
    refusal: Refusal, arguments: list[str], hint: str
) -> None:
    assert re.search(hint, refusal(*arguments))


def test_a_scheme_may_be_written_in_capitals() -> None:
    with forked("-L", "HTTP://127.0.0.1:0") as running:
        running.address("http")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-L", "http://me:cl?ever@127.0.0.1:0"],
        ["-L", "http://me:clever?@127.0.0.1:0"],
        ["-L", "http://me:clever@127.0.0.1"],
        ["-F", "http://me:cl?ever@127.0.0.1:0"],
        ["--sd", "redis://me:cl?ever@127.0.0.1:1"],
        ["--sd", "redis://me:clever#@127.0.0.1:1"],
        ["--sd", "redis://me:clever@127.0.0.1:none"],
        ["--sd", "redis://me:cl/ever@127.0.0.1:1"],
        ["--sd", "redis://127.0.0.1:1?password=clever"],
        ["--sd", "redis:/me:clever@127.0.0.1:1"],
        *(
            [option, f"{scheme}://{words}"]
            for scheme, options in (
                (
                    "http",
                    (
                        "-L",
                        "-F",
                        "--resolver",
                        "--metrics",
                        "--log-level",
                        "--timeout",
                        "",
                        "--no=",
                    ),
                ),
                ("redis", ("--sd",)),
            )
            for option in options
            for words in (
                *("me:clever", "me:clever:0", "me:clever/127.0.0.1:0", "me:clever,127.0.0.1:0"),
                *("me:clever%40127.0.0.1:0", "me:clever#127.0.0.1:0", "me:clever 127.0.0.1:0"),
                *("me:pa?clever", "me:1?5=clever", "me:clever\n@127.0.0.1:a"),
            )
        ),
        ["-L", "http//me:clever:0"],
        ["-L", "me:clever://127.0.0.1:0"],
        ["-L", "http://clever@:0"],
        ["-L", "http://:0", "-Lhttp://me:clever:0"],
    ],
)
def test_no_character_in_a_password_brings_it_into_the_log(
    refusal: Refusal, arguments: list[str]
) -> None:
    serve = [] if "-L" in arguments else ["-L", "http://127.0.0.1:0"]
    if arguments[0] in ("", "--no="):
        arguments = ["".join(arguments)]
    assert not re.search("cl.?ever|ever@|cl[/?]", refusal(*serve, *arguments))


def test_arguments_come_from_a_file_which_keeps_passwords_from_others(tmp_path: Path) -> None:
    file = tmp_path / "arguments"
    file.write_text("# who may\n-L http://me:secret@127.0.0.1:0 --timeout 5\n\n--log-level warn\n")
    with program("-L", "socks5://127.0.0.1:0", f"@{file}", "--log-level", "info") as running:
        assert running.address("socks5")
        assert running.address("http")
        assert "secret" not in Path(f"/proc/{running.process.pid}/cmdline").read_text()


@pytest.mark.one_python
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"-L 'http://me:secret@:0", "quotation"),
        (b"-L http://:0 @arguments", "unrecognized arguments: ['@arguments']"),
        (b"-L http://me:secret\xe9@:0", "percent-encoded"),
    ],
)
def test_a_file_of_arguments_that_says_no_such_is_named(
    refusal: Refusal, content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "arguments"
    path.write_bytes(content)
    message = refusal(f"@{path}")
    assert said in message
    assert "secret" not in message


def test_only_what_is_severe_enough_is_logged() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = "http://{}:{}".format(*taken.getsockname())
        with forked("-L", "http://127.0.0.1:0", "-L", here, "--log-level", "error") as running:
            running.wait_for(f"ERROR cannot listen on {here}")
            assert running.ended() == 1
            assert len(running.lines) == 1


@pytest.mark.parametrize(
    ("entry_point", "code"),
    [
        ("this is no entry point", ""),
        ("broken = not a module!", ""),
        ("broken = other:Missing", ""),
        ("broken = other:Thing", "raise RuntimeError('told to')"),
        ("http = other:Thing", ""),
        (" = other:Thing", ""),
    ],
)
def test_what_others_have_installed_never_keeps_the_program_from_starting(
    entry_point: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, entry_point, code)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with program("-L", "http://127.0.0.1:0", "-F", "http://far:80") as running:
        running.address("http")
        left_out = [line for line in running.lines if "left out" in line]
        assert all("other" in line for line in left_out)
        assert bool(left_out) is ("broken" not in entry_point)
    if "broken" in entry_point:
        with program("-L", "http://127.0.0.1:0", "-F", "broken://far:80") as running:
            running.wait_for("'broken' of gost.connectors cannot be loaded: ")
            assert running.ended() == 2
            assert "Traceback" not in "".join(running.lines)


@pytest.mark.parametrize(
    ("module", "arguments", "remedy"),
    [
        ("h2", ["-L", "socks5+h2://127.0.0.1:0"], "pip install h2"),
        ("h2", ["-L", "socks5://127.0.0.1:0?bind=true"], "pip install h2"),
        ("redis", ["-L", "http://127.0.0.1:0", "--sd", "redis://127.0.0.1:1"], "pip install redis"),
        (
            "prometheus_client",
            ["-L", "http://127.0.0.1:0", "--metrics", ":0"],
            "pip install prometheus-client",
        ),
        ("dns", ["-L", "http://127.0.0.1:0", "--resolver", "127.0.0.1:1"], "pip install dnspython"),
    ],
)
def test_a_library_that_is_missing_is_named_as_it_is_installed(
    module: str,
    arguments: list[str],
    remedy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / f"{module}.py").write_text(
        f"raise ModuleNotFoundError('No module named {module}', name='{module}')"
    )
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    with program(*arguments) as running:
        running.wait_for(remedy)
        assert running.ended() == 2
