"""What a model is worth: sums over counts from one deterministic pass."""
