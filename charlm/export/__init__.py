"""A model for elsewhere; no torch."""
