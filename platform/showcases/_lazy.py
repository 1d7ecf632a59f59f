"""Packages that import their heavy modules on first use: reading a config, or decoding a photo, needs no torch."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_first_use(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562) that imports a name from its module on first use.

    Args:
        package: its `__name__`.
        modules: of the package, by the name that is in it.
    """

    def of(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return of
