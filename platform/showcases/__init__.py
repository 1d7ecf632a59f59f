"""Personalized Showcases: photos a user will care about, and sentences in the user's vein that describe them."""

from showcases._torchvision import declare_missing_ops

__version__ = "0.1.0"

declare_missing_ops()
