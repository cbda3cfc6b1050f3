"""From a corpus to a run: batches, steps, validation, checkpoints."""
