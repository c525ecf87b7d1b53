"""How many connections, requests and bytes there may be."""
