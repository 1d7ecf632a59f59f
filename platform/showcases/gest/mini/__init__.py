"""A small town of restaurants, written out in the official GEST format: the data of `make demo` and of the tests.

Everything follows from `MiniConfig.seed`: the same config writes the same bytes.
"""

from showcases.gest.mini.config import MiniConfig
from showcases.gest.mini.model import World
from showcases.gest.mini.summary import MiniSummary
from showcases.gest.mini.world import build_world
from showcases.gest.mini.writer import write_mini

__all__ = ["MiniConfig", "MiniSummary", "World", "build_world", "write_mini"]
