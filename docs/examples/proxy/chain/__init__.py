"""The way to a target: routes through nodes, and the router that finds them."""
