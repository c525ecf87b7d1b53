"""Which of several nodes is taken."""
