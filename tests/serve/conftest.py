"""The fixtures that the tests of the service and of its page share."""

from tests.serve.fixtures import service, tiny_workspace

__all__ = ["service", "tiny_workspace"]
