"""What a protocol looks like on the wire, for its client and its server both."""
