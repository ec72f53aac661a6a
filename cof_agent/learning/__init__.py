"""Learn from runs: collect them, reward them, export them, play them."""
