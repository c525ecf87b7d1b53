"""Prints what an editor shows of members that are drawn by lot, for somebody to review.

``python -m tests.site.hover 7`` draws 25 by the seed 7; ``--count`` says how many. The texts are
what pyright's language server answers, so it needs what the dependency group ``types`` installs.
"""

import argparse
import ast
import json
import random
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final, Self

from docs._made import options, package

PROGRAM: Final = shutil.which("pyright-langserver", path=sysconfig.get_path("scripts"))
TIME_LIMIT: Final = 120.0
URI: Final = "file:///gost-core-hover/drawn.py"
"""A file that is nowhere: the server is told what stands in it."""


def members() -> Iterator[tuple[str, str]]:
    """Return each public class, function, method and field, by its name, and what it says."""
    for module_name in package.contract_names():
        module = package.syntax_tree(module_name)
        public = package.public_names(import_module(module_name))
        for node in module.body:
            if isinstance(node, package.Definition) and node.name in public:
                yield from described(node, f"{module_name}.{node.name}")
        for field, text in options.fields(module).items():
            if field.partition(".")[0] in public:
                yield f"{module_name}.{field}", text


def described(node: package.Definition, name: str) -> Iterator[tuple[str, str]]:
    """Return the text of a definition, and those of its methods."""
    if said := ast.get_docstring(node):
        yield name, said
    if isinstance(node, ast.ClassDef):
        for method in package.methods(node):
            if not method.name.startswith("_"):
                yield from described(method, f"{name}.{method.name}")


class LanguageServer:
    """The language server of pyright, over its standard input and output."""

    def __init__(self) -> None:
        if PROGRAM is None:
            raise FileNotFoundError("no pyright-langserver; the dependency group 'types' has it")
        self._process = subprocess.Popen(
            [PROGRAM, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._watchdog = threading.Timer(TIME_LIMIT, self._process.kill)
        self._watchdog.start()
        self._asked = 0

    def __enter__(self) -> Self:
        self.ask("initialize", processId=None, rootUri=None, capabilities={})
        self.tell("initialized")
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()

    def tell(self, method: str, **params: object) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: object) -> Any:
        """Send a request, and return its result."""
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message and "id" in message:  # it asks for settings: it gets none
                items = message["params"].get("items", ()) if "params" in message else ()
                self._send({"id": message["id"], "result": [None for _ in items]})
            elif message.get("id") == self._asked:
                return message["result"]

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not length:
            raise EOFError("pyright-langserver ended, or gave no answer in time")
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


def shown(names: Sequence[str]) -> Iterator[str]:
    """Return what an editor shows over each of the names, used in somebody's code."""
    modules = sorted(package.contract_names())
    lines = [f"import {', '.join(modules)}", *names]
    document = {"uri": URI, "languageId": "python", "version": 1, "text": "\n".join(lines)}
    with LanguageServer() as server:
        server.tell("textDocument/didOpen", textDocument=document)
        for number, name in enumerate(names, 1):
            position = {"line": number, "character": len(name) - 1}
            found = server.ask("textDocument/hover", textDocument={"uri": URI}, position=position)
            yield found["contents"]["value"] if found else "(nothing is shown)"


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.site.hover", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--count", type=int, default=25, help="how many to draw; %(default)s")
    arguments = parser.parse_args()
    every = sorted(name for name, _ in members())
    drawn = random.Random(arguments.seed).sample(every, min(arguments.count, len(every)))
    for name, text in zip(drawn, shown(drawn), strict=True):
        print(f"\n== {name}\n\n{text}")


if __name__ == "__main__":
    main()
