"""Trials of the contracts of what all topics build upon."""
