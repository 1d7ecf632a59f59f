"""One encoder for photos and sentences, one preprocessing path for training, embedding and serving."""

from showcases.clip.encoder import ClipEncoder
from showcases.clip.photos import PhotoError, TakenPhoto, take_in, to_pixels

__all__ = ["ClipEncoder", "PhotoError", "TakenPhoto", "take_in", "to_pixels"]
