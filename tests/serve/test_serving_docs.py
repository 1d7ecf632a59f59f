"""docs/serving.md says what the code does."""

import re
from pathlib import Path

from serve_apps.args import SERVE_ENV

TOLD = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_a_cluster_is_told_to_set_what_serve_apps_run_sets() -> None:
    assert dict(re.findall(r"^export (\w+)=(\S+)$", TOLD, re.MULTILINE)) == SERVE_ENV
