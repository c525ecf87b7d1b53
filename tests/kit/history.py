"""The bugs that the Go implementations have had for want of a clear contract.

What each was called by its commits (of go-gost/x, or ``core@``) and issues (``#N`` of go-gost/gost,
``x#N`` of go-gost/x); ``x`` and a name where the code says it without a report.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Trap:
    """One bug, or several of a kind."""

    name: str
    """Commits and issues; a trial modelled on one of them names one of them in its history."""
    what: str
    """What went wrong."""


TRAPS: Final = (
    # ---- Accepting and handling
    Trap("f9fb5f4 d12663d", "A limiter's place was given back by each close of a connection."),
    Trap("fa708f4", "A client beyond the limit ended the service."),
    Trap("#833 #413 e6aeba8 #91", "One client's error came out of accept and ended the service."),
    Trap("x#52 97ed508", "The pause before the next accept did not start anew after a success."),
    Trap("c5b62d4 ca582a1", "A service's status stayed on failed until the next client."),
    Trap("#754 ba3e1cb 82e7e50", "The address was not free when close returned."),
    Trap("#362 489a762", "What becomes of connections and handlers when a service is closed."),
    Trap("bc44bab #867 x#78 49ceda6 c29517b 3b4fd64", "A wrapper hid what it wraps."),
    Trap("301dbc5", "A wrapper hid the socket from a transport that needs its features."),
    Trap("#873 b7d807b eef3bd7 82fff49 x#8", "An option left out led to a missing connection."),
    Trap("#779 007ff0b a65b7a0", "A second close failed."),
    Trap("7e31834", "A handler that was closed did not close the connection it got."),
    Trap("e9372ea", "A grant of nothing was asked for for ever; a lost datagram was success."),
    Trap("9bbd7da", "A refusal by one limiter was charged to the others of its group."),
    Trap("64f9a04", "A cache of limiters grew without end."),
    Trap("x#73 #658 d610e2d", "A limit for a scope that its limiter does not serve did nothing."),
    Trap("ed93d60", "Admission was asked about the listener's network, and failed open."),
    Trap("91cae5b", "A failed reload wiped the credentials."),
    Trap("722dde5 1801451", "A transfer in one direction was cut off."),
    Trap("d189dc7 db21de8", "The end of a request ended the answer too."),
    Trap("0ab5363", "A client that went away was counted as an error."),
    Trap("22e522e 12ef82e 6c32dda #56 #212", "A datagram session ended with its first answer."),
    Trap("#866 91920aa 4efb4b9 x#33 4443b0b", "An option left out was a crash later on."),
    Trap("4d15ca5", "The address showed the port that was asked for, not the bound one."),
    Trap("a1d7da4 #433", "The end of a service went unnoticed."),
    Trap("3cd4fad 50f4a6b 6248d4c", "Probes went on after their owner was closed."),
    Trap("x http3", "accept gave neither a connection nor an error."),
    Trap("x wt", "A waiting accept was not woken by close."),
    Trap("x http2", "A server that died in the background was only logged."),
    Trap("x mux", "A time limit on one stream was one on all of its session."),
    Trap("x PROXY", "One silent client held up all others."),
    Trap("x parser", "A bound listener stayed open when the handler's set-up failed."),
    Trap("x relay bind", "A listener was used without init, so its options did nothing."),
    Trap("66f502b", "Making a route table wrote the system's."),
    Trap("x service", "The handler was closed before the listener."),
    Trap("x auto", "A handler made of handlers did not close them."),
    Trap("x registry", "While a name changed hands, nobody was refused, or everybody."),
    Trap("x skipauth", "A source address from a header skipped authentication."),
    # ---- Reaching nodes and targets
    Trap("569572d", "A copy was the original; connections stayed open after failed steps."),
    Trap("bc0d695 core@4e831b9", "All attempts shared one time limit."),
    Trap("221144f x#117 404aaae b597467", "A connection died with the call that made it."),
    Trap("b92c1b1 #777", "A silent hop was waited for without limit."),
    Trap("9fab332 5484717 18c1d60 c45d271 #792 #352", "A dead session was used again."),
    Trap("core@f3482d7", "Binding over no route crashed."),
    Trap("core@801f835", "The route was chosen before the name was resolved."),
    Trap("8fd5200 0522ae8 #877", "Names were resolved too early."),
    Trap("ce60160 30ba6d6", "Wrappers lost the markers and settings of what they wrap."),
    Trap("0e5c285 #760", "A hop had no nodes at first."),
    Trap("64ea518 f8ca490 cd97e5e 7cf7284 8edf82a", "Failures, backups and priorities mixed up."),
    Trap("72db96d", "A probe erased the marks of others."),
    Trap("54ca916", "A bypass that could not be asked answered."),
    Trap("c16a280 ed7f2dc", "Whitelists were read the wrong way round, or only the first."),
    Trap("eaeac27 d0ff535 d5683e9", "A bypass with odd rules, or none yet, crashed or matched."),
    Trap("fe394a8 #899 a32ffd5 #874", "A bypass was asked about the wrong address, or not at all."),
    Trap("#657 #313", "Users expected a node's bypass to keep its traffic for it."),
    Trap("28d3ffa 039bcc9", "One caller's cancellation, or change of a result, met another."),
    Trap("a9be7e6", "write_to failed on a connected socket."),
    Trap("#499", "A protocol cannot report that a later hop failed."),
    Trap("e22aa91", "The way that was taken was written over by a nested call."),
    Trap("x mtls mws", "Sessions were kept by one address and looked for by another."),
    Trap("25cd60d #896", "A pooled buffer lived on, and showed a connection another's target."),
    Trap("#372 a9d94e7 b991baa", "No metadata, or an empty context, was a crash."),
    Trap("b8d9c79 74a8f7c ca767cc", "Some forms of an address to bind broke a connector."),
    Trap("#170", "A bind that is not offered was tried again for ever."),
    Trap("#125", "A target that speaks first was waited for by a connector that waits too."),
    Trap("x http connector", "Bytes that came right behind the reply were lost."),
    Trap("x shared header", "One call changed the header that another sent."),
    Trap("746811e 173de75", "One association mixed its targets."),
    Trap("ae92f5a", "Binding a socket to a device dropped packets."),
    Trap("5810404 10f63f8", "TLS settings were lost."),
    # ---- Watching and changing
    Trap("d4d823d 486a776", "A record lacked its metadata, or was made twice."),
    Trap("64a16fa bf70f07", "Records were cut or mixed."),
    Trap("95874c5 31878a7", "Events that were not delivered were lost."),
    Trap("7c95d40", "An unknown event dropped the batch."),
    Trap("3193eeb", "The end of a stream was not rewritten."),
    Trap("501051c 18f39f9", "Nothing stood among the results."),
    Trap("acce86c", "An error of closing one member reached whoever closed another."),
    Trap("cc02cff #895", "A field stood in a log line twice."),
    Trap("bc3d12e", "The caller's labels were changed, and an unknown metric was nothing."),
)

UNSEEN: Final = {
    "c5b62d4 ca582a1": "The contract has no status.",
    "301dbc5": "It showed as speed alone.",
    "64f9a04": "It shows in the memory of a long run alone.",
    "x parser": "It is what a program does with its parts, not what one part does.",
    "x relay bind": "The same.",
    "x auto": "What a handler is made of is its own affair.",
    "66f502b": "The effect is on the system, not on the object.",
    "x skipauth": "It is the policy of a deployment; the key's docstring warns of it.",
    "d4d823d 486a776": "A handler's own record points are not in the contract.",
    "acce86c": "A registry of the contract closes nothing.",
    "#657 #313": "The behaviour was as promised; the expectation was not.",
    "#499": "No proxy of that protocol can tell.",
    "ae92f5a": "It needs root and a network device.",
}
"""The traps that no check can see, each with the reason."""
