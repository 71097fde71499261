"""Fuzzing of checkpoints: ``python -m tests.fuzz.checkpoints``, or ``make fuzz``.

With atheris installed (``pip install 'stawm[fuzz]'``), which is guided by what code a file reaches, that is used;
without it the same trials are drawn at random. Either begins with every file that ever did harm
(`tests/fuzz/corpus.py`), seals each file again after it was changed, and prints how many were tried, refused and
accepted. A file that does harm is kept in the present folder.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

try:
    atheris: Any = import_module("atheris")
except ImportError:
    atheris = None

with atheris.instrument_imports(include=["stawm"]) if atheris else nullcontext():
    import stawm
    import stawm.storage.checkpoint
    from tests.fuzz.corpus import HOSTILE
    from tests.fuzz.parts import mutated, parts, sealed
    from tests.fuzz.trial import outcome
    from tests.small import small, tiny


class FromBytes(Random):
    """Random numbers that are the bytes of a fuzzer's input, and zeros after its end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0
        super().__init__(0)

    def random(self) -> float:
        return self.getrandbits(16) / 2**16

    def getrandbits(self, k: int) -> int:
        count = (k + 7) // 8
        taken = self.data[self.place : self.place + count]
        self.place += count
        return int.from_bytes(taken, "little") % 2**k


class Trials:
    """Files that are tried, and what became of them."""

    def __init__(self, folder: Path) -> None:
        self.path, self.found = folder / "x.safetensors", Counter[str]()
        self.wholes = [self._saved(model) for model in (tiny(heads="classification"), tiny(), small("bvae-cifar"))]

    def _saved(self, model: Any) -> bytes:
        stawm.save(model, self.path, provenance={"seed": 3, "history": [{"loss": 0.5}]})
        return self.path.read_bytes()

    def corpus(self) -> None:
        """Try every file that ever did harm; each must be refused."""
        for case, make in HOSTILE.items():
            became = self.one(sealed(make(parts(self.wholes[0]))))
            if became != "refused":
                raise AssertionError(f"{case!r} was {became}")

    def one(self, data: bytes) -> str:
        """Try one file; keep it where it does harm."""
        try:
            became = outcome(data, self.path)
        except BaseException:
            kept = Path(f"harmful-{hashlib.sha256(data).hexdigest()[:12]}.safetensors")
            kept.write_bytes(data)
            print(f"kept as {kept}", file=sys.stderr)
            raise
        self.found["tried"] += 1
        self.found["refused" if became == "refused" else "accepted"] += 1
        return became

    def __str__(self) -> str:
        tried, refused, accepted = (self.found[key] for key in ("tried", "refused", "accepted"))
        return f"checkpoints: {tried:,} tried, {refused:,} refused, {accepted:,} accepted"


def main() -> None:
    """Try files for some time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random trials (default: 0)")
    parser.add_argument("--plain", action="store_true", help="draw at random, also where atheris is installed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder))
        trials.corpus()
        print(f"{trials} (files that once did harm)")
        trials.found.clear()
        if atheris and not args.plain:
            _guided(trials, args.seconds)
        else:
            _at_random(trials, args.seconds, args.seed)
            print(trials)


def _at_random(trials: Trials, seconds: float, seed: int) -> None:
    random, end = Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        trials.one(mutated(random.choice(trials.wholes), random))


def _guided(trials: Trials, seconds: float) -> None:
    """Fuzz with atheris; it ends the process itself, so that figures are printed on the way."""

    def one(data: bytes) -> None:
        random = FromBytes(data)
        trials.one(mutated(random.choice(trials.wholes), random))
        if trials.found["tried"] % 100 == 0:
            print(trials, flush=True)

    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}", "-max_len=512"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
