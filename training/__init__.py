"""Training of policies, beside the package: nothing in `cof_agent` imports this."""
