"""What the command line says, and what may stand on it.

examples, each behind "python -m proxy":
  a SOCKS5 proxy for this machine, and one that speaks TLS with its clients:
    -L socks5://127.0.0.1:1080
    -L "socks5+tls://:1080?certFile=cert.pem&keyFile=key.pem"
  an HTTP proxy with a password, through a proxy, and from there through one of two others:
    -L http://user:password@:8080 -F http://first:80 -F socks5://one:1080,other:1080
  a proxy that listens where its clients want; one of them, which publishes a server there:
    -L "socks5+h2://user:password@:1080?bind=true"
    -L rtcp://:8080/127.0.0.1:80 -F socks5+h2://user:password@far:1080
  what others serve, brought here; @FILE takes arguments from where no list of processes is made:
    -L "tcp://127.0.0.1:8080/first:80;second:80"

settings stand behind a "?":
  of -L: admission=NETWORK,… and bypass=NETWORK-OR-NAME,… (a whitelist if it begins with "~");
    limiter=BYTES a second for each connection; climiter=CONNECTIONS and rlimiter=REQUESTS a second
    for each client's host; idleTimeout=SECONDS ends what nothing goes through; backlog=CONNECTIONS;
    register=SERVICE, to be found in the directory;
    of gateway://, ingress=HOST=SERVICE,… (.d for d and all below it, . for the rest);
    of socks5://, bind=true lets clients have it listen
  of -F: probe=SECONDS; priority; bypass
  of both with +tls: certFile, keyFile, caFile (whom to trust; of -L: whose certificates clients
    must have); of -F besides: serverName, secure=false (whoever answers will do)

the other options:
  --timeout: seconds for one attempt to reach a target
  --hosts: map names as this hosts file says
  --resolver: resolve names by the DNS server at this host:port
  --sd: find services, and register them, in this directory: memory, which is the default, or
    redis://[user:password@]host:port, which several proxies can share
  --record: append to this file who connects, what is dialed, and states
  --metrics: show metrics over HTTP, for Prometheus, at this host:port; without a host, here only
"""

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from gost_core.logger import LogLevel
from gost_core.sd import SD

from .hosts import TableHostMapper
from .metadata import file_at
from .net.address import hidden, split_target
from .net.hosts import split_place
from .plugins import connectors, handlers, listeners, resolvers, sds
from .recorder import private
from .urls import Address, Settings, parse

# What GOST has under one name and this program under another.
INSTEAD = {
    **dict.fromkeys(("", "auto"), "write http:// or socks5:// in front; for both, an -L each"),
    **dict.fromkeys(("socks", "socks5h"), "write socks5://"),
    "https": "write http+tls://",
    "http2": "write http+h2://",
}


def words(made: argparse.ArgumentParser) -> Iterator[str]:
    """Return what the command line says; a @FILE says it as a shell would, with comments."""
    for one in sys.argv[1:]:
        try:
            text = shlex.quote(one)
            if one.startswith("@"):
                text = file_at(one[1:]).read_text("utf-8-sig", "surrogateescape")
            yield from shlex.split(text, comments=True)
        except (OSError, ValueError) as error:  # of which none shows the text, with its passwords
            made.error(f"{one}: {error}")


def parser() -> argparse.ArgumentParser:
    """Make what reads the arguments."""
    made = argparse.ArgumentParser(
        prog="python -m proxy",
        description="A SOCKS5 and HTTP proxy that can go through other proxies.",
        epilog=(__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    try:
        installed = version("gost-example-proxy")
    except PackageNotFoundError:
        made.error("its parts are found once it is installed: pip install ./docs/examples")
    made.add_argument("--version", action="version", version=installed)
    made.add_argument(
        "-L",
        dest="services",
        metavar="URL",
        type=argument(lambda text: _checked(text, {*handlers.get_all(), *listeners.get_all()})),
        action="extend",
        required=True,
        help="serve protocol[+transport]://[user:password@][host]:port[?settings]; port 0 takes a "
        "free one, which the log names; may be given several times",
    )
    made.add_argument(
        "-F",
        dest="hops",
        metavar="URL",
        type=argument(hop),
        action="append",
        default=[],
        help="go through protocol[+transport]://[user:password@]host:port[?settings]; several in "
        "one argument, separated by commas, take turns; several arguments are passed in order",
    )
    for name, read in OPTIONS.items():
        made.add_argument(name, type=argument(read))
    levels = [level.value for level in LogLevel]
    made.add_argument("--log-level", type=hidden, choices=levels, help="log this, and more severe")
    made.set_defaults(timeout=0, sd="memory", log_level=LogLevel.INFO.value)
    return made


def argument(read: Callable[[str], object]) -> Callable[[str], object]:
    """Have an argument of the command line read, with errors that name it and hide its secrets."""

    def reading(text: str) -> object:
        try:
            return read(text)
        except (OSError, TypeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise argparse.ArgumentTypeError(f"{hidden(text)!r}: {reason}") from None

    return reading


def hop(text: str) -> list[Address]:
    """Read an argument of -F."""
    found = _checked(text, {*connectors.get_all()})
    for address in found:
        split_target(address.addr)
        if address.target:
            raise ValueError("nothing stands behind the address of a node but settings")
    return found


def _checked(text: str, protocols: set[str]) -> list[Address]:
    found = parse(text)
    for address in found:
        if address.protocol not in protocols or address.scheme.endswith("+"):
            names = ", ".join(f"{name}://" for name in sorted(protocols))
            hint = INSTEAD.get(address.scheme, f"it must begin with one of {names}")
            raise ValueError(f"this protocol is not known here; {hint}")
    return found


def record(path: str) -> Path:
    """Read the argument of --record; what cannot be written is known before anybody is served."""
    if not path.strip():  # as an unset variable leaves it
        raise ValueError("it names no file")
    if not (file := Path(path)).is_fifo():  # nobody may read it yet
        open(file, "ab", opener=private).close()
    return file


def directory(url: str) -> SD:
    """Read the argument of --sd."""
    kind, mark, rest = url.partition("://")
    if re.search("[?#]|/.*[^0-9]", rest):  # an error would show them as something else
        raise ValueError("there is a / ? or #, which in a password are percent-encoded")
    make = sds.named(kind)
    if mark:  # else others would take this host
        split_target(rest.rpartition("@")[2].partition("/")[0])
    return make(*([url] if mark else []))


OPTIONS: Final[Mapping[str, Callable[[str], object]]] = {
    "--timeout": lambda text: Settings({"--timeout": text}).limit("--timeout"),
    "--hosts": lambda at: TableHostMapper.parse(file_at(at).read_text("utf-8-sig").splitlines()),
    "--resolver": lambda text: resolvers.named("dns")(text),
    "--sd": directory,
    "--record": record,
    "--metrics": split_place,
}
