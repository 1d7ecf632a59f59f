"""Names and limits shared by the service's packages."""

from typing import Literal

MAX_PHOTOS = 5  # the paper's limit for a showcase
Tone = Literal["own", "plain", "enthusiastic", "brief", "detailed"]
Scope = Literal["read", "write", "admin"]  # permissions of a key
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
