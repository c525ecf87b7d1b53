"""How a contract is written down, tried, timed and reported."""
