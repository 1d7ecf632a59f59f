"""Bundles: pinned versions of selector, generator, encoder and Phi, which must share one embedding space.

A bundle is promoted and rolled back as a whole, so that a new selector is never combined with an old generator.
"""

import json
from dataclasses import asdict, dataclass

from showcases.errors import ModelError

BUNDLE_FILE = "bundle.json"
SERVED_TOGETHER = "they can't be served together: run jobs.pipeline, which rebuilds what is out of date"


@dataclass(frozen=True)
class Pinned:
    """A version of a registered model."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"

    @staticmethod
    def parse(text: str) -> "Pinned":
        """Inverse of `str`."""
        return Pinned(*text.rsplit(" version ", 1))


@dataclass(frozen=True)
class BundleSpec:
    """The parts of a bundle.

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
            place: source, for the error.

        Raises:
            ModelError: invalid format.
        """
        try:
            plain = json.loads(text)
            selector, generator = Pinned(**plain.pop("selector")), Pinned(**plain.pop("generator"))
            return BundleSpec(selector, generator, **plain)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{place} is not a bundle ({error}); run jobs.promote to create one") from error

    def require_parts(self, clip: str, classifier: str, name: str) -> None:
        """
        Args:
            clip, classifier: digests of the current ones.
            name: of this bundle, for the error.

        Raises:
            ModelError: the bundle was built with others.
        """
        for part, ours, other in (("encoder", self.clip, clip), ("classifier", self.classifier, classifier)):
            if ours != other:
                raise ModelError(
                    f"{name} was built with another {part} (manifest {ours[:12]}) than the current one ({other[:12]}) "
                    "and can't be served with it: run jobs.promote to create a bundle of the current parts"
                )
