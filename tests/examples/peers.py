"""Proxies that nobody here wrote: Debian's packages, each run on a free port of this host."""

import getpass
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.examples.proxy_harness import LIMIT
from tests.examples.tls_harness import CERT_FILE, KEY_FILE


def program(name: str, package: str) -> str:
    """Return where a program is; the test is skipped where it is not installed."""
    # Servers stand where only root's PATH leads.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed; it comes with Debian's package {package}")
    return found


def free_port() -> int:
    """Return a port for a program that cannot choose one itself.

    It is below those that the system gives to whoever asks for any, as other tests do meanwhile.
    """
    while True:
        port = random.randrange(10_000, 32_768)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextmanager
def listening(port: int, *command: str, cwd: Path | None = None) -> Generator[str, None, None]:
    """Run a program that listens at a port; yield its address once it does."""
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            deadline = time.monotonic() + LIMIT
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    pytest.fail(f"{command[0]} does not listen: {process.communicate()[0]}")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.1).close()
    except OSError:
        time.sleep(0.02)  # between two looks, not instead of one
        return False
    return True


@contextmanager
def microsocks(folder: Path) -> Generator[str, None, None]:
    """Run microsocks, which speaks SOCKS5."""
    command, port = program("microsocks", "microsocks"), free_port()
    with listening(port, command, "-i", "127.0.0.1", "-p", str(port)) as address:
        yield f"socks5://{address}"


@contextmanager
def dante(folder: Path) -> Generator[str, None, None]:
    """Run Dante, which speaks SOCKS5."""
    command, port = program("danted", "dante-server"), free_port()
    settings = folder / "danted.conf"
    settings.write_text(
        f"""\
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: {getpass.getuser()}
user.unprivileged: {getpass.getuser()}
client pass {{ from: 127.0.0.0/8 to: 0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0/0 }}
"""
    )
    pid = str(folder / "danted.pid")
    with listening(port, command, "-f", str(settings), "-p", pid, "-N", "1") as address:
        yield f"socks5://{address}"


@contextmanager
def tinyproxy(folder: Path) -> Generator[str, None, None]:
    """Run Tinyproxy, which speaks HTTP."""
    command, port = program("tinyproxy", "tinyproxy-bin"), free_port()
    settings = folder / "tinyproxy.conf"
    settings.write_text(f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nMaxClients 100\n")
    with listening(port, command, "-d", "-c", str(settings)) as address:
        yield f"http://{address}"


@contextmanager
def squid(folder: Path) -> Generator[str, None, None]:
    """Run Squid, which speaks HTTP."""
    command, port = program("squid", "squid"), free_port()
    settings = folder / "squid.conf"
    settings.write_text(
        f"http_port 127.0.0.1:{port}\nhttp_access allow all\ncache deny all\npid_filename none\n"
        "access_log none\ncache_log /dev/null\ncache_store_log none\nnetdb_filename none\n"
        "pinger_enable off\nshutdown_lifetime 0 seconds\n"
    )
    with listening(port, command, "-N", "-f", str(settings)) as address:
        yield f"http://{address}"


@contextmanager
def privoxy(folder: Path) -> Generator[str, None, None]:
    """Run Privoxy, which speaks HTTP."""
    command, port = program("privoxy", "privoxy"), free_port()
    settings = folder / "privoxy.conf"
    settings.write_text(f"listen-address 127.0.0.1:{port}\ntoggle 0\n")
    with listening(port, command, "--no-daemon", str(settings)) as address:
        yield f"http://{address}"


@contextmanager
def ncat(folder: Path) -> Generator[str, None, None]:
    """Run Ncat, which speaks HTTP here, and asks for a password."""
    command, port = program("ncat", "ncat"), free_port()
    served = "-l", "-k", "--proxy-type", "http", "--proxy-auth", "me:secret"
    with listening(port, command, *served, "127.0.0.1", str(port)) as address:
        yield f"http://me:secret@{address}"


@contextmanager
def haproxy(folder: Path, beyond: str) -> Generator[str, None, None]:
    """Run HAProxy before a server, for any protocol by TCP."""
    command, port = program("haproxy", "haproxy"), free_port()
    settings = folder / "haproxy.cfg"
    settings.write_text(
        "defaults\n mode tcp\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n"
        f"listen front\n bind 127.0.0.1:{port}\n server one {beyond}\n"
    )
    with listening(port, command, "-db", "-f", str(settings)) as address:
        yield address


@contextmanager
def stunnel(folder: Path, beyond: str) -> Generator[str, None, None]:
    """Run stunnel before a server, which need not know TLS then."""
    command, port = program("stunnel4", "stunnel4"), free_port()
    settings = folder / "stunnel.conf"
    settings.write_text(
        f"foreground = yes\npid =\n[front]\naccept = 127.0.0.1:{port}\nconnect = {beyond}\n"
        f"cert = {CERT_FILE}\nkey = {KEY_FILE}\n"
    )
    with listening(port, command, str(settings)) as address:
        yield address


@contextmanager
def nginx(folder: Path) -> Generator[str, None, None]:
    """Run nginx, which serves the folder."""
    command, port = program("nginx", "nginx-light"), free_port()
    settings = folder / "nginx.conf"
    settings.write_text(
        f"user {getpass.getuser()};\ndaemon off;\npid {folder / 'nginx.pid'};\nevents {{}}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    with listening(port, command, "-e", "stderr", "-c", str(settings)) as address:
        yield address


@contextmanager
def openssh(folder: Path) -> Generator[str, None, None]:
    """Run OpenSSH's server, and its client with ``-D``, which speaks SOCKS5."""
    server, client = program("sshd", "openssh-server"), program("ssh", "openssh-client")
    folder.chmod(0o700)
    for name in ("host", "user"):
        make_key = [program("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", ""]
        subprocess.run([*make_key, "-f", folder / name], check=True, timeout=LIMIT)
    settings = folder / "sshd_config"
    settings.write_text(
        f"HostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'user.pub'}\n"
        f"PidFile {folder / 'pid'}\nUsePAM no\nStrictModes no\nListenAddress 127.0.0.1\n"
        "PermitRootLogin prohibit-password\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)  # as the package's service does before it starts
    remote, local = free_port(), free_port()
    with (
        listening(remote, server, "-D", "-e", "-f", str(settings), "-p", str(remote)),
        listening(
            local,
            *(client, "-N", "-F", "none", "-i", str(folder / "user"), "-p", str(remote)),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder / 'known'}"),
            *("-D", f"127.0.0.1:{local}", f"{getpass.getuser()}@127.0.0.1"),
        ) as address,
    ):
        yield f"socks5://{address}"
