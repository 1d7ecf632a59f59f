"""What a photo's file is and holds: its kind, its pixels' container without metadata, its orientation, its colors."""
