"""Evaluation of photos and texts: ranking, text metrics, Tables 1 to 3 beside the paper's, the report."""
