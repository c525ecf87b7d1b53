"""What the other modules share: connections, addresses, credentials, TLS settings, buffers."""

__all__ = ()
