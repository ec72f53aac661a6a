"""The loop: observe → reason ⇄ zoom → answer. `graph` has its edges, `nodes` what happens at each."""
