"""Where and when pixels are made: turns, memory, processes of their own."""
