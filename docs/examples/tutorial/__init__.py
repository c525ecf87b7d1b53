"""What the tutorial of the documentation arrives at: a listener over asyncio's streams."""
