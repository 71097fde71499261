"""Names as people write them: their natural order, and what a misspelt one may have meant."""

import re
from collections.abc import Iterable, Mapping, Sequence

_CLASSES = "classes are counted by heads.classification.classes, and named by class_names"
_IMAGE = "the images' channels, height and width are one field, image=(1, 28, 28)"
_TRAINING = "training takes {0}, as in stawm.training.train(..., **{{'{0}': ...}}) and `stawm train ... {0}=...`"
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("num_classes", "n_classes", "nclasses", "classes", "num_labels", "nb_classes"), _CLASSES),
    **dict.fromkeys(("labels", "names", "label_names", "classnames", "id2label"), _CLASSES),
    **dict.fromkeys(("in_chans", "in_channels", "channels", "num_channels", "input_channels"), _IMAGE),
    **dict.fromkeys(
        ("img_size", "image_size", "input_size", "image_shape", "input_shape", "size", "resolution"), _IMAGE
    ),
    **dict.fromkeys(("lr", "learning_rate"), _TRAINING.format("recipe.rate")),
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "max_epochs"), _TRAINING.format("recipe.epochs")),
    **dict.fromkeys(("batch_size", "batch", "bs"), _TRAINING.format("recipe.batch")),
    **dict.fromkeys(("optimizer", "optim", "opt"), _TRAINING.format("recipe.optimiser")),
    **dict.fromkeys(("wd", "weight_decay"), _TRAINING.format("recipe.weight_decay")),
    **dict.fromkeys(("drop_rate", "drop", "dropout_rate", "p_dropout"), "the rate of dropout is dropout"),
    **dict.fromkeys(("num_glimpses", "n_glimpses", "steps", "num_steps"), "how often it looks is glimpses"),
    **dict.fromkeys(("patch_size", "crop_size"), "the side of a glimpse is glimpse_size"),
    **dict.fromkeys(("hidden_dim", "d_model", "embed_dim", "hidden"), "the size of the RNNs is hidden_size"),
    **dict.fromkeys(("device", "cuda"), "a built model is moved with model.to(device)"),
    **dict.fromkeys(("checkpoint", "weights", "checkpoint_path"), "weights are given by pretrained"),
}
"""What fields are called here that other libraries know by these names."""


def called_here(name: str) -> str:
    """Say in a sentence what a field of another library's name is called here, or nothing.

    Examples:
        >>> called_here("num_classes")
        ' Here classes are counted by heads.classification.classes, and named by class_names.'
    """
    found = ELSEWHERE.get(name.rpartition(".")[2].lower().replace("-", "_"))
    return f" Here {found}." if found else ""


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key that compares the numbers in names as numbers."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", name)]


def nearest(name: str, candidates: Iterable[str], limit: int = 5) -> list[str]:
    """Return the candidates most like a name, best first.

    Case and the choice of hyphen or underscore do not count. Every candidate that is one slip of a
    character away is among them, however many there are.
    """
    reach = max(1, len(name) // 3)
    of_like_length = (c for c in candidates if abs(len(c) - len(name)) <= reach + 1)
    scored = sorted((_distance(name, c), natural_key(c), c) for c in of_like_length)
    return [c for rank, (distance, _, c) in enumerate(scored) if distance <= 1 or (rank < limit and distance <= reach)]


def edit_distance(a: str, b: str) -> int:
    """Count the insertions, deletions, substitutions and swaps of neighbours between two strings."""
    before, row = list(range(len(b) + 1)), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], earlier[j - 2] + 1)
    return row[-1]


def did_you_mean(names: Sequence[str]) -> str:
    """Phrase suggestions as a sentence, or as nothing where there are none."""
    return f" Did you mean {' or '.join(map(repr, names))}?" if names else ""


def _distance(a: str, b: str) -> int:
    pairs = {(a, b), (_plain(a), _plain(b))}
    return min(edit_distance(*pair) for pair in pairs)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
