"""A small human evaluation: examples with texts of two models, their photos, and judges who answer."""

import io
import json
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from showcases.evaluation.human.key import Item, Study, Subject
from showcases.evaluation.human.questions import NAMES
from showcases.evaluation.human.tasks import make_task

MODELS = ("Ref2Seq", "PC2L")
Judge = Callable[[Item], dict[str, int]]


def make_subjects(count: int) -> list[Subject]:
    """Examples with three photos each; the texts hold what could break a page."""
    return [
        Subject(
            f"user-{n}_business-{n}",
            tuple(f"AF1Qip-{n + i}" for i in range(3)),
            {
                "Ref2Seq": f"the food number {n} is good",
                "PC2L": f"</script><b>Umbrella {n}</b> & \u2028 “pink” \\ soup",
            },
        )
        for n in range(count)
    ]


def make_photos(subjects: list[Subject]) -> dict[str, bytes]:
    names = sorted({name for subject in subjects for name in subject.photos})
    photos = {}
    for number, name in enumerate(names):
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48), (number * 9 % 256, 90, 120)).save(buffer, "JPEG")
        photos[name] = buffer.getvalue()
    return photos


def careful(rate: Judge) -> Judge:
    """The same judge, who passes every attention check."""

    def answer(item: Item) -> dict[str, int]:
        if item.kind == "text":
            return rate(item)
        return {name: item.expected.get(name, (1, 1))[0] for name in NAMES}

    return answer


def export_file(folder: Path, study: Study, judge: int, answer: Judge) -> Path:
    """As Label Studio's JSON export of a judge's project has it."""
    tasks = []
    for number, item in enumerate(study.of_judge(judge)):
        result = [
            {
                "id": f"r{number}{name}",
                "type": "choices",
                "origin": "manual",
                "from_name": name,
                "to_name": "text",
                "value": {"choices": [str(rating)]},
            }
            for name, rating in answer(item).items()
        ]
        annotation = {
            "id": number,
            "completed_by": 10 + judge,
            "was_cancelled": False,
            "result": result,
            "created_at": "2026-01-05T10:00:00.000000Z",
            "updated_at": "2026-01-05T10:00:00.000000Z",
        }
        data = make_task(study, item, "x")["data"]
        tasks.append({"id": number, "data": data, "annotations": [annotation], "predictions": []})
    path = folder / f"project-{judge}.json"
    path.write_text(json.dumps(tasks))
    return path
