"""What users write type-checks: the public calls are annotated as they are used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USED = """
import torch
import stawm

model = stawm.build("stawm-digits", memory="fast-weights", glimpses=4).eval()
pixels = torch.rand(2, 1, 16, 16)
out = model(model.normalise(pixels))
print(out.logits.shape, out.trace.pose.shape, model.memory.init_state(2), model.memory.config)
print(stawm.diagnose(model, pixels))
stawm.save(model, "m.safetensors")
stawm.export.to_onnx(stawm.load("m.safetensors"), "m.onnx")
onnx = stawm.export.OnnxModel("m.onnx", device="cpu")
state = model.start(2)
output, state = model.watch(model.normalise(pixels), state)
seen = model.look(pixels, 3, state=state)
context, start = model.loop.init(pixels)
answer = model.predict(pixels)
print(answer.trace, answer.values, onnx(pixels).logits)
"""


@pytest.mark.long
def test_what_the_readme_does_type_checks(tmp_path: Path):
    (tmp_path / "used.py").write_text(USED)
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)], "include": ["used.py"]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "--project", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
