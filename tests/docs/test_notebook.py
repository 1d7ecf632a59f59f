"""The notebook runs from top to bottom, and the outputs that are stored in it are what it prints."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NUMBER = re.compile(r"-?\d+\.\d+")


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell prints; it may come in several outputs."""
    cells = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(part["text"] for part in outputs if part.get("name") == "stdout") for outputs in cells]


def test_the_notebook_prints_what_is_stored_in_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(repository / "platform"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    stored = nbformat.read(repository / "notebooks" / "tour.ipynb", as_version=4)
    expected = printed(stored)
    resources = {"metadata": {"path": str(tmp_path)}}
    run = NotebookClient(stored, timeout=300, kernel_name="python3", resources=resources).execute()
    found = printed(run)
    assert [NUMBER.sub("#", text) for text in found] == [NUMBER.sub("#", text) for text in expected]
    assert [float(x) for text in found for x in NUMBER.findall(text)] == pytest.approx(
        [float(x) for text in expected for x in NUMBER.findall(text)], rel=0.02, abs=0.02
    )
    pictures = [output for cell in run.cells for output in cell.get("outputs", []) if "data" in output]
    assert ["image/png" in output["data"] for output in pictures] == [True]
