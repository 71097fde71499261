"""A graph for frameworks that map a class over batches, such as Ray Data."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from stawm.errors import InputError
from stawm.export.serve.session import OnnxModel


class Predictor:
    """Classifies batches of pictures; each worker makes its own and keeps it."""

    def __init__(self, path: str | os.PathLike[str], *, column: str = "image", **options: Any) -> None:
        """Load a graph.

        Args:
            path: What `to_onnx` wrote, where every worker can read it.
            column: The column that holds the pictures as pixels, bytes or floats in [0, 1]: (b, h, w, c) or, in grey,
                (b, h, w); where the model takes images of any size, also an array of such pictures, each of its own.
            **options: As `OnnxModel` takes them.
        """
        self.model = OnnxModel(path, **options)
        self.column = column

    def __call__(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the other columns, and label, class_name (where classes have names) and confidence.

        Raises:
            InputError: The pictures are not of the model's form, or the graph does not classify.
        """
        if self.column not in batch:
            raise InputError(f"There is no column {self.column!r}; there are {', '.join(batch)}.")
        images = batch[self.column]
        logits = self.model(list(images) if images.dtype == object else images).logits
        if logits is None:
            raise InputError("This graph gives no logits: it does not classify.")
        best = logits.max(dim=1)
        kept = {name: values for name, values in batch.items() if name != self.column}
        labels = best.indices.numpy()
        names = np.array(self.model.info.class_names)
        named = {"class_name": names[labels]} if len(names) else {}
        return {**kept, "label": labels, **named, "confidence": best.values.exp().numpy()}
