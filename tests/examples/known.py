"""What of the contract the example does not keep yet, each with the reason; it only shrinks."""

from typing import Final

RATE_FIRST: Final = {
    "handler.Handler.rate-first": "the rate limit is asked with the request, behind the login",
}
