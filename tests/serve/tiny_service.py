"""A whole workspace in seconds: a tiny corpus, real models with random weights, a real registry, a real catalog."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from jobs import publish
from jobs.runner.config import CorpusConfig, PipelineConfig
from jobs.runner.execute import execute
from jobs.tracking import tracker as tracking
from showcases.clip import ClipEncoder
from showcases.clip import model as clip_model
from showcases.clip.config import TrainClipConfig
from showcases.clip.embed import EmbedBatch
from showcases.distillation import PairClassifier
from showcases.generator import Generator, GeneratorConfig
from showcases.generator.tokenizer import learn_tokenizer
from showcases.gest.config import IngestConfig
from showcases.gest.photos.fetch import fetch_unit
from showcases.gest.photos.sources import Files
from showcases.gest.reading.official import read_raw
from showcases.selector import Selector, SelectorConfig
from showcases.storage.artifacts import Workspace, variant_folder
from showcases.storage.embeddings import EmbeddingTable
from tests.artifacts import finish, put

DIM = 16
SAID = "The soup was lovely. We would go again!"  # what the tiny generator says of everything
_made: dict[Path, Workspace] = {}


def shared_workspace(root: Path, corpus: Path) -> Workspace:
    """The workspace that all tests of one session share; made at the first call."""
    if corpus not in _made:
        _made[corpus] = make_workspace(root, corpus)
    return _made[corpus]


def make_workspace(root: Path, corpus: Path) -> Workspace:
    """All that serving reads, from a folder with image_review_all.json and photos/; nothing is trained."""
    torch.manual_seed(0)
    workspace = Workspace(str(root))
    config = PipelineConfig(root=str(root), corpus=CorpusConfig(str(corpus / "image_review_all.json")))
    rows = read_raw(corpus / "image_review_all.json", IngestConfig(), seed=0)
    source = Files(str(corpus / "photos"), 10**7)
    photos, _ = source.located(rows.photos.select(["photo_id", "url"]))
    unit = fetch_unit(source, photos, max_side=256, max_pixels=10**7)
    images = unit.table([name for _, name in unit.contents])
    for name, table in (("reviews", rows.reviews), ("photos", rows.photos), ("images", images)):
        put(workspace, name, table)
    encoder = _encoder(workspace)
    _embed(workspace, rows.reviews, images)
    _classifier(workspace, encoder.model_id).save_pretrained(root / "classifier")
    finish(workspace, "classifier")
    register_pair(config, encoder.model_id, rows.reviews["text"].to_pylist())
    execute(publish.STEP, workspace, config)
    return workspace


def register_pair(
    config: PipelineConfig, space: str, texts: list[str], prefix: str = "showcases", said: str = SAID
) -> None:
    """Save a selector and a generator with random weights and register both, as champions if they are the first."""
    root = Path(config.root)
    selector = Selector(SelectorConfig(hidden_dims=(16,), out_dim=8), "img+text", DIM, DIM, space)
    small = GeneratorConfig(n_layer=1, n_head=2, n_embd=32, mma_layers=1, mma_heads=2, max_tokens=24)
    generator = Generator(small, learn_tokenizer([*texts, said], 400), DIM, DIM, "img+text", space)
    _teach(generator, said)
    for name, model in (("selector", selector), ("generator", generator)):
        folder = root / name / variant_folder(f"{prefix}-img+text", 0)
        model.save_pretrained(folder)
        with tracking.step_run(f"train_{name}", config, {}, None) as tracker:
            tags = {"embedding_space": space, "validation_data": "tiny"}
            asked = tracking.Registration(f"{prefix}-{name}", "accuracy", 0.5, True, tags)
            tracking.register(tracker, folder, asked)


def _teach(generator: Generator, text: str) -> None:
    """Fit one text, so that something is said: random weights may well stay silent."""
    end = generator.tokenizer.eos_token_id
    tokens = torch.tensor([[end, *generator.tokenizer.encode(text), end]])
    images, reviews, seen = torch.randn(1, 3, DIM), torch.randn(1, 2, DIM), torch.ones(1, 3, dtype=torch.bool)
    optimizer = torch.optim.AdamW(generator.parameters(), lr=1e-2)
    generator.train()
    for _ in range(60):
        logits = generator(images, seen, reviews, seen[:, :2], tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits[0], tokens[0, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    generator.eval()


def _encoder(workspace: Workspace) -> ClipEncoder:
    small = TrainClipConfig(image_size=32, embed_dim=DIM, width=8, text_width=32, text_layers=1)
    config = clip_model.small_config(small)
    folder = Path(workspace.path("clip"))
    clip_model.save(clip_model.build(config), config, folder)
    finish(workspace, "clip")
    return ClipEncoder.from_pretrained(folder)


def _classifier(workspace: Workspace, space: str) -> PairClassifier:
    """Random, but decided: about half of the photos match a sentence, which half is mostly the photo's doing."""
    images = EmbeddingTable.read(workspace, "image_embeddings").vectors.astype(np.float32)
    sentences = EmbeddingTable.read(workspace, "sentence_embeddings").vectors.astype(np.float32)
    classifier = PairClassifier(DIM, "interaction", 0.5, space)
    with torch.no_grad():
        weight = classifier.layer.weight  # (1, 3 * DIM): photo, sentence, product
        weight[:, :DIM].normal_()
        weight[:, 2 * DIM :].normal_(std=0.1)
        pairs = torch.from_numpy(np.repeat(sentences[:20], len(images), 0)), torch.from_numpy(np.tile(images, (20, 1)))
        logits = classifier(*pairs)
        weight *= 3 / logits.std()
        classifier.layer.bias -= classifier(*pairs).median()
    return classifier


def _embed(workspace: Workspace, reviews: pa.Table, images: pa.Table) -> None:
    embed = EmbedBatch(workspace.root, "cpu", "float32")
    said = {
        f"{review}:{number}": sentence
        for review, sentences in zip(reviews["review_id"].to_pylist(), reviews["sentences"].to_pylist(), strict=True)
        for number, sentence in enumerate(sentences)
    }
    good = images.filter(pa.compute.equal(images["status"], "ok"))
    photos = {"id": np.array(good["photo_id"].to_pylist()), "bytes": np.array(good["bytes"].to_pylist(), dtype=object)}
    put(workspace, "image_embeddings", embed(photos))
    texts = {"id": np.array(list(said)), "text": np.array(list(said.values()))}
    put(workspace, "sentence_embeddings", embed(texts))
