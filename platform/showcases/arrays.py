"""Decorator for tensor functions that also accept NumPy arrays."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numpy as np
import torch

P = ParamSpec("P")
R = TypeVar("R")


def numpy_or_tensors(function: Callable[P, R]) -> Callable[P, R]:
    """Let a tensor function also accept NumPy arrays: it then computes without gradients and returns arrays.

    Other arguments are unchanged. Float arrays keep their precision.

    Raises:
        TypeError: an array and a tensor in one call.
    """

    @functools.wraps(function)
    def either(*args: P.args, **kwargs: P.kwargs) -> R:
        given = [*args, *kwargs.values()]
        if not any(isinstance(value, np.ndarray) for value in given):
            return function(*args, **kwargs)
        if any(isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter) for value in given):
            raise TypeError(f"{function.__name__} was given NumPy arrays and tensors: convert them to one of the two")
        with torch.no_grad():
            result = function(*map(_tensor, args), **{name: _tensor(value) for name, value in kwargs.items()})  # type: ignore[arg-type]
        return cast(R, _arrays(result))

    return either


def _tensor(value: object) -> object:
    return torch.as_tensor(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value


def _arrays(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.cpu().numpy()
    return tuple(_arrays(part) for part in value) if isinstance(value, tuple) else value
