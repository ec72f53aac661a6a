"""Whether all that a policy needs is here, told without loading its weights."""
