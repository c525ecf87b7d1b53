"""Who plays the rest of the world around the object on trial."""
