"""The nodes that are alternatives of each other."""
