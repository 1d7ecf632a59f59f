"""Label Studio's tasks out: a photo, and the sentence marked in its review, so that people see what it is about."""

import html
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from showcases.distillation.annotations import ReviewPairs
from showcases.gest.reading.sentences import english_part
from showcases.ids import sentence_id

LOCAL_PHOTOS = "/data/local-files/?d=photos/"  # as Label Studio serves <document root>/photos
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
    """A review as the reviewer wrote it, and all its sentences, as `split_sentences` made them of it."""

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
        whole: by review id, to show each sentence in.
        photos_at: address of the photos, up to `<photo id>.jpg`.
        wanted: the pairs (sentence id, photo id) to make one for; every pair without.
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
                result.append({"data": data})  # an export carries it back
    return result


def mark_sentences(review: WholeReview) -> list[str]:
    """The review as HTML, once for each of its sentences, with that sentence in `<mark>`; what is said is escaped.

    Where the text does not hold the sentences (another splitter made them), the sentences alone are shown.
    """
    text = " ".join(english_part(review.text).split())
    places = _find(text, review.sentences)
    if places is None:
        text = " ".join(review.sentences)
        places = _find(text, review.sentences) or []
    return [_mark(text, *place) for place in places]


def _find(text: str, sentences: Iterable[str]) -> list[tuple[int, int]] | None:
    """Where each sentence begins and ends, one after the other; none where one is not there."""
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
    """As Label Studio's import takes them."""
    return json.dumps(tasks, ensure_ascii=False, indent=1).encode()
