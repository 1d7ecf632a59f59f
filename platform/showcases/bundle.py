"""The parts that answer together, pinned: selector, generator, encoder and Phi only make sense in one embedding space.

A bundle is promoted and taken back as a whole, so that a new selector never meets an old generator.
"""

import json
from dataclasses import asdict, dataclass

from showcases.errors import ModelError

BUNDLE_FILE = "bundle.json"
SERVED_TOGETHER = "they can't be served together: run jobs.pipeline, which makes again what is out of date"


@dataclass(frozen=True)
class Pinned:
    """A version of a registered model."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"

    @staticmethod
    def parse(text: str) -> "Pinned":
        """Of what `str` makes of it."""
        return Pinned(*text.rsplit(" version ", 1))


@dataclass(frozen=True)
class BundleSpec:
    """What a bundle is made of.

    Attributes:
        clip: digest of the encoder's manifest.
        classifier: digest of the manifest of Phi, the classifier of (sentence, photo) pairs.
        embedding_space: `ClipEncoder.model_id`, which has a hash of the encoder's weights.
    """

    selector: Pinned
    generator: Pinned
    clip: str
    classifier: str
    embedding_space: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @staticmethod
    def from_json(text: str, place: str) -> "BundleSpec":
        """
        Args:
            place: where it was read, for the error.

        Raises:
            ModelError: it is not of this form.
        """
        try:
            plain = json.loads(text)
            selector, generator = Pinned(**plain.pop("selector")), Pinned(**plain.pop("generator"))
            return BundleSpec(selector, generator, **plain)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{place} is not a bundle ({error}); jobs.promote makes one") from error

    def require_parts(self, clip: str, classifier: str, told: str) -> None:
        """
        Args:
            clip, classifier: digests of those at hand.
            told: what this bundle is called.

        Raises:
            ModelError: it was made with others.
        """
        for part, own, other in (("encoder", self.clip, clip), ("classifier", self.classifier, classifier)):
            if own != other:
                raise ModelError(
                    f"{told} was made with another {part} (manifest {own[:12]}) than the one at hand ({other[:12]}) "
                    "and can't be served with it: run jobs.promote, which makes a bundle of what there is now"
                )
