"""Errors that a caller can fix. Each message says where, what was found, what is allowed, what to do next."""

from typing import ClassVar


class ShowcasesError(Exception):
    """Base of every error that the caller of Showcases can act on.

    `exit_code` is a command's exit status: 1, or a code of sysexits.h that tells a scheduler whether to retry.
    """

    exit_code: ClassVar[int] = 1


class ArtifactError(ShowcasesError):
    """An artifact is missing, unfinished, or in another format than expected."""


class ObjectStoreError(ShowcasesError):
    """A permanent S3 failure: expired credential, access denied, no bucket, wrong region, no response."""


class DiskFullError(ShowcasesError):
    """No space left: disk, quota, inodes or a limit on file size. A retry won't help."""

    exit_code = 74  # EX_IOERR


class AccessDeniedError(ShowcasesError):
    """A file or folder may not be read or written: read-only, or another user's."""

    exit_code = 77  # EX_NOPERM


class CorpusError(ShowcasesError):
    """A corpus file is not in an official GEST format."""


class ConfigError(ShowcasesError):
    """A configuration is inconsistent with itself or with the data."""


class MissingPackageError(ShowcasesError, ModuleNotFoundError):
    """An optional dependency is not installed."""


class ModelError(ShowcasesError):
    """A model folder is missing, incomplete, or incompatible with the embeddings it is used with."""


class CheckpointError(ShowcasesError):
    """A training checkpoint is incomplete, or of another version or model."""


class StudyError(ShowcasesError):
    """The key, the texts or the answers of a human evaluation are invalid, or not of one study."""


class ClaimError(ShowcasesError):
    """Another run writes the same artifact, or has taken it over from this one."""


class PhotoError(ShowcasesError):
    """Bytes that are not a photo we can use."""


class PhotoTooLargeError(PhotoError):
    """A photo with more pixels or bytes than allowed."""
