"""Models in repositories of the Hugging Face hub, and in folders of the same form.

A repository holds ``model.safetensors``, the file that `stawm.save` writes and all that loading needs;
``config.json``, the same configuration for people and tools; and a card that says how to load it.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

from stawm._version import __version__
from stawm.errors import CheckpointError, InputError, StawmError, shown
from stawm.models.model import Model
from stawm.network import hub_is_reachable, origin_of, unreachable
from stawm.storage import checkpoint
from stawm.storage.card import card
from stawm.storage.checkpoint import WEIGHTS
from stawm.storage.opening import as_path

logger = logging.getLogger(__name__)
COMMIT = re.compile(r"[0-9a-f]{40}")
REVISION = re.compile(r"[\w][\w./-]{0,200}")
OPTIONS = frozenset(("token", "cache_dir", "local_files_only", "force_download", "endpoint", "subfolder"))
"""What `from_pretrained` passes on to the hub's client."""
CONFIG = "config.json"
CARD = """---
{{ card_data }}
---

{{ body }}
"""


class HubModel(
    ModelHubMixin,
    library_name="stawm",
    tags=["stawm", "visual-attention", "fast-weights"],
    model_card_template=CARD,
):
    """A model in the hub's terms: the mixin's calls, and our own file."""

    def __init__(self, model: Model, provenance: Mapping[str, Any] | None = None) -> None:
        if not isinstance(model, Model):
            raise InputError(f"The hub takes a model that stawm.build made; got {type(model).__name__}.")
        if provenance is not None and not isinstance(provenance, Mapping):
            raise InputError(f"provenance must hold plain JSON values: it must be a mapping, got {shown(provenance)}.")
        self.wrapped, self.noted = model, dict(provenance or {})

    def _save_pretrained(self, save_directory: Path) -> None:
        checkpoint.save(self.wrapped, save_directory / WEIGHTS, provenance=self.noted)
        told = {"library": "stawm", "version": __version__, "configuration": self.wrapped.config.to_dict()}
        (save_directory / CONFIG).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def generate_model_card(self, *args: Any, repository: str = "USER/REPOSITORY", **kwargs: Any) -> ModelCard:
        """Write the card: what the model is, how to load it, what was noted with it, what to cite."""
        load = f'stawm.hub.from_pretrained("{repository}")'
        body = card(self.wrapped.config, self.noted, load)
        return super().generate_model_card(*args, body=f"{body}\nMade with stawm {__version__}.", **kwargs)


def save_pretrained(model: Model, folder: str | PathLike[str], *, provenance: Mapping[str, Any] | None = None) -> None:
    """Write a model to a folder of the form that a repository has.

    Args:
        model: The model.
        folder: Where to; it is made where it is not there.
        provenance: JSON values to keep with it, such as ``stawm.inspect(path).provenance`` of a run's checkpoint.

    Raises:
        InputError: The provenance is not JSON, or the folder cannot be written.
    """
    place = as_path(folder, "A folder")
    try:
        HubModel(model, provenance).save_pretrained(place)
    except OSError as error:
        raise InputError(f"Cannot write {folder}: {error.strerror}.") from error


def push_to_hub(model: Model, repository: str, *, provenance: Mapping[str, Any] | None = None, **options: Any) -> str:
    """Upload a model to a repository, made where it is not there, and return the address of the commit.

    Args:
        model: The model.
        repository: ``"user/name"``.
        provenance: JSON values to keep with it.
        **options: What the mixin's ``push_to_hub`` takes: ``private``, ``token``, ``branch``, ``commit_message``, ...

    Raises:
        InputError: The provenance is not JSON, or the hub refused; the message says why.
    """
    _check_repository(repository, InputError)
    try:
        return HubModel(model, provenance).push_to_hub(
            repository, model_card_kwargs={"repository": repository}, **options
        )
    except StawmError:
        raise
    except Exception as error:  # of many kinds: the network's, the hub's, of options that there are none of
        because = "" if hub_is_reachable() else f" ({unreachable()})"
        raise InputError(f"Cannot upload to {repository!r}: {_first_line(error)}{because}") from error


def from_pretrained(
    repository: str | PathLike[str], *, revision: str | None = None, sha256: str | None = None, **options: Any
) -> Model:
    """Load a model, in evaluation mode, from a repository of the hub or a folder of that form.

    Of a repository only the file of the weights is fetched. A branch, such as the usual ``main``, can move: what is
    loaded tomorrow may be another file. So the commit that was loaded is kept as ``model.loaded.revision`` and said,
    and a commit or the file's hash pins what is loaded.

    Args:
        repository: ``"user/name"``, or a folder.
        revision: A commit, tag or branch; the newest of the usual branch where left out.
        sha256: What the file must be, as in `stawm.load`.
        **options: What the hub's client takes: ``token``, ``cache_dir``, ``local_files_only``, ``force_download``, ...

    Raises:
        CheckpointError: There is no such model, it is another one than ``sha256`` says, the hub cannot be reached, or
            it cannot be loaded here; the message says what was tried.
        InputError: An argument is of no legal form.
    """
    checkpoint.checked_hash(sha256)
    folder = as_path(repository, "A repository or folder")
    if unknown := sorted(set(options) - OPTIONS):
        raise InputError(f"There is no option {unknown[0]!r}; there are {', '.join(sorted(OPTIONS))}.")
    if folder.is_dir():
        return checkpoint.load(folder / WEIGHTS, sha256=sha256)
    model = checkpoint.load(_fetched(str(repository), revision, options), sha256=sha256)
    model.loaded = replace(model.loaded, repository=str(repository))
    if sha256 is None:
        _warn(str(repository), revision, model.loaded.revision)
    return model


def download(repository: str) -> Path:
    """Fetch the weights of ``user/name`` or ``user/name@revision``, and return where they lie.

    Raises:
        CheckpointError: There are none, or the hub cannot be reached.
    """
    if not isinstance(repository, str):
        raise InputError(f"A repository is named 'user/name', or 'user/name@revision'; got {shown(repository)}.")
    name, at, revision = repository.partition("@")
    path = _fetched(name, revision if at else None, {})
    _warn(name, revision or None, origin_of(path)[1])
    return path


def _fetched(repository: str, revision: str | None, options: Mapping[str, Any]) -> Path:
    _check_repository(repository, CheckpointError)
    if revision is not None and not (isinstance(revision, str) and REVISION.fullmatch(revision)):
        raise InputError(f"A revision is the name of a branch or tag, or a commit; got {shown(revision)}.")
    local = bool(options.get("local_files_only")) or not hub_is_reachable()
    with _fetching(repository, revision, local):
        asked = {**options, "local_files_only": local}
        return Path(hf_hub_download(repo_id=repository, filename=WEIGHTS, revision=revision, **asked))


def _warn(repository: str, revision: str | None, commit: str | None) -> None:
    if commit is not None and not (revision and COMMIT.fullmatch(revision)):
        logger.warning(
            "%s: commit %s was loaded. A branch can move; %s@%s is this one for good.",
            *(repository, commit, repository, commit),
        )


def _check_repository(repository: Any, error: type[StawmError]) -> None:
    """Raise unless a repository is named as the hub names them."""
    from huggingface_hub.utils import validate_repo_id

    legal = isinstance(repository, str) and repository.count("/") == 1
    try:
        validate_repo_id(repository) if legal else None
    except HFValidationError:
        legal = False
    if not legal:
        raise error(
            f"No model at {shown(repository)}: there is no such folder here, and a repository of the Hugging Face hub "
            "is named 'user/name'."
        )


@contextmanager
def _fetching(repository: str, revision: str | None, local: bool) -> Iterator[None]:
    try:
        yield
    except (HfHubHTTPError, EntryNotFoundError, OSError, ValueError, TypeError) as error:
        version = f" at {revision!r}" if revision else ""
        because = f"nothing of it is in the cache ({_first_line(error)}), and {unreachable()}"
        said = because if local else f"it gave none ({_first_line(error)})"
        raise CheckpointError(
            f"No model at {repository!r}: there is no such folder here, and the Hugging Face hub gave no {WEIGHTS} "
            f"of a repository of that name{version}: {said}."
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:500] if lines else type(error).__name__
