"""Data checks of a workspace: what is in it, what is there twice, and what leaks from one split into another."""
