"""Pictures: where a model looked, what it saw, drew and remembered, where it erred, and how far to trust it.

Those that show a model take it with pixel values in [0, 1]. Each returns a matplotlib figure, without touching
matplotlib's global state: ``stawm.viz.looks(model, pixels).savefig("looks.png")``; `animate` returns an
animation: ``stawm.viz.animate(model, pixels).save("looks.gif")``.
"""

from stawm.viz.animation import Animation, animate
from stawm.viz.drawings import drawings
from stawm.viz.evaluation import evaluation
from stawm.viz.health import health
from stawm.viz.looks import looks
from stawm.viz.memories import matrices, memories
from stawm.viz.mistakes import mistakes
from stawm.viz.seen import look

__all__ = [
    "Animation",
    "animate",
    "drawings",
    "evaluation",
    "health",
    "look",
    "looks",
    "matrices",
    "memories",
    "mistakes",
]
