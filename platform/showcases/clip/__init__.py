"""One encoder for photos and sentences, the same for training, embedding and serving."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from showcases.clip.encoder import ClipEncoder

__all__ = ["ClipEncoder"]


def __getattr__(name: str) -> Any:
    if name == "ClipEncoder":  # on first use: open_clip takes seconds to import, and reading a config needs none of it
        from showcases.clip.encoder import ClipEncoder

        return ClipEncoder
    raise AttributeError(name)
