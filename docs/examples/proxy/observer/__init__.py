"""What is told of a service while it runs."""
