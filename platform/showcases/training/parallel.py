"""One code path for one worker and many."""

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def distributed(model: nn.Module, device: str | torch.device = "cpu") -> nn.Module:
    """The model, wrapped in DistributedDataParallel where several workers train together."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return model
    return DistributedDataParallel(model, device_ids=None if torch.device(device).type == "cpu" else [device])
