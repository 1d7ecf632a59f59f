"""The errors a caller can mend. Each message says where, what was found, what is allowed, what to do next."""


class ShowcasesError(Exception):
    """Base of every error that the caller of Showcases can act on."""


class ArtifactError(ShowcasesError):
    """An artifact is missing, unfinished, or not of the form that its reader needs."""


class ObjectStoreError(ShowcasesError):
    """S3 refused or failed for good: expired credential, access denied, no bucket, wrong region, no answer."""


class CorpusError(ShowcasesError):
    """A corpus file is not in an official GEST format."""


class ConfigError(ShowcasesError):
    """A configuration is inconsistent with itself or with the data."""


class ModelError(ShowcasesError):
    """A model folder is missing, incomplete, or does not fit the embeddings it is used with."""


class CheckpointError(ShowcasesError):
    """A training checkpoint is incomplete, or of another version or model."""


class StudyError(ShowcasesError):
    """The key, the texts or the answers of a human evaluation are not of their form, or not of one study."""
