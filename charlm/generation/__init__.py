"""From weights to text, on NumPy alone."""
