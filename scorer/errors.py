"""What can go wrong with models and their versions.

ScorerError
├── SchemaMismatchError     a model's columns are not those it is given: names, order or kinds
├── ScoringError            a matrix, or its labels, cannot be scored or learnt from
├── ModelFileError          a model's files cannot be read
│   └── SignatureError      a checkpoint was not signed with our key, or was changed since
├── UnsupportedForestError  LightGBM itself must score a model: our walk over its trees does not know it
├── LibraryMissingError     LightGBM cannot be loaded on this machine
├── NonFiniteModelError     learning has diverged; the checkpoint is refused
├── ArtifactError           the folder of a version is incomplete or cannot be read
│   ├── HashMismatchError   a file is not the one that was registered
│   └── GoldenMismatchError the model does not reproduce the scores it had when it was written
├── TrainingRefusedError    the data would make a model that nobody should trust
├── RegistryError           the registry cannot be reached, or refuses
│   └── UnknownVersionError the registry has no such model, version or alias
└── DeploymentError         a record of a deployment cannot be read
"""


class ScorerError(Exception):
    """Base of every error of this package."""


class SchemaMismatchError(ScorerError):
    """A model's columns differ from those expected; the message names the first that does."""


class ScoringError(ScorerError):
    """A matrix has the wrong shape, or labels that do not fit it."""


class ModelFileError(ScorerError):
    """A model's files are missing or not what this version of Tidegate writes."""


class SignatureError(ModelFileError):
    """A checkpoint's signature does not match; it was not unpickled."""


class UnsupportedForestError(ScorerError):
    """A LightGBM model is none that scorer.models.forest scores with the same bits; the message says why, of "it"."""


class LibraryMissingError(ScorerError):
    """The compiled part of LightGBM cannot be loaded; the message names the package that mends it."""


class NonFiniteModelError(ScorerError):
    """A learning model has weights that are NaN or infinite; go back to an earlier checkpoint."""


class ArtifactError(ScorerError):
    """A version's folder lacks a file or has a manifest that cannot be read."""


class HashMismatchError(ArtifactError):
    """A file's SHA-256 is not the recorded one; the message names the file."""


class GoldenMismatchError(ArtifactError):
    """Golden rows score differently here than where the version was written."""


class TrainingRefusedError(ScorerError):
    """Training was refused; the message says why and what would mend it."""


class RegistryError(ScorerError):
    """The registry failed; the message names its address and the command to try."""


class UnknownVersionError(RegistryError):
    """No such model, version or alias in the registry."""


class DeploymentError(ScorerError):
    """A deployment record is not of a form that can be read."""
