"""Where a model looked at an image that is too large to be shown, and what it saw there."""

from matplotlib.figure import Figure

from stawm.large.exploration import Exploration
from stawm.viz import sheet


def exploration(found: Exploration, *, title: str | None = None) -> Figure:
    """Picture what `stawm.explore` gave.

    On the left the whole image, small, with the frame of every view of every glimpse; beside it a column for each
    glimpse with its views, the narrowest on top, and under them the answer that the model would give at that moment.

    Args:
        found: What `stawm.explore` gave.
        title: A line above it all.
    """
    steps, views = found.corners.shape[:2]
    height, width = found.size
    figure, axes = sheet.panels([*[1.15] * (views - 1), 1.35], [1.6, *[1.1] * steps])
    frames = found.corners / found.corners.new_tensor([width, height]) * 2 - 1
    sheet.scene(axes[0][0], found.preview, frames[:, 0])
    preview = (found.preview.shape[1], found.preview.shape[2])
    for step in range(steps):
        ink = sheet.colour(step, steps)
        for view in range(views):
            sheet.show(axes[view][1 + step], found.glimpses[step, view])
            sheet.border(axes[view][1 + step], ink)
            if view:
                sheet.frame(axes[0][0], frames[step, view], preview, ink, width=0.5)
        if found.chances is not None:
            sheet.under(axes[-1][1 + step], found.said(step), sheet.INK)
    words = ["where it looked", *[f"glimpse {step + 1}" for step in range(steps)]]
    sheet.headings(figure, axes[0], words, [sheet.INK, *[sheet.colour(step, steps) for step in range(steps)]], title)
    return figure
