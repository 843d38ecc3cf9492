"""The catalogue of models for `voxctl models`: address, size, SHA-256 and licence of each."""

import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from voxd.config.files.access import reason_not_readable
from voxd.errors import ModelError, NotFound

# Names a file that replaces the built-in catalogue: a private mirror, or a test.
CATALOGUE_VARIABLE = "VOXD_MODEL_CATALOGUE"

_HASH_BLOCK_BYTES = 1024 * 1024


# The name has no slash and no leading dot, so no catalogue can write outside the models directory.
class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model; ``file`` is its name in the models directory."""

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=120)]
    url: Annotated[str, Meta(pattern=r"^https?://")]
    bytes: Annotated[int, Meta(gt=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class CatalogueModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model under the name the configuration uses."""

    name: str
    kind: str
    licence: str
    files: Annotated[tuple[ModelFile, ...], Meta(min_length=1)]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every known model."""

    models: tuple[CatalogueModel, ...]

    def find(self, name: str) -> CatalogueModel:
        """Return the model ``name``. Raises `NotFound`."""
        for model in self.models:
            if model.name == name:
                return model
        raise NotFound(f"no model is called {name}", hint="run `voxctl models list`")


def load_catalogue(environ: Mapping[str, str] = os.environ) -> Catalogue:
    """Return the catalogue of the package, or the one `CATALOGUE_VARIABLE` names. Raises `ModelError`."""
    named = environ.get(CATALOGUE_VARIABLE)
    try:
        if named:
            content = Path(named).read_bytes()
        else:
            content = resources.files("voxd.local").joinpath("catalogue.json").read_bytes()
        return msgspec.json.decode(content, type=Catalogue)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(
            f"the catalogue {named or 'of the package'} cannot be used: {error}",
            hint=f"correct or unset {CATALOGUE_VARIABLE}",
        ) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises `OSError`."""
    # In blocks: a model is larger than the memory of a small Pi.
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def problem_of(model: CatalogueModel, models_dir: Path) -> str:
    """Return what is wrong with the installed files of ``model``: "", "not installed" or a sentence.

    Reads every byte: seconds for a large model.
    """
    if not any(os.path.lexists(models_dir / file.file) for file in model.files):
        return "not installed"
    problems = (problem_of_file(models_dir / file.file, file) for file in model.files)
    return next(filter(None, problems), "")


def problem_of_file(path: Path, file: ModelFile) -> str:
    """Return what is wrong with ``file`` at ``path``, "" when it is there and complete."""
    if reason := reason_not_readable(path):
        return f"{file.file} {reason}"
    if path.stat().st_size != file.bytes:
        return f"{file.file} has {path.stat().st_size} bytes, not {file.bytes}"
    return "" if sha256_of(path) == file.sha256 else f"{file.file} does not match its SHA-256"


def is_installed(model: CatalogueModel, models_dir: Path) -> bool:
    """Whether all files are there with the right size."""
    # Their bytes were verified by the download; reading them again would take seconds.
    return all(
        not reason_not_readable(models_dir / file.file)
        and (models_dir / file.file).stat().st_size == file.bytes
        for file in model.files
    )
