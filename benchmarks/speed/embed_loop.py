"""The rivals of benchmarks.speed.embed that are a plain loop: one process, one photo after the other, then a batch
encoded. `plain` is PyTorch as everyone writes it; `tuned` has our decoding and our dtype, so that what is left is Ray.

Prints `ready` when the model is loaded and `done` when the vectors are on disk.
"""

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.harness import parse
from showcases.compat import import_torchvision

import_torchvision()

import open_clip  # noqa: E402

Encode = Callable[[list[bytes]], np.ndarray]  # n JPEGs -> (n, d) unit vectors


def main() -> None:
    text, number = (str,), (int,)
    arguments = parse(
        __doc__,
        decode=(text, "plain or tuned"),
        photos=(text, "folder of *.jpg"),
        model=(text, "open_clip's name"),
        weights=(text, "file"),
        clip=(text, "folder of our `clip` artifact, of the same weights"),
        dtype=("float32", None),
        batch=(number, None),
        threads=(number, None),
        out=(text, "file of vectors, *.npy"),
    )
    torch.set_num_threads(arguments.threads)
    encode = plain(arguments) if arguments.decode == "plain" else tuned(arguments)
    files = sorted(Path(arguments.photos).glob("*.jpg"))
    print("ready", flush=True)
    vectors = [encode(batch) for batch in batches(files, arguments.batch)]
    np.save(arguments.out, np.concatenate(vectors).astype(np.float16))
    print("done", flush=True)


def plain(arguments: argparse.Namespace) -> Encode:
    """PIL decodes whole, torchvision resizes, float32."""
    model, _, preprocess = open_clip.create_model_and_transforms(arguments.model, pretrained=arguments.weights)
    model.eval()

    def encode(photos: list[bytes]) -> np.ndarray:
        images = torch.stack([preprocess(Image.open(io.BytesIO(data))) for data in photos])
        with torch.inference_mode():
            return model.encode_image(images, normalize=True).numpy()

    return encode


def tuned(arguments: argparse.Namespace) -> Encode:
    """libjpeg's draft mode, and the dtype that embed chose."""
    from showcases.clip import ClipEncoder
    from showcases.photos import to_pixels

    encoder = ClipEncoder.from_pretrained(Path(arguments.clip), dtype=arguments.dtype)

    def encode(photos: list[bytes]) -> np.ndarray:
        return encoder.encode_pixels(np.stack([to_pixels(data, encoder.image_size) for data in photos]))

    return encode


def batches(files: list[Path], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(files), size):
        yield [file.read_bytes() for file in files[start : start + size]]


if __name__ == "__main__":
    main()
