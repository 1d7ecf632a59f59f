"""One encoder for photos and sentences, the same for training, embedding and serving."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use

if TYPE_CHECKING:
    from showcases.clip.encoder import ClipEncoder

__all__ = ["ClipEncoder"]

__getattr__ = on_first_use(__name__, {"ClipEncoder": "encoder"})
