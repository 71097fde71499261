"""DRAW: two RNNs, of which one reads an image patch by patch and the other one draws it (Gregor et al. 2015)."""

from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from stawm.core import draw
from stawm.core.latent import reparameterise
from stawm.errors import ConfigError, InputError
from stawm.heads import noise as noises
from stawm.heads.base import Targets
from stawm.heads.classification import ClassificationHead, Classifier, classification_losses, early_losses
from stawm.heads.config import called
from stawm.heads.drawing import DrawingHead, drawing_losses
from stawm.heads.losses import weighed
from stawm.heads.noise import Shapes
from stawm.heads.output import Latent, Noise, Output, Trace
from stawm.models.draw_config import DrawConfig
from stawm.models.draw_parts import Painter, Reader
from stawm.models.model import Model, checked_count
from stawm.nn.glimpse_loop import stack_fields
from stawm.nn.precision import full_precision, of_weights
from stawm.nn.recurrent import LSTMCell


class State(NamedTuple):
    """What is carried from glimpse to glimpse; a cell that is None is zero.

    Attributes:
        canvas: The canvas before its sigmoid; None in a model that does not draw.
        encoder_h: The output of the RNN that reads.
        encoder_c: Its cell.
        decoder_h: The output of the RNN that draws, which says where to read; without it, the one that reads says so.
        decoder_c: Its cell.
    """

    canvas: Float[Tensor, "b c h w"] | None
    encoder_h: Float[Tensor, "b d"]
    encoder_c: Float[Tensor, "b d"] | None = None
    decoder_h: Float[Tensor, "b d"] | None = None
    decoder_c: Float[Tensor, "b d"] | None = None


class Step(NamedTuple):
    """What happened at one glimpse, or, with an axis n after the batch, at all; None is what a model does not do.

    Attributes:
        pose: Where it read.
        inverse_pose: Where it wrote.
        glimpse: What it read of the image.
        encoder_h: What the RNN made of it.
        mu: The mean of the latent.
        logvar: The logarithm of its variance; the paper's W h gives log σ, which is half of it.
        sketch: w, what it wrote.
        canvas: The canvas after that, before its sigmoid.
    """

    pose: Float[Tensor, "*bn p"] | None
    inverse_pose: Float[Tensor, "*bn p"] | None
    glimpse: Float[Tensor, "*bn vc g g2"]
    encoder_h: Float[Tensor, "*bn d"]
    mu: Float[Tensor, "*bn k"] | None = None
    logvar: Float[Tensor, "*bn k"] | None = None
    sketch: Float[Tensor, "*bn c s s2"] | None = None
    canvas: Float[Tensor, "*bn c h w"] | None = None


class Draw(Model):
    """The Deep Recurrent Attentive Writer, and its reader alone as a classifier.

    With the head ``drawing`` it reads the image and what the canvas lacks of it, and draws from a latent. With the head
    ``classification`` the last state of the RNN that reads is classified; with that head alone there is no canvas,
    no latent and no second RNN: the paper's differentiable RAM.

    Attributes:
        config: The complete configuration.
        reader: Where it reads, and what.
        painter: The latent, the RNN that draws, and how it writes; None in a model that does not draw.
        heads: The classifier, where there is one.

    Examples:
        >>> import stawm, torch
        >>> model = stawm.build("draw-mnist", seed=0, glimpses=3).eval()
        >>> output = model(torch.rand(2, 1, 28, 28).round())
        >>> output.canvas.shape, output.trace.pose.shape, output.latent.mu.shape
        (torch.Size([2, 1, 28, 28]), torch.Size([2, 3, 5]), torch.Size([2, 3, 100]))
        >>> model.generate(torch.randn(4, 3, 100)).shape
        torch.Size([4, 1, 28, 28])
    """

    def __init__(self, config: DrawConfig) -> None:
        """Build the parts that the configuration names.

        Raises:
            ConfigError: All that cannot be built at these sizes, or is not of this family.
            UnknownNameError: The one fault is a component that is not registered.
        """
        super().__init__(config)
        self.config: DrawConfig = config
        others = [called(head) for head in config.heads if called(head) not in ("classification", "drawing")]
        if others:
            raise ConfigError(
                [f"A DRAW model has the heads 'classification' and 'drawing', each once; got {', '.join(others)}."]
            )
        self.reader = Reader(config)
        hidden = config.hidden_size
        self.encoder = LSTMCell(self.reader.features + (hidden if config.draws else 0), hidden)
        self.encoder_start = nn.Parameter(torch.zeros(hidden))
        self.painter = Painter(config) if config.draws else None
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.ModuleDict()
        if config.classes is not None:
            self.heads["classification"] = Classifier(hidden, config.classes)

    @property
    def locator(self) -> Any:
        """How a pose takes a glimpse; None without attention."""
        return self.reader.locator

    @property
    def placer(self) -> Any:
        """How a sketch is placed; None without attention, or in a model that does not draw."""
        return None if self.painter is None else self.painter.locator

    @property
    def learns_early(self) -> bool:
        """Whether the answers after every glimpse are learned from, at present."""
        head: ClassificationHead.Config | None = self.config.head("classification")
        return self.training and head is not None and head.early > 0

    def forward(
        self,
        images: Float[Tensor, "b c h w"],
        *,
        glimpses: int | None = None,
        glimpse_logits: bool = False,
        sample: bool | None = None,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
        pose_clip: float | None = None,
    ) -> Output:
        """Read images glimpse by glimpse; draw them or classify them.

        Args:
            images: The images, normalised with the configuration's mean and std.
            glimpses: How many glimpses to take; the configuration's number where left out.
            glimpse_logits: Whether to classify after every glimpse too.
            sample: Whether latents are drawn; while training only, where left out. Their means are taken otherwise.
            noise: The random numbers; whatever of them is given is used, sampling or not.
            generator: Where random numbers that are not given come from.
            pose_clip: The largest norm that the gradient of a pose may have, image by image; any where left out.

        Raises:
            InputError: The images or the noise are not of the model's form, or there are no glimpses.
        """
        self.check_images(images)
        n = checked_count(self.config.glimpses if glimpses is None else glimpses)
        sampled = self.training if sample is None else sample
        drawn = noises.settle(noise, self.noise_shapes(n), images, generator, draw=sampled)
        return self.unroll(images, n, drawn, every=glimpse_logits, pose_clip=pose_clip)

    def unroll(
        self,
        images: Float[Tensor, "b c h w"],
        glimpses: int | None,
        noise: Noise,
        *,
        every: bool = False,
        pose_clip: float | None = None,
    ) -> Output:
        """Do what a call does with the noise that is given, and nothing else random.

        Args:
            images: As for a call.
            glimpses: n; the configuration's number where None.
            noise: The random numbers; the latents' means are taken without.
            every: Whether to classify after every glimpse too.
            pose_clip: As for a call.
        """
        n = self.config.glimpses if glimpses is None else glimpses
        with of_weights(self.encoder.weight_ih, images):
            return self._answer(self._walk(images, n, noise.latent, pose_clip), every or self.learns_early)

    def _walk(
        self, images: Float[Tensor, "b c h w"], n: int, latent: Float[Tensor, "b n k"] | None, pose_clip: float | None
    ) -> Step:
        images, state = full_precision(images), self.start(len(images))
        steps: list[Step] = []
        for t in range(n):
            state, step = self.step(images, state, None if latent is None else latent[:, t], pose_clip)
            steps.append(step)
        return stack_fields(steps)

    def start(self, batch: int) -> State:
        """Return the state before anything is read: the empty canvas, and what the RNNs start with."""
        begun = None if self.painter is None else self.painter.start(batch)
        canvas, decoder_h = (None, None) if begun is None else begun
        return State(canvas, full_precision(self.encoder_start).expand(batch, -1), decoder_h=decoder_h)

    def step(
        self,
        images: Float[Tensor, "b c h w"],
        state: State,
        latent: Float[Tensor, "b k"] | None = None,
        pose_clip: float | None = None,
    ) -> tuple[State, Step]:
        """Read once, and write once in a model that draws.

        Args:
            images: The images.
            state: What `start` or the last step gave.
            latent: The standard normal numbers that the latent is drawn with; its mean is taken where left out.
            pose_clip: The largest norm that the gradient of a pose may have.
        """
        painter, canvas = self.painter, state.canvas
        guide = state.encoder_h if state.decoder_h is None else state.decoder_h
        whole = images if canvas is None else draw.seen(images, canvas)
        pose, glimpse, features = self.reader(whole, guide, pose_clip)
        given = features if painter is None else torch.cat([features, guide.to(features.dtype)], dim=1)
        h, c = self.encoder(given, state.encoder_h, state.encoder_c)
        if painter is None or canvas is None:
            return State(None, h, c), Step(pose, None, glimpse, h)
        mu, logvar = painter.latent(h)
        z = mu if latent is None else reparameterise(mu, logvar, latent)
        decoder_h, decoder_c = painter.decoder(z, state.decoder_h, state.decoder_c)
        place, sketch, canvas = painter.write(canvas, decoder_h, pose_clip)
        seen = glimpse if self.locator is None else _of_image(glimpse, self.locator.views)
        return State(canvas, h, c, decoder_h, decoder_c), Step(pose, place, seen, h, mu, logvar, sketch, canvas)

    def _answer(self, steps: Step, every: bool) -> Output:
        fields: dict[str, Any] = {}
        if self.config.classifies:
            classify = self.heads["classification"]
            if every:
                fields["glimpse_logits"] = classify(self.dropout(steps.encoder_h))
            fields["logits"] = (
                fields["glimpse_logits"][:, -1] if every else classify(self.dropout(steps.encoder_h[:, -1]))
            )
        if steps.canvas is not None and steps.mu is not None and steps.logvar is not None:
            pictures = steps.canvas.sigmoid()
            fields |= {"canvas": pictures[:, -1], "canvases": pictures, "sketches": steps.sketch}
            fields |= {"latent": Latent(steps.mu, steps.logvar), "canvas_logits": steps.canvas[:, -1]}
        if steps.pose is not None:
            fields["trace"] = Trace(steps.pose, steps.inverse_pose, steps.glimpse, None)
        return Output.of(fields)

    def generate(self, z: Float[Tensor, "b n k"]) -> Float[Tensor, "b c h w"]:
        """Draw pictures from latents alone, such as standard normal numbers, which are those of the prior.

        Args:
            z: The latents of n steps.

        Raises:
            InputError: The model does not draw, or the latents are not of its form.
        """
        painter, k = self.painter, getattr(self.config.head("drawing"), "latent", 0)
        if painter is None:
            raise InputError(f"{self.config.name} does not draw, so there is no latent to draw from.")
        if z.ndim != 3 or z.shape[2] != k or not z.shape[1]:
            raise InputError(f"Latents of {self.config.name} are of shape (b, n, {k}); got {tuple(z.shape)}.")
        with of_weights(self.encoder.weight_ih, z):
            canvas, h = painter.start(len(z))
            c = None
            for latent in z.unbind(1):
                h, c = painter.decoder(latent, h, c)
                canvas = painter.write(canvas, h)[2]
        return canvas.sigmoid()

    def noise_shapes(self, glimpses: int) -> Shapes:
        """Return the shape, without the batch, of the latents' noise; a model that does not draw takes none."""
        return {"latent": (glimpses, self.config.head("drawing").latent)} if self.config.draws else {}

    def loss_parts(
        self, output: Output, pixels: Float[Tensor, "b c h w"] | None, labels: Targets | None
    ) -> dict[str, Tensor]:
        """Return the parts of the loss of every head, each by its weight."""
        parts: dict[str, Tensor] = {}
        for head in self.config.heads:
            if isinstance(head, ClassificationHead.Config):
                targets: Any = labels.get("classification") if isinstance(labels, dict) else labels
                losses = classification_losses(head, output, targets) | early_losses(head, output, targets)
                parts |= weighed(losses, head)
            elif isinstance(head, DrawingHead.Config):
                parts |= weighed(drawing_losses(head, output, pixels), head)
        return parts


def _of_image(glimpse: Float[Tensor, "b vc2 g g2"], views: int) -> Float[Tensor, "b vc g g2"]:
    """Return what was read of the image itself: of each view the first half of the channels."""
    halves = rearrange(glimpse, "b (v two c) g h -> two b v c g h", v=views, two=2)
    return halves[0].flatten(1, 2)
