"""The pages. What makes them is the package ``docs._made``; it imports nothing of tests/."""
