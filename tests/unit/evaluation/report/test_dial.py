"""The dial: at 0 nobody's taste counts, turned up relevance wins; table and picture say what ranking says."""

import io
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from showcases.errors import ConfigError
from showcases.evaluation.config import EvaluateConfig
from showcases.evaluation.report.dial import theta_picture, theta_table
from showcases.evaluation.selection import Ranked, turn_dial
from showcases.selector.config import SelectorConfig
from showcases.selector.data import PhotoPool, SelectorData, build_split
from showcases.selector.greedy import greedy_map
from showcases.selector.model import Selector
from showcases.selector.rankers import most_popular, random_ranker, rank_split, selector_ranker
from showcases.storage.embeddings import EmbeddingTable

THETAS = (0.0, 0.5, 1.0, 2.0, 5.0)
NAMES = ("img, θ = 0", "img, θ = 0.5", "img, θ = 1", "img, θ = 2 (the model's)", "img, θ = 5")
DIM, TOPICS, USERS = 8, 4, 40


@pytest.fixture(scope="module")
def data() -> SelectorData:
    """Each user posts two photos of their one topic at each of two places, where others post other topics."""
    rng = np.random.default_rng(0)
    topics = np.eye(DIM)[:TOPICS] + 0.5
    photos, rows, vectors = [], [], {}
    for user in range(USERS):
        for business in (user % 3, 3 + user % 2):
            names = {"review_id": f"u{user}_b{business}", "user_id": f"u{user}", "business_id": f"b{business}"}
            ids = [f"{names['review_id']}-{number}" for number in range(2)]
            photos += [{"photo_id": name, **names} for name in ids]
            for name in ids:
                vector = topics[user % TOPICS] + 0.15 * rng.normal(size=DIM)
                vectors[name] = vector / np.linalg.norm(vector)
            history = [f"u{user}_b{other}" for other in (user % 3, 3 + user % 2) if other != business]
            rows.append({**names, "photo_ids": ids, "history_review_ids": history})
    table = EmbeddingTable(list(vectors), np.stack(list(vectors.values())).astype(np.float16), "m")
    return build_split(rows, PhotoPool(pa.Table.from_pylist(photos), table), {}, text_dim=2)


@pytest.fixture(scope="module")
def model(data: SelectorData) -> Selector:
    """Untrained: relevance is the likeness of a photo to the user's past ones."""
    torch.manual_seed(0)
    selector = Selector(SelectorConfig(hidden_dims=(16,), out_dim=8, theta=2.0), "img", DIM, 2, "m").eval()
    selector.start_from_similarity(torch.from_numpy(data.photos), torch.from_numpy(data.posted_photos()))
    return selector


@pytest.fixture(scope="module")
def ranked(data: SelectorData, model: Selector) -> list[Ranked]:
    own, _ = rank_split(data, selector_ranker(model), 3)
    curve = turn_dial(model, data, THETAS, 3, "paper") | {model.config.theta: own}
    return [
        *(Ranked("random", seed, rank_split(data, random_ranker(seed), 3)[0]) for seed in range(2)),
        Ranked("most-popular", 0, rank_split(data, most_popular, 3)[0]),
        Ranked("img", 0, own, theta=2.0, by_theta=curve),
    ]


def test_at_0_photos_are_chosen_by_the_cosine_kernel_alone(data: SelectorData, model: Selector) -> None:
    batch = data.batch(np.arange(len(data)), "img")
    unit = torch.nn.functional.normalize(batch.images(), dim=-1)
    cosines = unit @ unit.transpose(1, 2) + model.config.delta * torch.eye(unit.shape[1])
    expected = greedy_map(cosines, batch.mask, 3)
    assert torch.equal(selector_ranker(model, 0.0)(batch, 3), expected)
    assert not torch.equal(selector_ranker(model, 5.0)(batch, 3), expected)


def test_turned_up_it_finds_more_and_shows_less_variety(ranked: list[Ranked]) -> None:
    curve = ranked[-1].by_theta
    assert all(curve[low].diversity >= curve[high].diversity for low, high in pairwise(THETAS))
    assert curve[5.0].f1 > curve[0.0].f1 and curve[5.0].f1 > ranked[0].figures.f1


def test_the_table_holds_what_ranking_says(data: SelectorData, model: Selector, ranked: list[Ranked]) -> None:
    table = theta_table(ranked, 3, "paper")
    rows = {row.name: row for row in table.rows}
    assert list(rows) == ["random", "most-popular", *NAMES]
    for theta, name in zip(THETAS, NAMES, strict=True):
        figures, _ = rank_split(data, selector_ranker(model, theta), 3)
        row = rows[name]
        expected = [figures.precision, figures.recall, figures.f1, figures.diversity]
        assert [row.value(f"{part}@3")[0] for part in ("Prec", "Recall", "F1", "Div")] == expected
    assert rows["random"].value("F1@3")[1] is not None  # over two seeds


def test_the_picture_is_a_png_and_its_words_hold_the_figures(ranked: list[Ranked]) -> None:
    picture = theta_picture(ranked, 3)
    assert picture is not None
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.format == "PNG" and image.width > 600
        assert len(set(image.convert("RGB").getdata())) > 50  # something is drawn
    end = ranked[-1].by_theta[5.0]
    assert f"θ 5: {100 * end.diversity:.1f} and {100 * end.f1:.1f}" in picture.alt


def test_in_deployment_there_is_diversity_alone_and_the_table_says_why(data: SelectorData, model: Selector) -> None:
    curve = turn_dial(model, data, (0.0, 5.0), 3, "deployment")
    deployed = [Ranked("img", 0, curve[0.0], theta=2.0, by_theta=curve)]
    assert theta_picture(deployed, 3) is None
    table = theta_table(deployed, 3, "deployment")
    assert [table.rows[1].value(name)[0] for name in ("F1@3", "Div@3")] == [None, curve[5.0].diversity]
    assert any("no F1@3 and so no curve" in note for note in table.notes)


def test_a_theta_that_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[-1\.0, 11\.0\]"):
        EvaluateConfig(thetas=(0.0, -1.0, 11.0))
