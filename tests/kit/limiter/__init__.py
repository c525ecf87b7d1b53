"""Trials of the contracts of limiters."""
