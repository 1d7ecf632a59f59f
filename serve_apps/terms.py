"""Limits and choices that requests name and models know."""

from typing import Literal

MAX_PHOTOS = 5  # the paper's limit for a showcase
Tone = Literal["own", "plain", "enthusiastic", "brief", "detailed"]
