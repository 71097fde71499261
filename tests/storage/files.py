"""Files of small models, as tests of them use them."""

import json
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, settings

from stawm.storage.file import Header, pack, read, read_header

fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def forged(data: bytes, path: Path, **fields: Any) -> Path:
    """The same file with other fields, sealed again as if it had been saved so."""
    path.write_bytes(data)
    header, found = read(path)
    changed = {f"stawm.{key}": value if isinstance(value, str) else json.dumps(value) for key, value in fields.items()}
    path.write_bytes(pack({**own_fields(header), **changed}, found))
    return path


def own_fields(header: Header) -> dict[str, str]:
    """The fields of a file, without those that are made of the rest when it is packed."""
    return {key: value for key, value in header.fields.items() if "sha256" not in key and key != "stawm.format"}


def config_of(path: Path) -> Any:
    return json.loads(read_header(path).fields["stawm.config"])


def same(a: Any, b: Any) -> bool:
    pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
    return all(x == y and s.dtype == t.dtype and torch.equal(s, t) for (x, s), (y, t) in pairs)
