# %% [markdown]
# # Export, verify, eight bits, serve
#
# A trained model becomes one ONNX file that is compared with it before it appears under its name. The same file is then run where
# no PyTorch is.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import stawm
from stawm import runtime
from stawm.models.pixels import to_unit
from stawm.training import data, train

folder = Path(tempfile.mkdtemp())
digits = data.load("digits")
run = train(
    "stawm-digits",
    data=digits,
    out=folder / "run",
    seed=0,
    quiet=True,
    cpu=True,
    pictures=0,
    glimpses=2,
    **{"recipe.epochs": 10},
)
model = run.model

# %% [markdown]
# ## One file, proved equal
#
# The report says what was compared. Where anything differs by more than rounding explains, there is an error and no file.

# %%
report = stawm.export.to_onnx(model, folder / "digits.onnx")
print(report.ok, f"{report.size / 1e6:.2f} MB")

# %% [markdown]
# ## int8
#
# With weights of eight bits the file is smaller and on many processors faster. It is not equal to the model, and is not meant to be:
# it is judged by images, and refused where it does not do the same.

# %%
train_pixels, test_pixels = (model.normalise(to_unit(part.images[:])) for part in (digits.train, digits.test))
small = stawm.export.to_onnx(
    model,
    folder / "digits-int8.onnx",
    precision="int8",
    calibration=train_pixels[:256],
    images=test_pixels,
    labels=digits.test.labels,
)
print(small.ok, f"{small.size / 1e6:.2f} MB")

# %% [markdown]
# ## Run it without PyTorch
#
# `stawm.runtime` needs NumPy, ONNX Runtime and Pillow. It takes pixels and gives arrays. `trusted=True`: the file is our own.

# %%
pixels = digits.test.images[:].numpy()
sessions = {
    name: runtime.Session(folder / name, device="cpu", trusted=True) for name in ("digits.onnx", "digits-int8.onnx")
}
logits = {name: session(pixels)["logits"] for name, session in sessions.items()}
answers = {name: found.argmax(1) for name, found in logits.items()}
print(
    f"int8 gives the same class for {np.mean(answers['digits.onnx'] == answers['digits-int8.onnx']):.1%} of the images"
)

# %%
figure, axis = plt.subplots(figsize=(5, 4), layout="constrained")
for name, found in logits.items():
    confidence = np.sort(np.exp(found.max(1)))
    label = f"{name}, {(folder / name).stat().st_size / 1e6:.2f} MB, wrong on {np.mean(answers[name] != digits.test.labels.numpy()):.1%}"
    axis.plot(np.linspace(0, 1, len(confidence)), confidence, label=label)
axis.set(xlabel="share of the images", ylabel="confidence of the answer", title="In eight bits it is as sure as before")
axis.legend()
plt.show()

# %% [markdown]
# ## Serve it
#
# A session may be called from several threads, so that a threaded server needs one only.

# %%
import http.client
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


class Service(BaseHTTPRequestHandler):
    """Answers a picture with its class."""

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        picture = np.asarray(Image.open(io.BytesIO(sent)).convert("L").resize((16, 16)))
        found = sessions["digits.onnx"](picture)["logits"][0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(
            json.dumps({"class": int(found.argmax()), "confidence": round(float(np.exp(found.max())), 2)}).encode()
        )

    def log_message(self, *said):
        """Keep quiet."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
picture = io.BytesIO()
Image.fromarray(pixels[0, 0]).save(picture, "PNG")
client = http.client.HTTPConnection("127.0.0.1", server.server_port)
client.request("POST", "/", picture.getvalue())
print(json.load(client.getresponse()), "and it is a", int(digits.test.labels[0]))
client.close()
server.shutdown()
server.server_close()
