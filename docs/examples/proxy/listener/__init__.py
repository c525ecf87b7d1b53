"""What accepts connections from clients."""
