"""The bytes behind a path, a URL or a buffer, within limits."""
