"""Reinforcement learning with verl: its rollout servers drive the loop of the library."""
