"""Clauses that several interfaces share; a family names no interface."""
