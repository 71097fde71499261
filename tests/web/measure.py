"""Measure a site in a browser: how equal its answers on real images are to PyTorch's, and how soon they are there.

``python -m tests.web.measure SITE MODEL DATA``, say ``python -m tests.web.measure site stawm-mnist-8 mnist:ROOT``: of
100 test images the classes and the greatest gaps of logits and poses, the median time of a glimpse on the one thread of
WebAssembly, and the time until the first answer. It needs what the tests of the page need.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import torch

from stawm.models.pixels import to_unit
from stawm.storage.pretrained import find_model
from stawm.training import data
from tests.web.browser import browsing, served

IMAGES = 100
WATCH = """
    new MutationObserver(() => {
      if (document.querySelector("#bars .best, #canvas")?.className === "best") window.answered ??= performance.now();
    }).observe(document, { subtree: true, childList: true, attributes: true });
"""
"""Notes when the first answer is on the page."""
RUN = """
    const { load } = await import(new URL("assets/stawm.js", document.baseURI));
    const model = await load(`models/${given[0]}/`);
    const pixels = new Float32Array(Uint8Array.from(atob(given[1]), (sign) => sign.charCodeAt(0)).buffer);
    const size = model.about.channels * model.about.height * model.about.width;
    const found = { logits: [], poses: [], glimpse: [], ask: [] };
    for (let i = 0; i < pixels.length; i += size) {
      const looking = await model.begin(pixels.slice(i, i + size));
      while (looking.count < model.about.glimpses) {
        const start = performance.now();
        await looking.step();
        const middle = performance.now();
        await looking.ask();
        found.glimpse.push(middle - start);
        found.ask.push(performance.now() - middle);
      }
      found.logits.push([...(await looking.ask()).logits]);
      found.poses.push(looking.glimpses.map((glimpse) => [...glimpse.pose]));
    }
    return found;
"""
TIMES = """
    const files = performance.getEntriesByType("resource").filter((file) => /onnx$|bin$/.test(file.name));
    return { answered: window.answered, loaded: Math.max(...files.map((file) => file.responseEnd)) };
"""


def measure(site: Path, model: Any, name: str, images: Any) -> dict[str, Any]:
    """Return what was measured, as plain values."""
    pixels = to_unit(images)
    packed = base64.b64encode(pixels.contiguous().numpy().astype("<f4").tobytes()).decode("ascii")
    with browsing() as browser, served(site) as url:
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        opened = []
        for _ in range(5):
            browser.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
            assert browser.open(url) == "done", browser.text("status")
            opened.append(browser.run(TIMES))
        proof = browser.text("proof")
        found = browser.wait(RUN, name, packed)
    expected = model.predict(pixels)
    logits, poses = torch.tensor(found["logits"]), torch.tensor(found["poses"])
    first = sorted(one["answered"] for one in opened)
    after = sorted(one["answered"] - one["loaded"] for one in opened)
    return {
        "images": len(pixels),
        "same class": int((logits.argmax(1) == expected.logits.argmax(1)).sum()),
        "gap of logits": (logits - expected.logits).abs().max().item(),
        "gap of poses": (poses - expected.trace.pose).abs().max().item(),
        "ms a glimpse, median": torch.tensor(found["glimpse"]).median().item(),
        "ms a glimpse, least": min(found["glimpse"]),
        "ms an answer, median": torch.tensor(found["ask"]).median().item(),
        "ms from opening to the first answer, median of 5": first[2],
        "ms from opening to the first answer, least of 5": first[0],
        "ms from the last byte to the first answer, median of 5": after[2],
        "ms from the last byte to the first answer, least of 5": after[0],
        "badge": proof,
    }


def main(site: str, given: str, source: str) -> None:
    """Measure the first model of a site."""
    name = json.loads((Path(site) / "site.json").read_text(encoding="utf-8"))["models"][0]
    model = find_model(given)
    images = data.load(source, image=model.config.image).test.images[:IMAGES]
    for what, value in measure(Path(site), model, name, images).items():
        print(f"{what}: {value}")


if __name__ == "__main__":
    main(*sys.argv[1:])
