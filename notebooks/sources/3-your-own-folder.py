# %% [markdown]
# # Train on a folder of your own pictures
#
# A folder for each class, with its pictures in it, is all that is needed. This notebook makes such a folder of scikit-learn's
# digits; put the path of yours in its place.

# %%
import tempfile
from pathlib import Path

import sklearn.datasets
from PIL import Image

import stawm
from stawm.training import data, evaluate, train

# %%
root = Path(tempfile.mkdtemp())
names = {0: "zero", 1: "one", 4: "four", 7: "seven"}
found = sklearn.datasets.load_digits()
for number, (picture, label) in enumerate(zip(found.images, found.target, strict=True)):
    if label in names:
        folder = root / "pictures" / names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture * 15.9).astype("uint8")).resize((32, 32)).save(folder / f"{number}.png")
print(
    *(f"{folder.name}: {len(list(folder.iterdir()))} pictures" for folder in sorted((root / "pictures").iterdir())),
    sep="\n",
)

# %% [markdown]
# `folder:PATH` reads it. The names of the folders become the names of the classes; where there is no folder `test`, a part of the
# pictures is held out, here a fifth of each class.

# %%
pictures = data.load(f"folder:{root / 'pictures'}", image=(1, 16, 16), resize="squeeze", held_out=0.2)
print(len(pictures.train), "to train on,", len(pictures.test), "held out;", ", ".join(pictures.train.class_names))

# %% [markdown]
# The model takes its classes from the data, and the pictures are brought to the size that it sees. For photographs the preset `stawm-photo` is made; these are small
# and grey, so that a small model will do.

# %%
run = train(
    "stawm-digits", data=pictures, out=root / "run", seed=0, quiet=True, cpu=True, pictures=0, **{"recipe.epochs": 12}
)
print(evaluate(run.model, pictures.test))

# %%
one_of_each = [(pictures.test.labels == k).nonzero()[0].item() for k in range(4)]
pixels, labels = pictures.test.images[one_of_each] / 255, pictures.test.labels[one_of_each]
stawm.viz.looks(run.model, pixels, labels, title="Where a model looks that learned from a folder")

# %% [markdown]
# The checkpoint holds everything: weights, configuration, names of classes, and how it was trained.

# %%
again = stawm.load(run.checkpoint)
print(run.checkpoint.name, again.config.class_names, again.predict(pixels).logits.argmax(1).tolist())
