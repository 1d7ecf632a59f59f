"""evaluate on a small workspace whose models are untrained: every file of the report, and figures worked out again."""

import base64
import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from showcases.storage.artifacts import Workspace
from tests.artifacts import embedding_table, finish, put

pytestmark = pytest.mark.ray
DIM = 32


def write_models(workspace: Workspace, texts: list[str], space: str) -> None:
    """An untrained classifier, selectors and generators; the generators' texts are noise, but they are texts."""
    import torch

    from showcases.distillation import PairClassifier
    from showcases.generator import Generator, GeneratorConfig
    from showcases.generator.tokenizer import learn_tokenizer
    from showcases.selector import Selector, SelectorConfig

    torch.manual_seed(0)
    folder = Path(workspace.root)
    classifier = PairClassifier(DIM, embedding_space=space)
    torch.nn.init.normal_(classifier.layer.weight, std=0.3)
    classifier.save_pretrained(folder / "classifier")
    labels = {"source": "weak", "auc": 0.75, "f1": 0.5, "threshold": 0.5, "n": 40}
    finish(workspace, "classifier", metrics=labels)
    finish(workspace, "annotations", rows={"pairs": 400}, failures={"ties": 3})
    config = SelectorConfig(hidden_dims=(16,), out_dim=8)
    for profile in ("img+text", "img"):
        Selector(config, profile, DIM, DIM, space).save_pretrained(
            folder / f"selector/{profile.replace('+', '_')}-seed0"
        )
    finish(workspace, "selector", config={"train_selector": {"variants": ["img+text", "img"], "seeds": [0]}})
    small = GeneratorConfig(vocab_size=300, n_layer=1, n_head=2, n_embd=32, mma_layers=1, mma_heads=2, max_tokens=16)
    tokenizer = learn_tokenizer(texts, 320)
    for inputs in ("img+text", "text"):
        model = Generator(small, tokenizer, DIM, DIM, inputs, space)
        for parameter in model.parameters():
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
        saved = folder / f"generator/{inputs.replace('+', '_')}-seed0"
        model.save_pretrained(saved)
        (saved / "metrics.json").write_text(json.dumps({"fingerprint": f"made for {inputs}", "metrics": {}}))
    section = {"variants": ["img+text", "text"], "seeds": [0], "model": {"max_reviews": 10, "max_images": 5}}
    finish(workspace, "generator", config={"train_generator": section})


@pytest.fixture(scope="module")
def workspace(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny corpus with an untrained encoder; every sentence of a review with photos is its explanation."""
    import torch

    from showcases.clip import ClipEncoder
    from showcases.clip.config import TrainClipConfig
    from showcases.clip.model import build, save, small_config
    from showcases.gest.building.datasets import build_gest
    from showcases.gest.config import BuildConfig, IngestConfig
    from showcases.gest.reading.official import read_raw
    from showcases.storage.embeddings import EmbeddingTable
    from showcases.storage.schemas import IMAGES

    torch.manual_seed(0)  # of the encoder, whose vectors the generators' noise depends on
    workspace = Workspace(str(tmp_path_factory.mktemp("evaluate") / "workspace"))
    corpus = read_raw(tiny_corpus / "image_review_all.json", IngestConfig(), seed=0)
    put(workspace, "reviews", corpus.reviews, rows={"reviews": corpus.reviews.num_rows}, failures=corpus.left_out)
    put(workspace, "photos", corpus.photos)
    config = small_config(TrainClipConfig(image_size=32, embed_dim=DIM, width=8, text_width=32, text_layers=1))
    save(build(config), config, Path(workspace.root) / "clip")
    finish(workspace, "clip")
    encoder = ClipEncoder.from_pretrained(Path(workspace.root) / "clip")

    files = {name: tiny_corpus / "photos" / f"{name}.jpg" for name in corpus.photos["photo_id"].to_pylist()}
    data = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
    _, errors = encoder.encode_images(list(data.values()))
    vectors = np.random.default_rng(0).normal(size=(len(data), DIM))  # an untrained encoder sees no difference
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        {
            "photo_id": name,
            "bytes": None if error else data[name],
            "status": "corrupt" if error else "ok",
            "error": error,
        }
        for name, error in zip(data, errors, strict=True)
    ]
    workspace.write_table(pa.Table.from_pylist(rows, schema=IMAGES), "images")
    finish(workspace, "images", failures={"corrupt": sum(e is not None for e in errors)})

    def embeddings(artifact: str, ids: list[str], unit: np.ndarray) -> None:
        put(workspace, artifact, embedding_table(ids, unit, encoder.model_id))

    good = [row for row, error in enumerate(errors) if error is None]
    embeddings("image_embeddings", [list(data)[row] for row in good], vectors[good])
    reviews = corpus.reviews.to_pylist()
    said = {f"{row['review_id']}:{i}": text for row in reviews for i, text in enumerate(row["sentences"])}
    embeddings("sentence_embeddings", list(said), encoder.encode_text(list(said.values())))
    pairs = [
        (row["review_id"], f"{row['review_id']}:{i}", row["photo_ids"][0], 1.0)
        for row in reviews
        if row["photo_ids"]
        for i in range(len(row["sentences"]))
    ]
    names = ("review_id", "sentence_id", "photo_id", "score")
    aligned = pa.table({name: [pair[i] for pair in pairs] for i, name in enumerate(names)})
    gest = build_gest(
        corpus.reviews, corpus.photos, aligned, EmbeddingTable.read(workspace, "image_embeddings"), BuildConfig()
    )
    for artifact, table in (("gest_s1", gest.s1), ("gest_s2", gest.s2)):  # all are test users: there are few
        split = pa.array(["test"] * table.num_rows)
        workspace.write_table(table.set_column(table.schema.get_field_index("split"), "split", split), artifact)
    finish(workspace, "gest_s1", failures=gest.left_out, metrics=gest.statistics)
    finish(workspace, "gest_s2")
    write_models(workspace, [row["text"] for row in reviews], encoder.model_id)
    return workspace


@pytest.fixture(scope="module")
def evaluated(workspace: Workspace, ray_cluster) -> Workspace:
    from jobs import evaluate
    from jobs.runner.config import PipelineConfig
    from jobs.runner.execute import execute
    from jobs.tracking import tracker as tracking
    from jobs.tracking.config import tracking_uri
    from showcases.evaluation.config import EvaluateConfig

    config = PipelineConfig(root=workspace.root, evaluate=EvaluateConfig(max_examples=12, gallery=4, batch_size=8))
    with tracking.pipeline_run(config) as run:  # as train_generator does: the served variant is registered
        client = tracking.Tracker(tracking_uri(config), run).client
        client.create_registered_model("showcases-generator")
        for fingerprint in ("made for img+text", "of another workspace"):
            tags = {tracking.FINGERPRINT: fingerprint}
            client.create_model_version("showcases-generator", "file:///nowhere", run, tags=tags)
    assert execute(evaluate.STEP, workspace, config)
    return workspace


def read_csv(workspace: Workspace, name: str) -> dict[tuple[str, str], dict[str, str]]:
    text = workspace.read_bytes("report", "tables", name).decode()
    return {(row["row"], row["metric"]): row for row in csv.DictReader(io.StringIO(text))}


def test_table_3_holds_every_ranker_and_the_papers_figures(evaluated: Workspace) -> None:
    table = read_csv(evaluated, "table_3.csv")
    assert list(dict.fromkeys(row for row, _ in table)) == ["random", "most-popular", "img", "img+text"]
    assert table["random", "Prec@3"]["seeds"] == "5" and float(table["random", "Prec@3"]["std"]) >= 0
    assert table["img+text", "F1@3"]["paper_as_printed"] == "29.09"
    p, r, f1 = (float(table["img", name]["value"]) for name in ("Prec@3", "Recall@3", "F1@3"))
    assert f1 * (p + r) == pytest.approx(2 * p * r) and 0 <= p < 1


def test_the_dials_curve_is_in_the_report(evaluated: Workspace) -> None:
    curve, table = read_csv(evaluated, "theta_curve.csv"), read_csv(evaluated, "table_3.csv")
    assert len({row for row, _ in curve}) == 2 + 2 * 9  # random, most-popular; two variants
    for metric in ("F1@3", "Div@3"):
        assert curve["img+text, θ = 3 (the model's)", metric]["value"] == table["img+text", metric]["value"]
    png = evaluated.read_bytes("report", "theta_curve.png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert base64.b64encode(png).decode() in evaluated.read_bytes("report", "report.html").decode()
    assert "](theta_curve.png)" in evaluated.read_bytes("report", "report.md").decode()


def test_table_2_is_what_the_texts_give(evaluated: Workspace) -> None:
    table = read_csv(evaluated, "table_2.csv")
    assert list(dict.fromkeys(row for row, _ in table)) == ["ground truth", "text", "img+text"]
    rows = [row for row in evaluated.read_table("gest_s2").to_pylist() if row["split"] == "test" and row["photo_ids"]]
    expected = min(12, len(rows))
    assert {int(cell["n"]) for cell in table.values() if cell["value"]} == {expected}
    assert table["img+text", "BERTScore"]["note"] == "n/a (no model)"
    assert (shutil.which("java") is None) == (table["img+text", "METEOR"]["note"] == "n/a (no Java)")
    assert shutil.which("java") is None or 0 <= float(table["img+text", "METEOR"]["value"]) < 1
    assert ("ground truth", "BLEU-1") not in table or not table["ground truth", "BLEU-1"]["value"]
    assert "sacrebleu" in table["text", "BLEU-1"]["library"] and "13a" in table["text", "BLEU-1"]["tokenizer"]
    assert -1 <= float(table["text", "CLIP-Score"]["value"]) <= 1
    assert (table["img+text", "length"]["value"], table["text", "length"]["value"]) != ("0.0", "0.0")


def test_every_value_of_one_seed_has_its_interval(evaluated: Workspace) -> None:
    table, more = read_csv(evaluated, "table_2.csv"), read_csv(evaluated, "table_2_more.csv")
    ranked = [cell for (row, _), cell in read_csv(evaluated, "table_3.csv").items() if row != "random"]  # several seeds
    for cell in (*table.values(), *more.values(), *ranked):
        if cell["value"] and cell["metric"] != "Distinct-2":  # noise may be of single words
            assert float(cell["low"]) <= float(cell["value"]) <= float(cell["high"]), cell
    shares = [cell["value"] for cell in more.values() if cell["value"]]
    assert len(shares) == 3 * 4 - 1 and all(0 <= float(share) <= 1 for share in shares)
    assert float(more["ground truth", "feature coverage"]["value"]) > 0
    assert ("ground truth", "keyword coverage") not in more  # it would cover its own
    assert "bootstrap over the examples" in evaluated.read_bytes("report", "report.html").decode()


def test_differences_are_those_of_the_values(evaluated: Workspace) -> None:
    table, apart = read_csv(evaluated, "table_2.csv"), read_csv(evaluated, "table_2_differences.csv")
    for name in ("BLEU-1", "NIST", "Distinct-1", "CLIP-Align"):
        (cell,) = (cell for (_, metric), cell in apart.items() if metric == name)
        gain = float(table["img+text", name]["value"]) - float(table["text", name]["value"])
        assert abs(float(cell["value"])) == pytest.approx(abs(gain)) and 0 < float(cell["p"]) <= 1


def test_a_generator_without_photos_writes_the_same_whatever_is_shown(evaluated: Workspace) -> None:
    chosen, own = read_csv(evaluated, "photos_or_not.csv"), read_csv(evaluated, "photos_or_not_own.csv")
    table = read_csv(evaluated, "table_2.csv")
    for name in ("text", "img+text"):
        assert chosen[f"{name}, seed 0", "BLEU-1"]["value"] == table[name, "BLEU-1"]["value"]
    assert own["text, seed 0", "BLEU-1"]["value"] == chosen["text, seed 0", "BLEU-1"]["value"]
    assert own["text, seed 0", "CLIP-Score"]["value"] != chosen["text, seed 0", "CLIP-Score"]["value"]
    assert own["img+text, seed 0", "CLIP-Score"]["value"] != chosen["img+text, seed 0", "CLIP-Score"]["value"]
    metrics = evaluated.require("report").metrics
    value = float(own["img+text, seed 0", "CLIP-Align"]["value"])
    assert metrics["photos_or_not_own.img_text-seed0.CLIP-Align"] == pytest.approx(value)


def test_gallery_shows_the_selectors_photos_and_the_users_own(evaluated: Workspace) -> None:
    gallery = json.loads(evaluated.read_bytes("report", "gallery.json"))
    assert len(gallery) == 4 and len({entry["user_id"] for entry in gallery}) == 4
    photos = {row["photo_id"]: row["business_id"] for row in evaluated.read_table("photos").to_pylist()}
    reviews = {row["review_id"]: row for row in evaluated.read_table("reviews").to_pylist()}
    for entry in gallery:
        mine = reviews[f"{entry['user_id']}_{entry['business_id']}"]
        assert {photos[photo["photo_id"]] for photo in entry["photos"]} == {entry["business_id"]}
        assert {photo["photo_id"] for photo in entry["own_photos"]} <= set(mine["photo_ids"])
        assert all(photo["own"] == (photo["photo_id"] in mine["photo_ids"]) for photo in entry["photos"])
        assert entry["own_text"] == " ".join(mine["sentences"])
        assert [text["system"] for text in entry["texts"]] == ["img+text", "text"]
        for text in entry["texts"]:
            assert all(len(sentence["scores"]) == len(entry["photos"]) for sentence in text["sentences"])


def test_the_page_is_one_file_and_says_what_the_labels_are(evaluated: Workspace) -> None:
    page = evaluated.read_bytes("report", "report.html").decode()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", page) and "url(" not in page and "@import" not in page
    assert page.count("data:image/jpeg;base64,") >= 4 * 3
    for text in (page, evaluated.read_bytes("report", "report.md").decode()):
        assert "no person labelled them" in text and "ties" in text
        assert "never released" in text and "Table 2" in text and "With photos (img+text) and without (text)" in text


def test_the_gallery_lies_with_the_registered_version_that_wrote_it(evaluated: Workspace) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{evaluated.root}/mlflow.db")
    versions = {v.version: v for v in client.search_model_versions("name = 'showcases-generator'")}
    assert versions[1].tags["gallery"].endswith("/gallery") and "gallery" not in versions[2].tags
    logged = {file.path for file in client.list_artifacts(versions[1].run_id, "gallery")}
    assert logged == {"gallery/report.html", "gallery/gallery.json"}


def test_scores_lie_with_the_registered_version_and_give_the_tables_figures(evaluated: Workspace) -> None:
    from mlflow import MlflowClient, artifacts

    from showcases.evaluation.scores import Scores
    from showcases.metrics.bootstrap import whole

    client = MlflowClient(f"sqlite:///{evaluated.root}/mlflow.db")
    tags = {str(v.version): v.tags for v in client.search_model_versions("name = 'showcases-generator'")}
    assert "scores" not in tags["2"]
    scores = Scores.from_json(artifacts.load_text(f"{tags['1']['scores']}/scores.json"), "scores")
    table = read_csv(evaluated, "table_2.csv")
    for figure in ("BLEU-1", "CLIP-Align"):
        value = whole(scores.statistic(figure, scores.examples))
        assert value == pytest.approx(float(table["img+text", figure]["value"]), abs=1e-4)


def test_figures_3_and_6_are_in_the_report(evaluated: Workspace) -> None:
    for name in ("figure_3", "figure_6a", "figure_6b"):
        png = evaluated.read_bytes("report", f"{name}.png")
        assert base64.b64encode(png).decode() in evaluated.read_bytes("report", "report.html").decode()
    lengths = read_csv(evaluated, "figure_6a.csv")
    for row in ("ground truth", "img+text", "text"):
        assert sum(float(cell["value"]) for (name, _), cell in lengths.items() if name == row) == pytest.approx(1.0)
    spread = evaluated.require("gest_s1").metrics["s2"]["inter_user"]
    assert float(read_csv(evaluated, "figure_3.csv")["s2", "inter_user"]["value"]) == pytest.approx(spread)


def test_manifest_carries_the_figures(evaluated: Workspace) -> None:
    metrics = evaluated.require("report").metrics
    table = read_csv(evaluated, "table_2.csv")
    value = float(table["img+text", "CLIP-Align"]["value"])
    assert metrics["table_2.img_text.CLIP-Align"] == pytest.approx(value)
