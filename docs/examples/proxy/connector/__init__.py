"""What asks a node for a target: the client of a protocol."""
