"""Generates a small town of restaurants in the official GEST format: the data of `make demo` and of the tests.

Deterministic: the same config writes the same bytes.
"""

from showcases_demo.config import MiniConfig
from showcases_demo.model import World
from showcases_demo.summary import MiniSummary
from showcases_demo.world import build_world
from showcases_demo.writer import write_mini

__all__ = ["MiniConfig", "MiniSummary", "World", "build_world", "write_mini"]
