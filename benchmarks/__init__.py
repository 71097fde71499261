"""Speed, as ratios of medians measured in one run: ``python -m benchmarks``."""
