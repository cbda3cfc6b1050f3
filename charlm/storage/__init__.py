"""What is kept on disk, and survives."""
