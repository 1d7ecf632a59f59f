"""Optional dependencies: what the extras of the `showcases` package install, imported where it is used."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from showcases.errors import MissingPackageError

Extra = Literal["ray", "serve", "studies", "annotation"]


@contextmanager
def imports_of(*extras: Extra) -> Iterator[None]:
    """Context manager for the imports of an optional dependency.

    Args:
        extras: those that install it, most likely first.

    Raises:
        MissingPackageError: a package is not installed; the message says what installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingPackageError):
            raise
        wanted = " or ".join(f"pip install 'showcases[{extra}]'" for extra in extras)
        raise MissingPackageError(f"{error.name} is not installed: {wanted}", name=error.name) from error
