"""What opens connections to nodes."""
