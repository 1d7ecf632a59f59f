"""BERTScore of a tiny random BERT against its equations in loops, one text at a time."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from showcases.compat import import_torchvision
from showcases.errors import ConfigError
from showcases.metrics.bert_score import BertScorer

import_torchvision()  # before transformers imports BERT

FOUND = ["the ramen was good", "nice view", "", "good good pizza , the view was nice", "egg"]
WANTED = ["good ramen , and the egg too", "nice view", "lovely", "pizza", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    words = sorted({word for text in FOUND + WANTED for word in text.split()})
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(names) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": 64})
    )
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=len(names), max_position_embeddings=512, **sizes)
    transformers.BertModel(config).save_pretrained(folder)
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    return folder


def literal(model, tokenizer, found: str, wanted: str, layer: int) -> float:
    """Zhang et al. 2020, section 3: best cosines, word by word; [CLS] and [SEP] are matched, not counted."""
    if not found or not wanted:
        return 0.0
    vectors = []
    for text in (found, wanted):
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            vectors.append(model(**inputs, output_hidden_states=True).hidden_states[layer][0].double())
    one, other = vectors

    def best(vector, others) -> float:
        return max(float(vector @ w / (vector.norm() * w.norm())) for w in others)

    precision = sum(best(vector, other) for vector in one[1:-1]) / (len(one) - 2)
    recall = sum(best(vector, one) for vector in other[1:-1]) / (len(other) - 2)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [None, 1])
def test_equals_the_equations_in_loops(folder: Path, layer: int | None) -> None:
    scorer = BertScorer(str(folder), layer, batch_size=2)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    assert tokenizer.unk_token_id not in tokenizer("good ramen")["input_ids"]
    number = 2 if layer is None else layer
    expected = [literal(model, tokenizer, *pair, number) for pair in zip(FOUND, WANTED, strict=True)]
    assert scorer.f1(FOUND, WANTED) == pytest.approx(expected, abs=1e-5)
    assert expected[1] == pytest.approx(1.0) and len({round(value, 4) for value in expected}) > 3
    figure = scorer(FOUND, WANTED)
    assert figure.value == pytest.approx(sum(expected) / 5, abs=1e-5) and figure.n == 5
    assert f"layer {number}" in figure.library and figure.statistic.n == 5


def test_texts_are_cut_where_the_tokenizer_names_no_limit(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "endless")
    file = tmp_path / "endless" / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": 10**30}))
    whole, cut = (BertScorer(str(tmp_path / "endless")).f1(["good ramen " * n], ["good view"]) for n in (255, 400))
    assert whole == pytest.approx(cut)  # 510 words and two marks are all that the model has places for


def test_what_can_not_be_loaded(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="layers 0 to 2"):
        BertScorer(str(folder), 3)
    with pytest.raises(ConfigError, match="bertscore_model"):
        BertScorer(str(tmp_path))
