"""Create Label Studio tasks: a photo, and the sentence highlighted in its review, for context."""

import html
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from showcases.distillation.annotations import ReviewPairs
from showcases.gest.reading.sentences import english_part
from showcases.ids import sentence_id

LOCAL_PHOTOS = "/data/local-files/?d=photos/"  # URL prefix of <document root>/photos in Label Studio
LABELLING_CONFIG = """\
<!-- Photos are served by Label Studio's local storage: start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
     LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=<the folder that holds photos/>, add photos/ as local storage and don't
     sync it, import tasks.json, and give the JSON export (not JSON-MIN) to jobs.annotate import. -->
<View>
  <Header value="Does the photo show what the marked sentence says?"/>
  <HyperText name="review" value="$html" inline="true" selectionEnabled="false"/>
  <Image name="image" value="$image" maxWidth="480px"/>
  <Choices name="match" toName="image" choice="single" required="true" showInline="true">
    <Choice value="match" hotkey="1"/>
    <Choice value="no match" hotkey="2"/>
  </Choices>
</View>
"""


@dataclass(frozen=True)
class WholeReview:
    """A review's original text, and all its sentences from `split_sentences`."""

    text: str
    sentences: Sequence[str]


def make_tasks(
    reviews: Iterable[ReviewPairs],
    whole: Mapping[str, WholeReview],
    photos_at: str = LOCAL_PHOTOS,
    wanted: Container[tuple[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Label Studio tasks for the pairs of these reviews.

    Args:
        whole: complete reviews by id, for context.
        photos_at: URL prefix of the photos, before `<photo id>.jpg`.
        wanted: the pairs (sentence id, photo id) to create tasks for; by default all.
    """
    result = []
    for review in reviews:
        marked = mark_sentences(whole[review.review_id])
        for number, sentence in review.sentences.items():
            for photo_id in review.photo_ids:
                if wanted is not None and (sentence_id(review.review_id, number), photo_id) not in wanted:
                    continue
                data = {
                    "image": f"{photos_at}{photo_id}.jpg",
                    "html": marked[number],
                    "photo_id": photo_id,
                    "review_id": review.review_id,
                    "sentence": sentence,
                    "sentence_index": number,
                }
                result.append({"data": data})  # included in exports
    return result


def mark_sentences(review: WholeReview) -> list[str]:
    """The review as HTML, once per sentence, with that sentence in `<mark>`; texts are escaped.

    If the text does not contain the sentences (from another splitter), only the sentences are shown.
    """
    text = " ".join(english_part(review.text).split())
    places = _find(text, review.sentences)
    if places is None:
        text = " ".join(review.sentences)
        places = _find(text, review.sentences) or []
    return [_mark(text, *place) for place in places]


def _find(text: str, sentences: Iterable[str]) -> list[tuple[int, int]] | None:
    """[start, end) of each sentence, in order; None if one is missing."""
    places, end = [], 0
    for sentence in sentences:
        start = text.find(sentence, end)
        if start < 0:
            return None
        end = start + len(sentence)
        places.append((start, end))
    return places


def _mark(text: str, start: int, end: int) -> str:
    before, said, after = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
    return f"<p>{before}<mark>{said}</mark>{after}</p>"


def write_json(tasks: Sequence[Mapping[str, Any]]) -> bytes:
    """Serialize tasks for Label Studio's import."""
    return json.dumps(tasks, ensure_ascii=False, indent=1).encode()
