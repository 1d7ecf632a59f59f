"""What judges get: for each one HTML page that asks the network for nothing, and the same tasks for Label Studio.

A page belongs to one judge: nobody can pick another's code by mistake or look at another's tasks, and it carries only
the photos of its own texts.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape

from showcases.evaluation.human.key import Item, Study
from showcases.evaluation.human.questions import QUESTIONS, TASK
from showcases.photos import side_by_side, take_in

QUALITY = 75  # of JPEGs: a page of 500 examples carries 1,500 photos
ANSWERS = "showcases.human_study answers 1"  # format of the page's file
FOR_JUDGES = "for_judges"  # folder of all that may be given away
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


def forms(study: Study, photos: Mapping[str, bytes], side: int) -> dict[str, bytes]:
    """All files for the judges by path. No model, review id or photo id stands in them.

    Args:
        photos: JPEG bytes by id, of every photo of the study.
        side: px; the shorter side is shrunk to this.

    Raises:
        PhotoError: a photo doesn't decode.
    """
    small = {name: take_in(data, side, quality=QUALITY).data for name, data in photos.items()}
    rows = {ids: side_by_side([small[name] for name in ids], side) for ids in {item.photos for item in study.items}}
    tokens = _photo_tokens(study, [*small, *rows])
    files = {
        "label_studio/labelling_config.xml": labelling_config().encode(),
        **{f"label_studio/photos/{tokens[ids]}.jpg": data for ids, data in rows.items()},
    }
    for judge in range(1, study.judges + 1):
        items = study.of_judge(judge)
        tasks = [make_task(study, item, tokens[item.photos]) for item in items]
        files[f"label_studio/judge-{judge}.json"] = json.dumps(tasks, ensure_ascii=False, indent=1).encode()
        files[f"judge-{judge}.html"] = page(study, judge, items, small, tokens).encode()
    return files


def _photo_tokens(study: Study, names: list[Any]) -> dict[Any, str]:
    """A name that says nothing for each photo, and for each row of photos."""
    random = np.random.default_rng(list(bytes.fromhex(study.name)))
    return {name: random.bytes(8).hex() for name in sorted(names, key=str)}


def page(study: Study, judge: int, items: list[Item], photos: Mapping[str, bytes], tokens: Mapping[Any, str]) -> str:
    """One judge's page: all texts are escaped, and its own policy lets it ask nobody for anything."""
    shown = {name for item in items for name in item.photos}
    data = {
        "format": ANSWERS,
        "study": study.name,
        "judge": judge,
        "questions": [question.name for question in QUESTIONS],
        "photos": {
            tokens[name]: "data:image/jpeg;base64," + base64.b64encode(photos[name]).decode() for name in sorted(shown)
        },
        "items": [
            {"token": item.token, "text": item.text, "photos": [tokens[name] for name in item.photos]} for item in items
        ],
    }
    environment = Environment(
        loader=PackageLoader("showcases.evaluation", "templates"),
        autoescape=select_autoescape(("html.j2",), default=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("human_form.html.j2")
    return template.render(data=data, judge=judge, questions=QUESTIONS, task=TASK, count=len(items))


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
