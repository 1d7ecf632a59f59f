"""The torch device of a replica's models."""

import ray
import torch

from serve_apps.args import Device
from showcases.errors import ConfigError


def torch_device(wanted: Device) -> str:
    """`cpu` or `cuda`; `auto` is the GPU that Ray assigned to this replica (`num_gpus`), else the CPU.

    Raises:
        ConfigError: `cuda` without an assigned GPU, or torch can't use the GPU.
    """
    if wanted == "cpu":
        return "cpu"
    has_gpu = bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))
    if not has_gpu:
        if wanted == "cuda":
            raise ConfigError(
                "device is cuda, but Ray assigned no GPU to this replica: set ray_actor_options.num_gpus of Selector "
                "and Generator above 0 (serve_apps.run: --num-gpus)"
            )
        return "cpu"
    if not torch.cuda.is_available():
        raise ConfigError(
            f"Ray assigned a GPU to this replica, but torch {torch.__version__} can't use it: install a CUDA build of "
            "torch, or set device to cpu and num_gpus to 0"
        )
    return "cuda"
