"""What was read, how it lies, and what in it may be the answer."""
