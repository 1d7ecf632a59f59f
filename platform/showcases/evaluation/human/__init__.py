"""The human evaluation (paper section 5, Table 6): who rates what, the forms that judges get, and what came of it."""
