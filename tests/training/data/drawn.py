"""Pictures in files, of every kind that people have, made with Pillow or byte by byte."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

BLOCKS = np.array([[0, 100, 200], [255, 50, 150]])
GREY = np.kron(BLOCKS, np.ones((8, 8))).astype(np.uint8)
"""16x24 pixels in blocks of 8, which JPEG hardly changes; turned in any way it is another picture."""
COLOUR = np.stack([GREY, 255 - GREY, np.roll(GREY, 8, axis=1)], axis=-1)
FIGURE = GREY > 120
"""Where something is, in pictures that are transparent elsewhere."""
BINARY = (255 * FIGURE).astype(np.uint8)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Write = Callable[[Path], Any]


class Kind(NamedTuple):
    """A kind of picture: how its file is called, how it is written, and the pixels that people see."""

    name: str
    write: Write
    seen: np.ndarray
    tolerance: int = 0


def save(pixels: np.ndarray, mode: str | None = None, **options: Any) -> Write:
    image = Image.fromarray(pixels)
    image = image if mode is None else image.convert(mode)
    return lambda path: image.save(path, **options)


def renamed(write: Write, ending: str) -> Write:
    """Write a picture as of one form, under a name of another."""

    def written(path: Path) -> None:
        write(path.with_suffix(ending))
        path.with_suffix(ending).rename(path)

    return written


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, bits: int, colour: int) -> bytes:
    return struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def png(rows: list[bytes], width: int, bits: int, colour: int, *, before: bytes = b"", after: bytes = b"") -> Write:
    """A PNG byte by byte: of each row the bytes, and further chunks before and after the pixels."""
    head = chunk(b"IHDR", header(width, len(rows), bits, colour))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    file = SIGNATURE + head + before + body + after + chunk(b"IEND", b"")
    return lambda path: path.write_bytes(file)


def packed(pixels: np.ndarray, bits: int) -> list[bytes]:
    """Pixels from 0 to 255 in so many bits each."""
    levels = np.round(pixels / 255 * (2**bits - 1)).astype(np.uint8)
    single = np.unpackbits(levels[..., None], axis=-1)[..., -bits:]
    return [row.tobytes() for row in np.packbits(single.reshape(len(pixels), -1), axis=-1)]


def at_bits(pixels: np.ndarray, bits: int) -> np.ndarray:
    most = 2**bits - 1
    return (np.round(pixels / 255 * most) * (255 / most)).round().astype(np.uint8)


def tiff(pixels: np.ndarray, *, numbers: int = 1, black: int = 1) -> Write:
    """A TIFF byte by byte; `numbers` is 1 for integers without a sign, 2 with one; `black` is 1 where 0 is black."""
    planes = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = 8 * pixels.dtype.itemsize
    long, short = 4, 3
    tags = [
        *((256, long, pixels.shape[1]), (257, long, pixels.shape[0]), (259, short, 1)),
        *((262, short, black if planes == 1 else 2), (277, short, planes), (278, long, pixels.shape[0])),
        *((279, long, pixels.nbytes), (339, short, [numbers] * planes), (258, short, [bits] * planes), (273, long, -1)),
    ]
    more, begin = b"", 8 + 2 + 12 * len(tags) + 4
    entries = []
    for tag, kind, value in sorted(tags, key=lambda entry: entry[0]):
        values = value if isinstance(value, list) else [value]
        data = b"".join(struct.pack("<H" if kind == short else "<i", v) for v in values)
        if len(data) > 4:
            more, data = more + data, struct.pack("<I", begin + len(more))
        entries.append([tag, kind, len(values), data.ljust(4, b"\0")])
    for entry in entries:
        entry[3] = struct.pack("<I", begin + len(more)) if entry[0] == 273 else entry[3]
    directory = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + directory + struct.pack("<I", 0) + more
    return lambda path: path.write_bytes(head + pixels.tobytes())


def frames(**options: Any) -> Write:
    """Several frames, of which the first is empty."""
    empty, second = Image.fromarray(0 * GREY), Image.fromarray(GREY)
    return lambda path: empty.save(path, save_all=True, append_images=[second], **options)


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}
"""How a picture lies in its file, by the orientation of its EXIF."""


def turned(pixels: np.ndarray, orientation: int, **options: Any) -> Write:
    return save(np.ascontiguousarray(STORED[orientation](pixels)), exif=exif(orientation), **options)


def late(orientation: int) -> Write:
    """A PNG whose EXIF comes after the pixels, as the form allows."""
    stored = np.ascontiguousarray(STORED[orientation](GREY))
    said = chunk(b"eXIf", exif(orientation).tobytes().removeprefix(b"Exif\0\0"))
    return png(packed(stored, 8), stored.shape[1], 8, 0, after=said)


def on_nothing(level: int, mode: str) -> np.ndarray:
    """A figure of one brightness that is opaque, on what is transparent and of the same brightness."""
    plain = np.full((*GREY.shape, 3 if mode == "RGBA" else 1), level, dtype=np.uint8)
    return np.concatenate([plain, BINARY[..., None]], axis=-1)


def keyed(level: int) -> np.ndarray:
    """A figure of one brightness on a level that is said to be transparent."""
    return np.where(FIGURE, level, 7).astype(np.uint8)


def keyed_at(level: int, bits: int) -> Write:
    """A grey PNG of few bits with a level that is transparent."""
    ground = 255 - level if bits == 1 else 85
    said = chunk(b"tRNS", struct.pack(">H", round(ground / 255 * (2**bits - 1))))
    return png(packed(np.where(FIGURE, level, ground), bits), 24, bits, 0, before=said)


def with_palette(level: int) -> Write:
    image = Image.fromarray(FIGURE.astype(np.uint8)).convert("P")
    image.putpalette([level] * 6)
    return lambda path: image.save(path, transparency=bytes([0, 255]))


def seen_on_nothing(level: int) -> np.ndarray:
    """Dark figures are seen on white, light ones on black."""
    return np.where(FIGURE, level, 255 if level < 128 else 0).astype(np.uint8)


def transparent(level: int) -> list[Kind]:
    seen = seen_on_nothing(level)
    rgba, la, key = on_nothing(level, "RGBA"), on_nothing(level, "LA"), keyed(level)
    grey_alpha = Image.merge("LA", [Image.fromarray(la[..., k]) for k in range(2)])
    return [
        Kind(f"{level}.rgba.png", save(rgba), seen),
        Kind(f"{level}.la.png", lambda path: grey_alpha.save(path), seen),
        Kind(f"{level}.palette.png", with_palette(level), seen),
        Kind(f"{level}.grey-key.png", save(key, transparency=7), seen),
        Kind(f"{level}.colour-key.png", save(key, "RGB", transparency=(7, 7, 7)), seen),
        *(Kind(f"{level}.key{bits}.png", keyed_at(level, bits), seen) for bits in (1, 2, 4, 8)),
        Kind(f"{level}.key.gif", save(key, "P", transparency=7), seen),
        Kind(f"{level}.rgba.webp", save(rgba, lossless=True, exact=True), seen),
        Kind(f"{level}.rgba.tiff", save(rgba), seen),
        Kind(f"{level}.turned.png", turned(rgba, 6), seen),
    ]


LEVELS = np.round(GREY / 17).astype(int).flatten().tolist()
KINDS = [
    Kind("grey.png", save(GREY), GREY),
    Kind("colour.png", save(COLOUR), COLOUR),
    Kind("grey.jpg", save(GREY, quality=100), GREY, 2),
    Kind("colour.jpe", renamed(save(COLOUR, quality=100, subsampling=0), ".jpg"), COLOUR, 3),
    Kind("colour.jfif", renamed(save(COLOUR, quality=100, subsampling=0), ".jpg"), COLOUR, 3),
    Kind("cmyk.jpg", save(COLOUR, "CMYK", quality=100, subsampling=0), COLOUR, 3),
    Kind("cmyk.tif", save(COLOUR, "CMYK"), COLOUR),
    Kind("ycbcr.tiff", save(COLOUR, "YCbCr"), COLOUR, 3),
    Kind("palette.png", save(GREY, "P"), GREY),
    Kind("palette.gif", save(GREY, "P"), GREY),
    Kind("palette.bmp", save(GREY, "P"), GREY),
    Kind("one.png", save(BINARY, "1"), BINARY),
    Kind("one.tif", save(BINARY, "1"), BINARY),
    Kind("one.pbm", save(BINARY, "1"), BINARY),
    *(Kind(f"{bits}.png", png(packed(GREY, bits), 24, bits, 0), at_bits(GREY, bits)) for bits in (1, 2, 4, 8)),
    Kind("colour.bmp", save(COLOUR), COLOUR),
    Kind("colour.webp", save(COLOUR, lossless=True), COLOUR),
    Kind("colour.ppm", save(COLOUR), COLOUR),
    Kind("grey.pgm", save(GREY), GREY),
    Kind("own.tiff", tiff(COLOUR), COLOUR),
    Kind("white-is-zero.tiff", tiff(255 - GREY, black=0), GREY),
    Kind("fifteen.pgm", lambda path: path.write_bytes(b"P5 24 16 15\n" + bytes(LEVELS)), at_bits(GREY, 4)),
    Kind("plain.pgm", lambda path: path.write_text("P2 24 16 15 " + " ".join(map(str, LEVELS))), at_bits(GREY, 4)),
    Kind("called-otherwise.jpg", renamed(save(COLOUR), ".png"), COLOUR),
    Kind("UPPER.PNG", save(GREY), GREY),
    Kind("ünï 名字.png", save(GREY), GREY),
    Kind("opaque.png", save(np.dstack([COLOUR, 0 * GREY + 255])), COLOUR),
    *(Kind(f"turned{k}.jpg", turned(GREY, k, quality=100), GREY, 2) for k in STORED),
    *(Kind(f"turned{k}.png", turned(COLOUR, k), COLOUR) for k in STORED),
    *(Kind(f"turned{k}.tiff", turned(COLOUR, k), COLOUR) for k in STORED),
    *(Kind(f"turned{k}.webp", turned(COLOUR, k, lossless=True), COLOUR) for k in (3, 6)),
    *(Kind(f"late{k}.png", late(k), GREY) for k in (3, 6)),
    *transparent(0),
    *transparent(255),
]
"""What is read as people see it."""


def cut(write: Write) -> Write:
    """Write a picture without the end of its file."""

    def written(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    return written


def sparse(begin: bytes) -> Write:
    """A file of 8 GB that takes no room: some bytes, and nothing behind them."""

    def written(path: Path) -> None:
        with path.open("wb") as file:
            file.write(begin)
            file.truncate(2**33)

    return written


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
DEEP = "more than 8 bits a channel"
FRAMES = "more than one frame or page"
NONE = "is none of PNG, JPEG"
REFUSED: dict[str, tuple[Write, str]] = {
    "grey16.png": (save(GREY.astype(np.uint16) * 257), DEEP),
    **{
        f"deep{colour}.png": (png([bytes(24 * 2 * planes)] * 16, 24, 16, colour), DEEP)
        for colour, planes in ((0, 1), (2, 3), (4, 2), (6, 4))
    },
    "deep.pgm": (lambda path: path.write_bytes(b"P5 24 16 65535\n" + bytes(24 * 16 * 2)), DEEP),
    "deep.ppm": (lambda path: path.write_bytes(b"P6 24 16 65535\n" + bytes(24 * 16 * 6)), DEEP),
    "deep-plain.ppm": (lambda path: path.write_bytes(b"P3 1 1 300\n299 0 0\n"), DEEP),
    "float.tiff": (save(GREY.astype(np.float32) / 255), DEEP),
    "deep.tif": (tiff(COLOUR.astype(np.uint16)), DEEP),
    "deep-grey.tif": (tiff(GREY.astype(np.uint16)), DEEP),
    "signed.tif": (tiff(GREY.astype(np.int8), numbers=2), DEEP),
    "frames.gif": (frames(), FRAMES),
    "frames.webp": (frames(lossless=True), FRAMES),
    "frames.png": (frames(), FRAMES),
    "frames.apng": (renamed(frames(), ".png"), FRAMES),
    "pages.tiff": (frames(), FRAMES),
    "cut.png": (cut(save(NOISE)), "cannot be read as an image"),
    "cut.jpg": (cut(save(NOISE)), "truncated"),
    "cut.webp": (cut(save(NOISE)), "cannot be read as an image"),
    "empty.png": (lambda path: path.touch(), "it is empty"),
    "text.png": (lambda path: path.write_text("no image"), NONE),
    "pointer.png": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), NONE),
    "script.png": (lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), NONE),
    "drawing.png": (lambda path: path.write_text("<svg/>"), NONE),
    "bomb.png": (
        lambda path: path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", b"")
        ),
        "exceeds limit",
    ),
    "nothing.png": (save(np.zeros((16, 24, 4), np.uint8)), "is transparent throughout"),
    "zeros.png": (sparse(b""), "at most 268,435,456 are read"),
    "junk.jpg": (sparse(b"\xff\xd8\xff"), "at most 268,435,456 are read"),
    "pipe.png": (lambda path: os.mkfifo(path), "is a pipe"),
    "device.png": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "gone.png": (lambda path: path.symlink_to("nowhere.png"), "No such file"),
    "circle.png": (lambda path: path.symlink_to(path), "cannot be read as an image"),
}
"""What is refused, with words of the sentence that says why."""
