"""Single characters on things of a named colour or shape, which recognition of text misses."""
