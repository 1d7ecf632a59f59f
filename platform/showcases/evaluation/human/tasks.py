"""Files for judges: Label Studio tasks for each one, with the photos and the labelling configuration."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from showcases.evaluation.human.key import Item, Study
from showcases.evaluation.human.questions import QUESTIONS, TASK
from showcases.photos import side_by_side, take_in

QUALITY = 75  # of JPEGs: 500 examples have 1,500 photos
FOR_JUDGES = "for_judges"  # folder of the files to hand out
LABELLING_CONFIG = """\
<!-- Photos are served by Label Studio's local storage: start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
     LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=<this folder>, and add <this folder>/photos as local storage. Make a project
     for each judge with this configuration, tasks shown in their order, and import judge-N.json into it. Give
     `jobs.human_study import` each project's JSON export (not JSON-MIN). -->
<View>
  <Header value="{task}"/>
  <Image name="photos" value="$photos" maxWidth="900px"/>
  <Text name="text" value="$text"/>
{choices}</View>
"""
CHOICES = """\
  <Header value="{title} {help}" size="5"/>
  <Choices name="{name}" toName="text" choice="single-radio" required="true" showInline="true">
{choices}  </Choices>
"""


def task_files(study: Study, photos: Mapping[str, bytes], side: int) -> dict[str, bytes]:
    """All files for the judges by path. They contain no model, review id or photo id.

    Args:
        photos: JPEG bytes by id, of every photo of the study.
        side: px; the shorter side is downscaled to this.

    Raises:
        PhotoError: a photo doesn't decode.
    """
    small = {name: take_in(data, side, quality=QUALITY).data for name, data in photos.items()}
    rows = {ids: side_by_side([small[name] for name in ids], side) for ids in {item.photos for item in study.items}}
    random = np.random.default_rng(list(bytes.fromhex(study.name)))
    tokens = {ids: random.bytes(8).hex() for ids in sorted(rows)}
    files = {
        "labelling_config.xml": labelling_config().encode(),
        **{f"photos/{tokens[ids]}.jpg": data for ids, data in rows.items()},
    }
    for judge in range(1, study.judges + 1):
        tasks = [make_task(study, item, tokens[item.photos]) for item in study.of_judge(judge)]
        files[f"judge-{judge}.json"] = json.dumps(tasks, ensure_ascii=False, indent=1).encode()
    return files


def make_task(study: Study, item: Item, photos: str) -> dict[str, Any]:
    """One Label Studio task; an export carries its `data` back."""
    return {
        "data": {
            "token": item.token,
            "study": study.name,
            "photos": f"/data/local-files/?d=photos/{photos}.jpg",
            "text": item.text or "(nothing was written)",
        }
    }


def labelling_config() -> str:
    """Label Studio's labelling configuration: both questions as radio buttons; an answer is exported by its alias."""
    blocks = []
    for question in QUESTIONS:
        choices = "".join(
            f'    <Choice value="{number} – {anchor}" alias="{number}"/>\n'
            for number, anchor in enumerate(question.anchors, 1)
        )
        blocks.append(CHOICES.format(title=question.title, help=question.help, name=question.name, choices=choices))
    return LABELLING_CONFIG.format(task=TASK, choices="".join(blocks))
