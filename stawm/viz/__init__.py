"""Pictures: where a model looked, what it saw, drew and remembered, where it erred, and how far to trust it.

Those that show a model take it with pixel values in [0, 1]. Each returns a matplotlib figure, without touching
matplotlib's global state: ``stawm.viz.looks(model, pixels).savefig("looks.png")``; `animate` returns an
animation: ``stawm.viz.animate(model, pixels).save("looks.gif")``.
"""

from importlib.util import find_spec

from stawm.lazy import explained

if find_spec("matplotlib") is None:
    raise explained(ModuleNotFoundError(name="matplotlib"))

from stawm.viz.animation import Animation as Animation
from stawm.viz.animation import animate as animate
from stawm.viz.drawings import drawings as drawings
from stawm.viz.evaluation import evaluation as evaluation
from stawm.viz.evidence import evidence as evidence
from stawm.viz.health import health as health
from stawm.viz.looks import looks as looks
from stawm.viz.memories import matrices as matrices
from stawm.viz.memories import memories as memories
from stawm.viz.mistakes import mistakes as mistakes
from stawm.viz.seen import look as look
from stawm.viz.sheet import save as save
