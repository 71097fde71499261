# %% [markdown]
# # Build a model, and watch it look
#
# A `stawm` model sees an image through a few small glimpses. This notebook takes one that comes trained, shows it digits that it has
# never seen, and looks at what it gives.

# %%
from torch.nn import functional as F

import stawm
from stawm.training import data

# %% [markdown]
# `stawm-mnist-8` was trained on MNIST, and its weights come with the package. It takes 8 glimpses of 8x8 pixels of an image of
# 28x28.

# %%
model = stawm.build("stawm-mnist-8", pretrained=True)
print(stawm.describe("stawm-mnist-8"))

# %% [markdown]
# The digits are scikit-learn's, which are smaller: they are enlarged. Pixels are bytes or numbers in [0, 1], with the axes b (image),
# c (channel), h and w.

# %%
test = data.load("digits").test
labels = test.labels[:60]
small = test.images[:60] / 255
pixels = F.pad(F.interpolate(small, size=(20, 20), mode="bicubic").clamp(0, 1), (4, 4, 4, 4))
print(pixels.shape)

# %% [markdown]
# `predict` normalises the pixels and answers. Every field of an output has the batch first; n counts the glimpses.

# %%
out = model.predict(pixels)
print("logits", tuple(out.logits.shape), "- logarithms of the classes' probabilities")
print("poses", tuple(out.trace.pose.shape), "- where it looked")
print("glimpses", tuple(out.trace.glimpses.shape), "- what it saw there")
right = out.logits.argmax(1) == labels
print(f"right on {right.float().mean():.0%} of digits of another set than it learned from")

# %% [markdown]
# One row an image: the frames of the glimpses, each glimpse at its own few pixels with the answer that the model would give by then,
# and how likely it finds the classes.

# %%
shown = [(labels == digit).nonzero()[0].item() for digit in (2, 3, 5, 7)]
stawm.viz.looks(model, pixels[shown], labels[shown], title="Eight glimpses of four digits")

# %% [markdown]
# Is it healthy? `diagnose` measures the memory and the glimpses, and names what is out of the ordinary.

# %%
print(stawm.diagnose(model, pixels))
