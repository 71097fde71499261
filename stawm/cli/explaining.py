"""The command ``stawm explain``: which glimpses speak for which class."""

from argparse import Namespace

from stawm.cli.drawing import images_of
from stawm.cli.printing import show
from stawm.errors import InputError


def explain(args: Namespace) -> None:
    """Say, and picture where that is asked for, what each glimpse gives to the answers."""
    if bool(args.data) == bool(args.images):
        raise InputError("Give images to explain: either files, or a set with --data; not both.")
    import stawm
    from stawm.models.evidence import check_sums_up
    from stawm.storage.pretrained import find_model

    model = find_model(args.model)
    check_sums_up(model)
    found = stawm.explain(model, images_of(args, model)[0])
    if args.out is not None:
        from stawm import viz

        viz.save(viz.evidence(found), args.out)
    show(args, found)
