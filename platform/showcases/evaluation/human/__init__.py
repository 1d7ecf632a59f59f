"""The human evaluation (paper section 5, Table 6): assignment, the judges' tasks, and the results."""
