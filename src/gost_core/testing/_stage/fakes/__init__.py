"""Components that record what they are asked, and answer as a scenario tells them."""
