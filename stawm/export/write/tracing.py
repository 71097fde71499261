"""The call of PyTorch's exporter."""

import contextlib
import functools
import inspect
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jaxtyping
import onnx_ir as ir
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import _lazy_graph_module
from torch.fx import config as fx_config
from torch.onnx._internal.exporter._registration import ONNXRegistry

from stawm.errors import ExportError, InputError
from stawm.export.graphs.graph import Graph
from stawm.export.graphs.names import MANY
from stawm.export.write.blame import Witness, place_of_error
from stawm.export.write.passes import STRANGE, Leftover

OPSETS = (18, 26)
"""The opsets that ONNX Runtime 1.23 and later run and the exporter writes, first and last."""

CURES = {
    "shape arithmetic": "Use the batch's size only to make or shape tensors, or make them from the input, as x * 0.",
    "control flow": "Write it with tensor operations such as torch.where, and loops of a fixed length.",
    "sequences": "Use tensors in place of lists of tensors, and stack or cat them.",
    "randomness": "A graph never draws random numbers: in evaluation mode the component has to do without.",
}
"""What to do about each kind of operator that a plain graph has not."""

_WARNINGS = (
    # It says that several inputs have an axis of one name, which is what is meant.
    ("# The axis name: .* will not be used", UserWarning),
    # About the use that the exporter itself makes of what PyTorch and Python have deprecated.
    ("", DeprecationWarning),
    ("", FutureWarning),
)


def trace(graph: Graph, example: Mapping[str, Tensor], opset: int) -> ir.Model:
    """Export a graph to ONNX, with the first axis of every input and output dynamic, and sides that may be any.

    Args:
        graph: What is exported.
        example: Inputs of a batch of at least 2; a batch of 1 would be fixed, and inputs that are one
            tensor would become one input.
        opset: The ONNX opset.

    Raises:
        InputError: The opset cannot be written.
        ExportError: PyTorch cannot export the module.
    """
    first, last = OPSETS
    if not first <= opset <= last:
        raise InputError(f"opset must be from {first} to {last}; {first} is read by the most runtimes; got {opset}.")
    values = _values(graph, example)
    with quietly(), unchecked(), unguarded(), unrepeated(), untold(), uncoded(), open_lengths(graph), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph.eval(),
                values,
                dynamo=True,
                opset_version=opset,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=_shapes(graph),
                verbose=False,
            )
        except Exception as error:
            raise ExportError(unexported(error, graph, example)) from error
    assert program is not None
    if any(isinstance(value.shape[0], int) for value in program.model.graph.inputs if value.shape is not None):
        raise ExportError(fixed_batch(witness(graph, example)))
    own_outputs(program.model.graph, graph.outputs)
    return program.model


def own_outputs(graph: ir.Graph, names: Sequence[str]) -> None:
    """Give every output a value of its own: PyTorch before 2.11 gives a value that is put out twice one name.

    Args:
        graph: The graph as it was traced; it is changed.
        names: What its outputs are called, in their order.
    """
    taken = {*graph.inputs}
    for place, (value, name) in enumerate(zip(list(graph.outputs), names, strict=True)):
        if value in taken:
            node = ir.node("Identity", [value])
            graph.append(node)
            node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
            graph.outputs[place] = value = node.outputs[0]
        taken.add(value)
        value.name = name


def _values(graph: Graph, example: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    return tuple(example[name].clone() for name in graph.inputs)


def _shapes(graph: Graph) -> Any:
    # The graph is for a batch of 1 too, which the proof shows; but PyTorch 2.9 holds 1 for a case of its own.
    batch = {0: torch.export.Dim("b", min=2)}
    image = batch
    if graph.sides is not None:
        least, most = graph.sides
        image = batch | {2: torch.export.Dim("h", min=max(least, 2), max=most)}
        image |= {3: torch.export.Dim("w", min=max(least, 2), max=most)}
    many = batch | ({1: torch.export.Dim(MANY, min=2)} if graph.asked else {})
    sizes = {"image": image} | dict.fromkeys(graph.asked, many)
    return (tuple(sizes.get(name, batch) for name in graph.inputs),)


def witness(graph: Graph, example: Mapping[str, Tensor]) -> Witness:
    """Trace a graph once more, to see where its operations come from, as far as it can be traced."""
    values, seen = _values(graph, example), Witness(graph)
    with quietly(), unchecked(), open_lengths(graph), torch.no_grad(), contextlib.suppress(Exception), seen:
        torch.export.export(graph.eval(), values, dynamic_shapes=_shapes(graph), strict=False)
    return seen


def unexported(error: BaseException, graph: Graph, example: Mapping[str, Tensor]) -> str:
    """Return what a failed trace means: the component, the operation, the cause."""
    place = place_of_error(error, graph)
    while error.__cause__ is not None:
        error = error.__cause__
    cause = str(error).strip().partition("\n")[0]
    if place is None and (operation := re.search(r"aten[.:]+(\w+)", cause)):
        place = witness(graph, example).of_operation(operation[1])
    return f"PyTorch cannot export {place or 'this model'}: {type(error).__name__}: {cause}"


def fixed_batch(seen: Witness) -> str:
    """Return that the batch is fixed, and by what."""
    return (
        f"{seen.fixed or 'A component'}, makes a number of the batch's size, which would fix the batch of the graph at "
        "2. Use x.shape[0] only to make or shape tensors: no int(), no float(), no loop over the images."
    )


def unplain(left: Sequence[Leftover], graph: Graph, example: Mapping[str, Tensor]) -> str:
    """Return what a plain graph cannot have, which component it is of, and what to do."""
    seen, rows = witness(graph, example), []
    for op, origin in dict.fromkeys(left):
        place = seen.of_operation(origin) or "a component"
        rows.append(f"{origin} of {place}, needs {op}: {STRANGE[op]}. {CURES[STRANGE[op]]}")
    return "A graph is plain arithmetic on its inputs.\n" + "\n".join(rows)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the exporter's warnings about itself, and its log, from the caller."""
    names = ("torch.onnx", "torch.export", "torch.__trace", "onnxscript", "onnx_ir")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message, category in _WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=category)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Switch jaxtyping's checks off: they would compare symbolic sizes, and so fix the batch."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 11)


@contextlib.contextmanager
def unguarded(needed: bool = OLD) -> Iterator[None]:
    """Let PyTorch before 2.11 decompose a graph of several inputs.

    It traces the graph a second time for that, with a check of its inputs built in, and the check asks for them by
    names that are not there any more (``NameError: name 'L' is not defined``).
    """
    if not needed:
        yield
        return
    real = ExportedProgram.module
    ExportedProgram.module = lambda self, check_guards=False: real(self, check_guards=False)
    try:
        yield
    finally:
        ExportedProgram.module = real


@contextlib.contextmanager
def unrepeated() -> Iterator[None]:
    """Let PyTorch make its table of translations to ONNX once, and not anew for every graph.

    It parses the source of some five hundred functions for that, an eighth of the time that a small graph takes.
    """
    real = vars(ONNXRegistry)["from_torchlib"]
    ONNXRegistry.from_torchlib = staticmethod(_translations)
    try:
        yield
    finally:
        ONNXRegistry.from_torchlib = real


_translations = functools.cache(ONNXRegistry.from_torchlib)


@contextlib.contextmanager
def untold() -> Iterator[None]:
    """Keep PyTorch from noting for every operation where it was called: nothing of it is left in the file.

    That takes another eighth of the time. PyTorch before 2.11 cannot be kept from it.
    """
    before = getattr(fx_config, "do_not_emit_stack_traces", None)
    if before is not None:
        fx_config.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        if before is not None:
            fx_config.do_not_emit_stack_traces = before


def uncoded() -> contextlib.AbstractContextManager[None]:
    """Keep PyTorch from writing the source of every graph on the way, of which most never run, as its compiler does.

    That takes some 6 % of the time that a small graph takes.
    """
    return _lazy_graph_module._use_lazy_graph_module(True)


@contextlib.contextmanager
def open_lengths(graph: Graph) -> Iterator[None]:
    """Let `len` of a tensor be as open as its shape where components call it: Python's own makes a number of it."""
    known = {id(space): space for space in _namespaces(graph) if "len" not in space}
    for space in known.values():
        space["len"] = _length
    try:
        yield
    finally:
        for space in known.values():
            del space["len"]


def _length(x: Any, /) -> Any:
    is_open = isinstance(x, Tensor) and x.dim() > 0 and isinstance(x.shape[0], torch.SymInt)
    return x.shape[0] if is_open else len(x)


def _namespaces(graph: Graph) -> Iterator[dict[str, Any]]:
    """Yield the globals that the methods of a graph's components see; PyTorch's own modules are none of them."""
    classes = {cls for module in graph.modules() for cls in type(module).__mro__}
    for cls in classes:
        if cls.__module__.partition(".")[0] not in ("torch", "builtins", "abc", "typing"):
            functions = (inspect.unwrap(member) for member in vars(cls).values() if inspect.isfunction(member))
            yield from (function.__globals__ for function in functions)
