"""Personalized Showcases: photos a user will care about, and sentences in the user's vein that describe them."""

from showcases._torchvision import cure_on_import

__version__ = "0.1.0"

cure_on_import()
