# %% [markdown]
# # What does it remember?
#
# While a model looks, it writes into a matrix W that holds this one image. Here W is looked at, and the answer is taken apart: how
# much does each glimpse give to each class? Nothing in it is estimated. Then another model is asked what it remembers.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

import stawm
from stawm import viz
from stawm.training import data

# %%
model = stawm.build("stawm-mnist-8", pretrained=True)
test = data.load("digits").test
chosen = [(test.labels == digit).nonzero()[0].item() for digit in (2, 5)]
small = test.images[chosen] / 255
pixels = F.pad(F.interpolate(small, size=(20, 20), mode="bicubic").clamp(0, 1), (4, 4, 4, 4))

# %% [markdown]
# ## W, glimpse after glimpse
#
# It is empty before an image. Each glimpse adds to it, and a little of what was there fades.

# %%
viz.memories(model, pixels[:1], title="What is in the memory after each glimpse")

# %% [markdown]
# ## Which glimpse speaks for which class
#
# What is read of the memory is a sum over what was written, so the logits are a sum over glimpses. `explain` gives the terms:
# they add up to the logits exactly, but for rounding.

# %%
found = stawm.explain(model, pixels)
logits = model.predict(pixels).logits
print("shares", tuple(found.shares.shape), "- image, glimpse, class")
print("the largest difference to the logits:", f"{(found.shares.sum(1) + found.bias - logits).abs().max().item():.1e}")

# %%
viz.evidence(found, title="Green speaks for the answer, red against it")

# %% [markdown]
# ## Would it have answered otherwise?
#
# `without` says how the logits change where one glimpse is erased from the finished memory.

# %%
for row, answer in enumerate(logits.argmax(1).tolist()):
    changed = logits[row] + found.without[row]
    kept = (changed.argmax(1) == answer).sum().item()
    print(
        f"the image that it calls {answer}: the answer stays without any single one of {kept} of {len(changed)} glimpses"
    )

# %% [markdown]
# ## Ask it afterwards
#
# A classifier asks its memory one question only. `stawm-recall` looks at four digits, and is asked afterwards which of them was where.
# These digits are enlarged to the size of the MNIST digits that it learned from.

# %%
asked = stawm.build("stawm-recall", pretrained=True)
tiles = F.pad(F.interpolate(test.images / 255, size=(26, 26), mode="bicubic").clamp(0, 1), (3, 3, 3, 3))
corners = torch.arange(400).view(100, 4) % len(tiles)
labels = test.labels[corners]
scenes = torch.cat([torch.cat([*tiles[corners[:, row]].unbind(1)], dim=3) for row in ([0, 1], [2, 3])], dim=2)

with torch.no_grad():
    first, state = asked.watch(asked.normalise(scenes), cue=[0])  # one look, and the question about the top left
    others = asked.ask(state, cue=[1, 2, 3])  # three more questions, without looking again
answers = torch.cat([first.answers, others.answers], dim=1)
wrong = (answers.argmax(2) != labels).float().mean(0)
names = asked.config.heads[0].cue_names
print("wrong in 100 scenes of these digits:")
for name, share in zip(names, wrong.tolist(), strict=True):
    print(f"{name:>12} {share:.0%}")

# %%
figure, axes = plt.subplots(2, 4, figsize=(9, 4.4), layout="constrained", height_ratios=(3, 1))
for scene, (above, below) in enumerate(axes.T):
    above.imshow(scenes[scene, 0], cmap="gray")
    above.axis("off")
    said = [f"{name}: {answer}" for name, answer in zip(names, answers[scene].argmax(1).tolist(), strict=True)]
    below.text(0.5, 1, "\n".join(said), ha="center", va="top")
    below.axis("off")
figure.suptitle("One look at each, four questions afterwards")
plt.show()

# %% [markdown]
# Where a memory is worth having, and which one, is measured in [the memories, side by side](../docs/memories.md).
