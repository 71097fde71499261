"""Run every benchmark of the CPU: ``python -m benchmarks``."""

from benchmarks import inference

inference.main()
