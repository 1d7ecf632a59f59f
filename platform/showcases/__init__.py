"""Personalized Showcases: photos a user will care about, and sentences in the user's writing style about them."""

__version__ = "0.1.0"
