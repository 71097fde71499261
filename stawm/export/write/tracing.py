"""The call of PyTorch's exporter."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping

import jaxtyping
import onnx_ir as ir
import torch
from torch import Tensor

from stawm.errors import ExportError, InputError
from stawm.export.graphs.graph import Graph

OPSETS = (18, 26)
"""The opsets that ONNX Runtime 1.23 and later run and the exporter writes, first and last."""

_WARNINGS = (
    # It says that several inputs have an axis of one name, which is what is meant.
    ("# The axis name: .* will not be used", UserWarning),
    # About the use that the exporter itself makes of what PyTorch and Python have deprecated.
    ("", DeprecationWarning),
    ("", FutureWarning),
)


def trace(graph: Graph, example: Mapping[str, Tensor], opset: int) -> ir.Model:
    """Export a graph to ONNX, with the first axis of every input and output dynamic.

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
    values = tuple(example[name].clone() for name in graph.inputs)
    axes = {0: torch.export.Dim("b")}
    with quietly(), unchecked(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph.eval(),
                values,
                dynamo=True,
                opset_version=opset,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=((axes,) * len(values),),
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"PyTorch cannot export this model: {_cause(error)}") from error
    assert program is not None
    return program.model


def _cause(error: BaseException) -> str:
    """Return the first sentence of what began a chain of errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


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
