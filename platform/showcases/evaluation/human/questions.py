"""The questions about each text: the paper's two, on a 5-point Likert scale. The wording is ours."""

from dataclasses import dataclass

LOWEST, HIGHEST = 1, 5
SCALE = range(LOWEST, HIGHEST + 1)


@dataclass(frozen=True)
class Question:
    """One question, with a label for each point of the scale."""

    name: str  # in files
    column: str  # in tables
    title: str
    help: str
    anchors: tuple[str, str, str, str, str]


QUESTIONS = (
    Question(
        "expressiveness",
        "expressiveness",
        "How expressive is the text?",
        "Is it clear and fluent, and does it say something particular, rather than what would fit any restaurant?",
        ("poor", "weak", "fair", "good", "excellent"),
    ),
    Question(
        "visual_alignment",
        "visual alignment",
        "How well does the text match the photos?",
        "Does it speak of what can be seen, and of nothing that the photos contradict?",
        ("not at all", "a little", "in part", "mostly", "fully"),
    ),
)
NAMES = tuple(question.name for question in QUESTIONS)
TASK = (
    "Each page shows photos of a restaurant and a short text that recommends it. Look at the photos, read the text, "
    "then answer both questions. Rate each text by itself. There is no right answer, except where a text tells you "
    "what to choose: do so there."
)
