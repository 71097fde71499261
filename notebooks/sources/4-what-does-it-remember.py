# %% [markdown]
# # What does it remember?
#
# While a model looks, it writes into a matrix W that holds this one image. Here W is looked at, and the answer is taken apart: how
# much does each glimpse give to each class? Nothing in it is estimated.

# %%
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
