"""Names and limits that several rooms of the service share."""

from typing import Literal

MAX_PHOTOS = 5  # the paper's limit for a showcase
Tone = Literal["own", "plain", "enthusiastic", "brief", "detailed"]
Scope = Literal["read", "write", "admin"]  # what a key may do
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
