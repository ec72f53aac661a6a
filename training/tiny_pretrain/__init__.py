"""Training of the embedded policy `tiny` from nothing: the vision tower by dense targets, then the language model."""
