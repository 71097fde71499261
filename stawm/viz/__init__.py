"""Pictures: where a model looked, what it saw, drew and remembered.

Every function takes a model and pixel values in [0, 1] and returns a matplotlib figure, without touching
matplotlib's global state: ``stawm.viz.looks(model, pixels).savefig("looks.png")``.
"""

from stawm.viz.drawings import drawings
from stawm.viz.health import health
from stawm.viz.looks import looks
from stawm.viz.memories import matrices, memories

__all__ = ["drawings", "health", "looks", "matrices", "memories"]
