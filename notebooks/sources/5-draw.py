# %% [markdown]
# # Draw what was seen
#
# A model with a drawing head asks its memory after the last glimpse, sketch by sketch, and puts each sketch on a canvas. So what it
# remembers can be looked at: it draws from memory, not from the image.

# %%
from torch.nn import functional as F

import stawm
from stawm import viz
from stawm.training import data

# %% [markdown]
# `stawm-mnist-draw-6` learned to draw MNIST's digits in 12 glimpses; its weights come with the package. These digits are of
# another set.

# %%
model = stawm.build("stawm-mnist-draw-6", pretrained=True)
test = data.load("digits").test
chosen = [(test.labels == digit).nonzero()[0].item() for digit in (3, 8)]
small = test.images[chosen] / 255
pixels = F.pad(F.interpolate(small, size=(20, 20), mode="bicubic").clamp(0, 1), (4, 4, 4, 4))

# %%
viz.drawings(model, pixels, title="Twelve glimpses, twelve sketches, one canvas")

# %% [markdown]
# The canvas after each sketch is in the output, too.

# %%
out = model.predict(pixels)
errors = (out.canvases - pixels[:, None]).square().mean(dim=(2, 3, 4))
print("canvases", tuple(out.canvases.shape), "- image, sketch, channel, height, width")
print("mean squared error after 1, 6 and 12 sketches:", [round(errors[:, k].mean().item(), 4) for k in (0, 5, 11)])

# %% [markdown]
# And what it would draw if the latents said nothing: numbers drawn at random, placed where it would place the sketches of the image
# that stands first.

# %%
viz.generated(model, pixels[:1], count=8, seed=0)
