"""A DNS server on the loopback, for the tests of the example's resolver."""

import socket
import socketserver
import threading
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DNSServer:
    """Answers for the names that it is given, from a thread of its own, until it is closed."""

    def __init__(self, records: Mapping[str, Sequence[str]]) -> None:
        self.queries: list[str] = []
        self.broken = False
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data: bytes
                reply_on: socket.socket
                data, reply_on = self.request
                reply_on.sendto(outer._answer(data, records), self.client_address)

        self._server = socketserver.UDPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, data: bytes, records: Mapping[str, Sequence[str]]) -> bytes:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries.append(f"{kind} {name}")
        answer = dns.message.make_response(query)
        if self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            version = 4 if kind == "A" else 6
            found = [text for text in records[name] if ip_address(text).version == version]
            if found:
                answer.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, found))
        return answer.to_wire()
