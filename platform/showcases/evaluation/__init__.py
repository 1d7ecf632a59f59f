"""How good the photos and texts are: ranking, text metrics, Tables 1 to 3 beside the paper's, the report."""
