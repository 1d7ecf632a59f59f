"""fetch_images of a folder whose names are not the ones wanted: no `done` with an exit code of 0."""

from pathlib import Path

import pyarrow as pa
import pytest

from jobs import fetch_images
from jobs.runner.config import CorpusConfig, PipelineConfig
from jobs.runner.execute import execute
from showcases.errors import CorpusError, ShowcasesError
from showcases.gest.config import FetchConfig
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import PHOTOS
from tests.artifacts import put
from tests.photo_server import photo

pytestmark = pytest.mark.ray


@pytest.fixture
def workspace(tmp_path: Path, ray_cluster: str) -> Workspace:
    """80 photos are wanted."""
    workspace = Workspace(str(tmp_path / "workspace"))
    rows = [{"photo_id": f"photo{i:02}", "url": None} for i in range(80)]
    put(workspace, "photos", pa.Table.from_pylist(rows, schema=PHOTOS))
    return workspace


def fetch(workspace: Workspace, folder: Path, retry: str = "") -> bool:
    corpus = CorpusConfig("unused", str(folder))
    config = PipelineConfig(root=workspace.root, corpus=corpus, fetch_images=FetchConfig(unit=40, retry=retry))
    return execute(fetch_images.STEP, workspace, config)


def test_photos_that_are_not_there_fail_the_step_and_can_be_fetched_later(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(CorpusError, match="none of 80 photos is among the 0 images there"):
        fetch(workspace, folder)
    forms = ("jpg", "JPEG", "png", "webp")
    for i in range(4):
        (folder / f"photo{i:02}.{forms[i]}").write_bytes(photo(f"p{i}"))
    for i in range(4, 80):
        (folder / f"photo{i:02}_large.jpg").write_bytes(photo(f"p{i}"))
    with pytest.raises(ShowcasesError) as failed:
        fetch(workspace, folder)
    text = str(failed.value)
    assert "95% of 80 photos failed (4 ok, 76 not_found)" in text and "--retry not_found" in text
    assert "no file is named photo04" in text and "nearest: photo04_large.jpg" in text
    assert "76 photos are not in" in capsys.readouterr().out
    for i in range(4, 80):
        (folder / "sub").mkdir(exist_ok=True)
        (folder / f"photo{i:02}_large.jpg").rename(folder / "sub" / f"photo{i:02}.JPG")
    assert fetch(workspace, folder, retry="not_found")
    assert workspace.require("images").rows["ok"] == 80 and workspace.require("images").failures == {}
