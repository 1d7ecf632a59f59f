"""Photo files: format detection, removal of metadata, orientation, color conversion."""
