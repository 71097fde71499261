"""Models in repositories of the Hugging Face hub, and in folders of the same form.

A repository holds ``model.safetensors``, the file that `stawm.save` writes and all that loading needs;
``config.json``, the same configuration for people and tools; and a card that says how to load it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

from stawm._version import __version__
from stawm.errors import CheckpointError, InputError
from stawm.models.cite import cite
from stawm.models.model import Model
from stawm.storage import checkpoint
from stawm.storage.checkpoint import WEIGHTS

CONFIG = "config.json"
CARD = """---
{{ card_data }}
---

# {{ title }}

{{ summary }}

```python
import stawm

model = stawm.hub.from_pretrained("{{ repository }}")
out = model(model.normalise(pixels))  # pixels in [0, 1], of shape (b, {{ shape }})
```

{{ provenance }}
Cite:

```bibtex
{{ citation }}
```
"""


class HubModel(
    ModelHubMixin,
    library_name="stawm",
    tags=["stawm", "visual-attention", "fast-weights"],
    model_card_template=CARD,
):
    """A model in the hub's terms: the mixin's calls, and our own file."""

    def __init__(self, model: Model, provenance: Mapping[str, Any] | None = None) -> None:
        self.wrapped, self.noted = model, dict(provenance or {})

    def _save_pretrained(self, save_directory: Path) -> None:
        checkpoint.save(self.wrapped, save_directory / WEIGHTS, provenance=self.noted)
        told = {"library": "stawm", "version": __version__, "configuration": self.wrapped.config.to_dict()}
        (save_directory / CONFIG).write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **asked: Any) -> "HubModel":
        folder = Path(model_id)
        file = folder / WEIGHTS if folder.is_dir() else hf_hub_download(repo_id=model_id, filename=WEIGHTS, **asked)
        return cls(checkpoint.load(file), checkpoint.inspect(file).provenance)

    def generate_model_card(self, *args: Any, repository: str = "USER/REPOSITORY", **kwargs: Any) -> ModelCard:
        """Write the card: what the model is, how to load it, what was noted with it, what to cite."""
        config = self.wrapped.config
        noted = "".join(f"- {key}: {json.dumps(value)}\n" for key, value in self.noted.items())
        parts = ", ".join(head.name for head in config.heads)
        return super().generate_model_card(
            *args,
            title=config.name,
            summary=f"A model of stawm, version {__version__}, for: {parts}.",
            repository=repository,
            shape=", ".join(map(str, config.image)),
            provenance=noted and f"What was noted when it was saved:\n\n{noted}",
            citation=cite(self.wrapped),
            **kwargs,
        )


def save_pretrained(model: Model, folder: str | PathLike[str], *, provenance: Mapping[str, Any] | None = None) -> None:
    """Write a model to a folder of the form that a repository has.

    Args:
        model: The model.
        folder: Where to; it is made where it is not there.
        provenance: JSON values to keep with it, such as ``stawm.inspect(path).provenance`` of a run's checkpoint.

    Raises:
        InputError: The provenance is not JSON, or the folder cannot be written.
    """
    try:
        HubModel(model, provenance).save_pretrained(Path(folder))
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
    try:
        return HubModel(model, provenance).push_to_hub(
            repository, model_card_kwargs={"repository": repository}, **options
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"Cannot upload to {repository!r}: {_first_line(error)}") from error


def from_pretrained(repository: str | PathLike[str], *, revision: str | None = None, **options: Any) -> Model:
    """Load a model, in evaluation mode, from a repository of the hub or a folder of that form.

    Args:
        repository: ``"user/name"``, or a folder.
        revision: A branch, tag or commit; the newest where left out.
        **options: What the mixin's ``from_pretrained`` takes: ``token``, ``cache_dir``, ``local_files_only``, ...

    Raises:
        CheckpointError: There is no such model, or it cannot be loaded here; the message says what was tried.
    """
    with _fetching(str(repository), revision):
        return HubModel.from_pretrained(str(repository), revision=revision, **options).wrapped


def download(repository: str) -> Path:
    """Fetch the weights of ``user/name`` or ``user/name@revision``, and return where they lie.

    Raises:
        CheckpointError: There are none, or the hub cannot be reached.
    """
    name, _, revision = repository.partition("@")
    with _fetching(name, revision or None):
        return Path(hf_hub_download(repo_id=name, filename=WEIGHTS, revision=revision or None))


@contextmanager
def _fetching(repository: str, revision: str | None) -> Iterator[None]:
    try:
        yield
    except (HfHubHTTPError, EntryNotFoundError, OSError, ValueError) as error:
        version = f" at {revision!r}" if revision else ""
        raise CheckpointError(
            f"No model at {repository!r}: there is no such folder here, and the Hugging Face hub gave no {WEIGHTS} "
            f"of a repository of that name{version} ({_first_line(error)})"
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
