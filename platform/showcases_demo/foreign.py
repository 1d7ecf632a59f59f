"""Reviews in Spanish, French and Japanese, with the dish in the photo, as travellers leave them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from showcases_demo.menu import DISHES
from showcases_demo.model import Photo

TEMPLATES: dict[str, tuple[str, ...]] = {
    "spanish": (
        "Muy rico todo, sobre todo {dish}. El servicio fue amable y rápido. ¡Volveremos pronto!",
        "Pedimos {dish} y estaba delicioso. El lugar es muy bonito y tranquilo.",
        "La comida llegó fría y {dish} no tenía sabor. Una lástima, porque el sitio es lindo.",
    ),
    "french": (
        "Très bonne adresse, {dish} était excellent. Le service est souriant, on reviendra avec plaisir !",
        "Nous avons pris {dish} et tout était délicieux. La salle est un peu bruyante.",
    ),
    "japanese": (
        "{dish}がとても美味しかったです。店員さんも親切で、また行きたいと思います。",
        "雰囲気が良くて、{dish}も最高でした！次は家族と来ます。",
    ),
}
SCENE_WORD = {"spanish": "el menú del día", "french": "le plat du jour", "japanese": "日替わりランチ"}
ARTICLE = {"spanish": "el plato de {}", "french": "le plat de {}", "japanese": "{}"}


def foreign_text(rng: np.random.Generator, language: str, photos: Sequence[Photo]) -> str:
    """A review in the language that names the first dish photographed."""
    nouns = [DISHES[photo.subject.name].noun for photo in photos if photo.subject.kind == "dish"]
    dish = ARTICLE[language].format(nouns[0]) if nouns else SCENE_WORD[language]
    options = TEMPLATES[language]
    return options[int(rng.integers(len(options)))].format(dish=dish)
