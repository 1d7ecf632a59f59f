"""Data checks of a workspace: statistics, duplicates, and leaks between splits."""
