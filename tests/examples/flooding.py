"""A program: a peer who asks for much. ``python flooding.py ADDRESS CONNECTIONS``, with stdin.

It opens the connections, says on each what stands in its input, and reads what comes back. Where
there are several, a new one takes the place of each that ends, until the program is killed.
"""

import selectors
import socket
import sys
from contextlib import suppress

HERE = "127.0.0.2"  # another host than that of the neighbours


def flood(address: str, connections: int, said: bytes) -> None:
    host, _, port = address.rpartition(":")
    with selectors.DefaultSelector() as selector:
        begun = False
        while True:
            while len(selector.get_map()) < connections and (connections > 1 or not begun):
                newcomer = socket.create_connection((host, int(port)), source_address=(HERE, 0))
                newcomer.setblocking(False)
                selector.register(
                    newcomer, selectors.EVENT_READ | selectors.EVENT_WRITE, memoryview(said)
                )
            if not begun:
                begun = True
                print("flooding", flush=True)
            for key, ready in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                client, left = key.fileobj, key.data
                try:
                    if ready & selectors.EVENT_READ and not client.recv(65536):
                        raise ConnectionResetError
                    if ready & selectors.EVENT_WRITE:
                        left = left[client.send(left) :]
                        selector.modify(client, _events(left), left)
                except OSError:
                    selector.unregister(client)
                    client.close()


def _events(left: memoryview) -> int:
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if left else 0)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt, ConnectionError):  # or the proxy was there no longer
        flood(sys.argv[1], int(sys.argv[2]), sys.stdin.buffer.read())
