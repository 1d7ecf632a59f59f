"""The decoder's precision, from config.yaml to the predictor."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.speed.paper_size import TINY, Size, objective
from serve_apps.args import ShowcaseArgs
from serve_apps.deployments.generator import Generator
from serve_apps.rollout.models import ModelRef
from showcases.generator.config import ContrastiveConfig, Precision


@pytest.mark.parametrize("precision", get_args(Precision))
def test_the_decoder_writes_in_the_precision_of_the_config(tmp_path: Path, precision: Precision) -> None:
    objective(Size(TINY, 300), ContrastiveConfig()).generator.save_pretrained(tmp_path / "model")
    generator = object.__new__(Generator)  # without a catalog's encoder and classifier
    generator.args = ShowcaseArgs(root=str(tmp_path), precision=precision)
    generator.device = "cpu"
    predictor = generator.load(
        ModelRef("generator", "1", "champion", str(tmp_path / "model"), f"sqlite:///{tmp_path}/m")
    )
    assert predictor.decoding.precision == precision
    one, feature = np.array([1]), np.full((1, 1, 512), 512**-0.5, np.float32)
    text = predictor({"images": feature, "n_images": one, "reviews": feature, "n_reviews": one})["text"][0]
    assert text.split()


def test_the_precision_is_config_yamls_and_must_be_one() -> None:
    assert ShowcaseArgs().precision == "float32"
    with pytest.raises(ValidationError, match="precision"):
        ShowcaseArgs(precision="int4")  # type: ignore[arg-type]
