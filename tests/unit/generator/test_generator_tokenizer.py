"""Any text comes back from the tokenizer as it was, and the same corpus gives the same tokenizer."""

import json
import random
import subprocess
import sys

import pytest

from showcases.errors import ModelError
from showcases.generator.tokenizer import END, decode, encode, learn_tokenizer, load_tokenizer

TEXTS = [
    "I love the ramen here.",
    "naïve café  with   blanks\n\tand lines ",
    "日本語の🍜と👨‍👩‍👧 emoji",
    "a . b , it 's n't",
    f"somebody writes {END} in a review",
    " \u00a0\u200b\ufeff",
    "",
]


def random_text(seed: int) -> str:
    rng = random.Random(seed)
    points = [rng.randrange(1, 0x110000) for _ in range(30)]
    return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)  # surrogates are no text


@pytest.mark.parametrize("text", TEXTS + [random_text(seed) for seed in range(20)])
def test_round_trip_of_any_text(tokenizer, text):
    ids, cut = encode(tokenizer, text, max_tokens=10_000)
    assert not cut
    assert decode(tokenizer, ids) == text
    assert tokenizer.eos_token_id not in ids  # no text can end an explanation early


def test_learned_merges_shorten_texts_of_the_corpus(tokenizer):
    assert len(encode(tokenizer, "The burger was great.", 100)[0]) < len("The burger was great.") / 2


def test_long_texts_are_cut_and_it_is_said(tokenizer):
    whole, _ = encode(tokenizer, "The burger was great.", 100)
    ids, cut = encode(tokenizer, "The burger was great.", 3)
    assert cut and ids == whole[:3]
    assert encode(tokenizer, "The burger was great.", len(whole)) == (whole, False)


def test_the_size_is_a_limit_and_all_bytes_are_always_known():
    assert len(learn_tokenizer(["ab ab ab ab"], 260)) <= 260
    tiny = learn_tokenizer(["ab ab ab ab"], 10)
    assert len(tiny) == 257
    assert decode(tiny, encode(tiny, "ß🍣", 99)[0]) == "ß🍣"


def test_the_same_corpus_gives_the_same_tokenizer_in_any_process():
    corpus = [f"The {a} {b} was {c}." for a in ["red", "big", "hot"] for b in ["soup", "pie"] for c in ["good", "bad"]]
    code = (
        "import json, sys; from showcases.generator.tokenizer import learn_tokenizer; "
        "print(learn_tokenizer(json.loads(sys.argv[1]), 320).backend_tokenizer.to_str())"
    )
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, json.dumps(corpus)]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert other == learn_tokenizer(corpus, 320).backend_tokenizer.to_str()


def test_saved_and_loaded_it_is_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(str(tmp_path))
    loaded = load_tokenizer(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert (loaded.eos_token, loaded.pad_token, loaded.eos_token_id) == (END, END, tokenizer.eos_token_id)
    for text in TEXTS:
        assert encode(loaded, text, 999) == encode(tokenizer, text, 999)


def test_a_folder_without_a_tokenizer_is_an_error_that_says_what_is_needed(tmp_path):
    with pytest.raises(ModelError, match=r"tokenizer\.json, or vocab\.json and merges\.txt"):
        load_tokenizer(tmp_path / "nothing")


def test_gpt2s_own_tokenizer(shared_data, tmp_path):
    folder = shared_data / "gpt2-tokenizer"
    if not folder.is_dir():
        pytest.skip(f"no GPT-2 tokenizer at {folder}")
    gpt2 = load_tokenizer(folder)
    assert len(gpt2) == 50257
    assert encode(gpt2, "Hello world", 10) == ([15496, 995], False)  # as in transformers' documentation
    gpt2.save_pretrained(str(tmp_path))
    saved = load_tokenizer(tmp_path)
    for text in TEXTS:
        ids, _ = encode(gpt2, text, 999)
        assert decode(gpt2, ids) == text
        assert encode(saved, text, 999)[0] == ids
