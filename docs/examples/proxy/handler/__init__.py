"""What serves a client that was accepted: the server of a protocol."""
