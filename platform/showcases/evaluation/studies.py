"""The rows of Tables 4 and 5 as configurations of the generator, differing in one factor each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from showcases.generator.config import ContrastiveConfig, Inputs, TrainGeneratorConfig

Loss = Literal["none", "cl", "ccl"]


@dataclass(frozen=True)
class StudyRow:
    """A row of Table 4 or 5.

    Attributes:
        name: as in the paper, if it has this row.
        folder: of its models.
        inputs: modalities that it reads.
        config: the generator's, complete.
    """

    name: str
    folder: str
    inputs: Inputs
    config: TrainGeneratorConfig


def table_4_rows(config: TrainGeneratorConfig) -> list[StudyRow]:
    """The five losses of Table 4; weights, temperature and everything else are `config`'s."""
    losses: dict[str, tuple[str, ContrastiveConfig]] = {
        "baseline": ("baseline", replace(config.contrastive, image_loss="none", text_loss="none")),
        "img CL + text CL": ("cl-cl", replace(config.contrastive, image_loss="cl", text_loss="cl")),
        "CCL + text CL": ("ccl-cl", replace(config.contrastive, image_loss="ccl", text_loss="cl")),
        "img CL + PCL": ("cl-pcl", replace(config.contrastive, image_loss="cl", text_loss="pcl")),
        "PC²L": ("pc2l", replace(config.contrastive, image_loss="ccl", text_loss="pcl")),
    }
    return [
        StudyRow(name, folder, "img+text", replace(config, contrastive=contrastive))
        for name, (folder, contrastive) in losses.items()
    ]


def table_5_rows(config: TrainGeneratorConfig) -> list[StudyRow]:
    """The initialisations of Table 5, each without contrastive losses.

    Without `model.pretrained` there is no GPT-2: the rows that need it get random weights, as their names say.
    """
    plain = replace(config, contrastive=replace(config.contrastive, image_loss="none", text_loss="none"))
    random = replace(plain, model=replace(plain.model, random_init=True))
    tuned = replace(plain, finetune=True)
    img_random = StudyRow("Img Random", "img-random", "img", random)
    if config.model.pretrained is None:
        return [
            img_random,
            StudyRow("Text Random", "text-random", "text", random),
            StudyRow("Img Random + FT", "img-random-ft", "img", tuned),
        ]
    return [
        img_random,
        StudyRow("Text GPT-2", "text-gpt2", "text", plain),
        StudyRow("Img GPT-2", "img-gpt2", "img", plain),
        StudyRow("Img GPT-2 + FT", "img-gpt2-ft", "img", tuned),
    ]


@dataclass(frozen=True)
class Order:
    """Comparison of our order of a column's rows with the paper's.

    Attributes:
        pairs: of rows that both have.
        agree: pairs whose means have the same order.
        clear: agreeing pairs that differ by more than the spread over seeds.
        against: reversed pairs that differ by more than the spread over seeds.
    """

    pairs: int
    agree: int
    clear: int
    against: tuple[tuple[str, str], ...]

    def sentence(self, column: str) -> str:
        """Sentence for the table's notes."""
        text = f"{column}: {self.agree} of {self.pairs} pairs of rows have the paper's order"
        text += f", {self.clear} of them by more than the seeds' spread"
        if self.against:
            text += "; the other way round by more than that: " + ", ".join(f"{a} above {b}" for a, b in self.against)
        return text + "."


def compare_order(ours: Mapping[str, tuple[float, float]], paper: Mapping[str, float]) -> Order:
    """Compare the order of all pairs of rows.

    Args:
        ours: by row, mean and standard deviation over seeds.
        paper: by row.

    Returns:
        Counts; two rows differ by more than their spread if the distance of their means exceeds the square root
            of the sum of their variances.
    """
    names = [name for name in paper if name in ours]
    pairs = agree = clear = 0
    against = []
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            high, low = (one, other) if paper[one] > paper[other] else (other, one)
            difference = ours[high][0] - ours[low][0]
            spread = (ours[high][1] ** 2 + ours[low][1] ** 2) ** 0.5
            pairs += 1
            agree += difference > 0
            clear += difference > spread
            if -difference > spread:
                against.append((low, high))
    return Order(pairs, agree, clear, tuple(against))
