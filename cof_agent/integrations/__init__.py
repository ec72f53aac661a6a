"""The loop at home in other frameworks. One file a host."""
