"""Tables, gallery and page: what is printed follows from the figures, and nothing from a review can break the page."""

import base64
import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from showcases import paper
from showcases.errors import ConfigError
from showcases.evaluation.differences import COLUMNS, differences
from showcases.evaluation.examples import Example, draw_examples, generator_rows, with_references
from showcases.evaluation.report import results
from showcases.evaluation.report.drawing import Picture
from showcases.evaluation.report.gallery import make_showcase, pick_users, with_photos
from showcases.evaluation.report.page import Labels, Report
from showcases.evaluation.report.tables import Column, Row, Table
from showcases.evaluation.selection import Ranked
from showcases.evaluation.systems import GROUND_TRUTH
from showcases.metrics.alignment import cosines
from showcases.metrics.ranking import RankingFigures, harmonic_mean
from showcases.metrics.text import Figure, mean_figure
from showcases.storage.embeddings import EmbeddingTable

LABELS = Labels("people", 9930, 0.9712, 0.7123, 0.4, 993, 0.812)


def figure(value, n=10) -> Figure:
    return Figure(value, n, "lib 1", "tok")


@pytest.fixture
def table() -> Table:
    rows = (
        Row("ours", {"A": [figure(0.1), figure(0.2)], "length": [figure(7.0)]}, {"A": 12.3}),
        Row("none", {"A": [Figure(None, 10, "lib 1", note="n/a (no Java)")]}),
    )
    return Table("t", "Title", (Column("A"), Column("length", 1.0, 1)), rows, ("read this",))


def test_cells_are_mean_and_sample_deviation_over_seeds(table: Table) -> None:
    printed = [[table.cell(row, column) for column in table.columns] for row in table.rows]
    assert printed == [["15.00 ± 7.07", "7.0"], ["n/a (no Java)", "–"]]  # sqrt(0.05^2 + 0.05^2) = 0.0707
    assert table.paper_cell(table.rows[0], table.columns[0]) == "12.30"


def test_one_seed_has_its_interval_and_a_difference_its_p() -> None:
    one = replace(figure(0.123), interval=(0.112, 0.134))
    cells = {"A": [one], "B": [replace(one, p=0.0314)], "C": [one, figure(0.2)], "D": [figure(0.1)]}
    table = Table("t", "Title", tuple(Column(name) for name in cells), (Row("ours", cells),))
    printed = [table.cell(table.rows[0], column) for column in table.columns]
    assert printed == ["12.30 [11.20, 13.40]", "12.30 [11.20, 13.40], p = 0.031", "16.15 ± 5.44", "10.00"]
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(table.to_csv()))}
    ends = ("0.112", "0.134")
    found = [(rows[name]["low"], rows[name]["high"], rows[name]["p"]) for name in "ABCD"]
    assert found == [(*ends, ""), (*ends, "0.0314"), ("", "", ""), ("", "", "")]


def test_differences_are_between_variants_of_one_seed() -> None:
    def figures(values) -> dict[str, Figure]:
        found = mean_figure(np.array(values, float), "lib", "tok", "")
        return {name: found for name in COLUMNS} | {"METEOR": Figure(None, 0, "", note="n/a (no Java)")}

    systems = {
        (GROUND_TRUTH, 0): {},
        ("img", 0): figures([3, 4, 5, 6]),
        ("text", 0): figures([1, 2, 3, 4]),
        ("img", 1): figures([9, 9, 9, 9]),
    }
    table = differences(systems, 100, 0)
    assert [row.name for row in table.rows] == ["img − text, seed 0"]
    # Every example differs by 2, so no draw lies elsewhere: p = 1 / 101.
    assert table.cell(table.rows[0], table.columns[0]) == "200.00 [200.00, 200.00], p = 0.010"
    assert table.cell(table.rows[0], Column("METEOR")) == "n/a (no Java)"
    del systems["text", 0]
    assert differences(systems, 100, 0) is None


def test_markdown_has_ours_the_papers_and_the_notes(table: Table) -> None:
    lines = table.to_markdown().splitlines()
    assert "| ours | 15.00 ± 7.07 | 7.0 |" in lines and "| *paper: ours* | *12.30* | *–* |" in lines
    assert "- read this" in lines and "- measured by: A, length: lib 1 (tok)." in lines
    widths = {line.count("|") for line in lines if line.startswith("|")}
    assert widths == {4}


def test_csv_keeps_unscaled_values(table: Table) -> None:
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [(r["row"], r["metric"], r["seeds"], r["paper_as_printed"]) for r in rows] == [
        ("ours", "A", "2", "12.3"),
        ("ours", "length", "1", ""),
        ("none", "A", "1", ""),
    ]
    assert float(rows[0]["value"]) == pytest.approx(0.15) and float(rows[0]["std"]) == pytest.approx(0.0707, abs=1e-4)
    assert rows[2]["value"] == "" and rows[2]["note"] == "n/a (no Java)"


def test_the_papers_table_3_obeys_its_own_f1() -> None:
    for row in paper.TABLE_3.values():
        assert harmonic_mean(row["Prec@3"], row["Recall@3"]) == pytest.approx(row["F1@3"], abs=0.01)


def test_table_3_orders_rows_as_the_paper_and_says_the_protocol() -> None:
    ranked = [
        Ranked("img+text", 0, RankingFigures(0.2, 0.4, 0.27, 0.1, 50)),
        Ranked("random", 0, RankingFigures(0.1, 0.2, 0.13, 0.3, 50)),
        Ranked("random", 1, RankingFigures(0.2, 0.2, 0.2, 0.3, 50)),
    ]
    table = results.table_3(ranked, 3, "paper")
    assert [row.name for row in table.rows] == ["random", "img+text"]
    assert table.cell(table.rows[0], table.columns[0]) == "15.00 ± 7.07"
    assert any("footnote 5" in note for note in table.notes)
    deployed = [Ranked("img", 0, RankingFigures(None, None, None, 0.1, 50))]
    table = results.table_3(deployed, 5, "deployment")
    assert table.cell(table.rows[0], table.columns[0]) == "n/a (no hits possible)"
    assert table.columns[3].name == "Div@5" and not table.rows[0].paper  # the paper has k = 3 only


def test_photos_against_none_counts_wins_by_seed() -> None:
    def figures(bleu, align):
        return {"BLEU-1": figure(bleu), "CLIP-Align": figure(align), "CLIP-Score": figure(0.2)}

    systems = {
        (GROUND_TRUTH, 0): {},
        ("img", 0): figures(0.2, 0.5),
        ("text", 0): figures(0.1, 0.6),
        ("img", 1): figures(0.3, 0.7),
        ("text", 1): figures(0.2, 0.1),
    }
    assert results.photo_pair(variant for variant, _ in systems) == ("img", "text")
    table = results.photos_against_none(systems, "photos_or_not", "photos chosen")
    assert table.notes == ("Seeds for which photos help: BLEU-1 2 of 2, CLIP-Align 1 of 2, CLIP-Score 0 of 2.",)
    del systems["text", 0], systems["text", 1]
    assert results.photo_pair(variant for variant, _ in systems) is None


def row(number: int, split: str = "test", text: str = "Nice.") -> dict:
    ids = {"review_id": f"u{number}_b", "user_id": f"u{number % 7}", "business_id": "b"}
    return ids | {"explanation": text, "photo_ids": ["p0"], "history_review_ids": ["h"] * (number % 2), "split": split}


def test_examples_are_test_rows_with_photos() -> None:
    rows = [row(i, "test" if i % 2 else "train") for i in range(40)] + [row(91, text=""), row(93)]
    chosen = {f"u{i}_b": ["p1", "p0"] for i in range(92)}
    found = draw_examples(rows, chosen, 99, seed=0)
    assert [example.review_id for example in found] == [f"u{i}_b" for i in range(1, 40, 2)]
    assert found[0].shown == ["p1", "p0"] and found[0].own_photos == ["p0"]
    few = draw_examples(rows, chosen, 5, seed=0)
    assert len(few) == 5 and set(few_ids(few)) < set(few_ids(found)) and few == draw_examples(rows, chosen, 5, seed=0)
    with pytest.raises(ConfigError):
        draw_examples(rows, {}, 5, seed=0)


def few_ids(examples) -> list[str]:
    return [example.review_id for example in examples]


@pytest.fixture
def images() -> EmbeddingTable:
    return EmbeddingTable(["p0", "p1", "p2"], np.eye(4, dtype=np.float16)[:3], "toy")


def example(user="u1", history=("h1", "h2", "gone"), shown=("p1", "p0")) -> Example:
    return Example(f"{user}_b", user, "b", "I saw it.", ["p0", "p2"], list(shown), list(history))


def test_generator_rows_are_padded_with_true_counts(images: EmbeddingTable) -> None:
    features = {"h1": np.full(4, 0.5, np.float32), "h2": np.full(4, -0.5, np.float32)}
    rows = generator_rows([example(), example("u2", (), ("p2",))], images, features, most_reviews=1)
    assert [(r["n_images"], r["n_reviews"]) for r in rows] == [(2, 1), (1, 0)]
    assert rows[0]["images"].shape == rows[1]["images"].shape == (2, 4)
    assert rows[0]["reviews"].shape == rows[1]["reviews"].shape == (1, 4)
    np.testing.assert_array_equal(rows[0]["images"], np.eye(4)[[1, 0]])
    assert not rows[1]["images"][1].any() and not rows[1]["reviews"].any()


def test_references_stand_beside_the_rows(images: EmbeddingTable) -> None:
    features = {"o1": np.full(4, 0.5, np.float32), "o2": np.full(4, -0.5, np.float32)}
    examples = [example(), example("u2", (), ("p2",))]
    plain = generator_rows(examples, images, {}, most_reviews=1)
    rows = with_references(plain, examples, [["gone", "o1", "o2"], []], features, most_reviews=2, dim=4)
    assert [(r["user_id"], r["business_id"], r["n_item_reviews"]) for r in rows] == [("u1", "b", 2), ("u2", "b", 0)]
    np.testing.assert_array_equal(rows[0]["item_reviews"], [[0.5] * 4, [-0.5] * 4])
    assert rows[1]["item_reviews"].shape == (2, 4) and not rows[1]["item_reviews"].any()
    assert all(
        row.items() >= {"number": n, "n_images": p["n_images"]}.items()
        for n, (row, p) in enumerate(zip(rows, plain, strict=True))
    )


def test_gallery_takes_each_user_once_and_those_with_a_past_first() -> None:
    examples = [example(f"u{i % 6}", ("h1",) if i % 6 < 3 else ()) for i in range(18)]
    picked = [examples[number].user_id for number in pick_users(examples, 5, seed=2)]
    assert len(set(picked)) == 5 and set(picked[:3]) == {"u0", "u1", "u2"}


@pytest.fixture
def showcase(images: EmbeddingTable):
    diagonal = np.array([[0, 1, 0, 0], [0.6, 0.8, 0, 0]], np.float32)
    texts = {"img+text": (["<b>Only</b> p1.", "Both."], diagonal), "text": ([], np.zeros((0, 4), np.float32))}
    past = {"h1": "word " * 100, "h2": "Short."}
    return make_showcase(example(), texts, [0.9, 0.25], past, images, cosines)


def test_showcase_says_which_photo_each_sentence_describes(showcase) -> None:
    first, second = showcase.texts[0].sentences
    assert first.best(0.5) == [(0, 1.0)] and [number for number, _ in second.best(0.5)] == [0, 1]
    assert second.scores == pytest.approx([0.8, 0.6])
    assert [(p.photo_id, p.own, p.liked_more) for p in showcase.photos] == [("p1", False, 0.9), ("p0", True, 0.25)]
    assert showcase.past_reviews[0].endswith(" …") and len(showcase.past_reviews[0]) < 170
    assert showcase.past_reviews[1:] == ["Short."] and showcase.texts[1].sentences == []


@pytest.fixture
def report(showcase, table: Table, tmp_path: Path) -> Report:
    Image.new("RGB", (500, 400), "red").save(tmp_path / "p1.jpg")
    data = {"p1": (tmp_path / "p1.jpg").read_bytes(), "p0": b"not a photo"}
    shown = with_photos(showcase, data.get)
    return Report("Report", "toy", "today", (table,), LABELS, {"reviews": {"empty_text": 4, "no_photo": 0}}, (shown,))


def test_page_escapes_what_people_wrote_and_asks_the_network_for_nothing(report: Report) -> None:
    page = report.to_html()
    assert "&lt;b&gt;Only&lt;/b&gt;" in page and "<b>Only" not in page
    assert "http" not in page.replace("http-equiv", "") and page.count("data:image/jpeg;base64,") >= 2
    assert "no file" in page  # p0 and p2 have no bytes
    assert "from photos and past reviews" in page and "from past reviews alone" in page
    assert "the user posted it" in page and "ahead of 90% of the photos" in page and "nothing was written" in page


def test_a_picture_stands_beside_its_table_in_every_form(report: Report) -> None:
    png = b"\x89PNG not really"
    with_picture = replace(report, pictures=[Picture("t", "said <b>", "A caption.", png)])
    files = with_picture.files()
    assert files["t.png"] == png and "t.png" not in report.files()
    page, text = files["report.html"].decode(), files["report.md"].decode()
    assert f"data:image/png;base64,{base64.b64encode(png).decode()}" in page and 'alt="said &lt;b&gt;"' in page
    assert "![said <b>](t.png)\n\nA caption." in text


def test_report_names_labels_and_what_was_left_out(report: Report) -> None:
    text = report.to_markdown()
    assert "9,930 pairs labelled by annotators; they agree with a Krippendorff's alpha of 0.812" in text
    assert "AUC is 0.971 and its F1 0.712" in text and "- reviews: 4 empty text" in text and "no photo" not in text
    weak = Labels("weak", 100, 0.9, 0.8, 0.5, 10)
    assert "no person labelled them" in weak.sentence()


def test_files_of_the_artifact(report: Report) -> None:
    files = report.files()
    assert set(files) == {"report.md", "report.html", "gallery.json", "tables/t.csv"}
    (entry,) = json.loads(files["gallery.json"])
    assert entry["photos"][0] == {"photo_id": "p1", "liked_more": 0.9, "own": False, "src": ""}
    assert len(files["report.html"]) < 200_000  # the 500 px photo went in small


def test_side_by_side_has_the_paper_ours_and_the_spread(table: Table) -> None:
    assert table.side_by_side().splitlines() == [
        "| A | paper | ours | ± |", "| --- | ---: | ---: | ---: |", "| ours | 12.30 | 15.00 | 7.07 |",
    ]  # fmt: skip
    unmeasured = replace(table, rows=(Row("none", table.rows[1].figures, {"A": 3.0}),))
    assert "| none | 3.00 | n/a (no Java) | – |" in unmeasured.side_by_side()
    assert replace(table, rows=(table.rows[1],)).side_by_side() == ""
