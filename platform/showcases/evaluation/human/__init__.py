"""The human evaluation (paper section 5, Table 6): who rates what, the tasks that judges get, and the results."""
