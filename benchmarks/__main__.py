"""Run every benchmark of the CPU, each in a process of its own: ``python -m benchmarks``.

With ``--quick`` everything runs once, small, and nothing is written; with ``--table`` the kept results are laid
out again.
"""

import subprocess
import sys

NAMES = ("startup", "data", "scenes", "memory", "inference", "training", "scaling", "large", "profile")

if __name__ == "__main__":
    for name in NAMES:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], check=True)
