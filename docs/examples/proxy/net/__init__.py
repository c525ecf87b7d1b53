"""Connections of any kind, and addresses: what all the other rooms stand on."""
