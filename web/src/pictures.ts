/** Pictures as the pixels that a model takes. */

import { centreOfMass } from "./ink";
import { StawmError } from "./errors";

/** A picture: planes of numbers from 0 to 1, one after the other. */
export interface Picture {
  planes: Float32Array[];
  width: number;
  height: number;
}

/** The size that large pictures are brought to before anything else. */
const LARGEST = 1024;
/** How bright a pixel is at least that belongs to a digit. */
const INK = 0.25;

/**
 * Read a picture from a file that a person chose.
 *
 * @throws StawmError It is no picture that this browser can read.
 */
export async function readPicture(file: Blob & { name?: string }): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new StawmError(`${file.name ?? "What was dropped"} is not a picture that this browser can read.`);
  }
  const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale))];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d")!;
  context.fillStyle = "#fff"; // what shows through is taken for paper
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const plane = (channel: number) => Float32Array.from({ length: width * height }, (_, i) => data[4 * i + channel]! / 255);
  return { planes: [plane(0), plane(1), plane(2)], width, height };
}

/** Return a picture in one plane, as bright as it appears (ITU-R BT.601). */
export function grey({ planes, width, height }: Picture): Picture {
  const [red, green, blue] = planes as [Float32Array, Float32Array, Float32Array];
  return { planes: [red.map((value, i) => 0.299 * value + 0.587 * green[i]! + 0.114 * blue[i]!)], width, height };
}

/** Cut the largest part of an aspect out of the middle, and bring it to a size. */
export function cropped(picture: Picture, width: number, height: number): Picture {
  const scale = Math.min(picture.width / width, picture.height / height);
  const [w, h] = [scale * width, scale * height];
  const box: Box = [(picture.width - w) / 2, (picture.height - h) / 2, w, h];
  return { planes: picture.planes.map((plane) => averaged(plane, picture.width, box, width, height)), width, height };
}

/**
 * Return a grey picture as a digit is: white on black, its ink in 20 of 28 pixels, its centre of mass in the middle.
 *
 * A picture of the right size is left as it is, and so is one without ink.
 */
export function asDigit(picture: Picture, width: number, height: number): Picture {
  const plane = picture.planes[0]!;
  if (picture.width === width && picture.height === height) return picture;
  const ink = inkOf(plane, picture.width);
  const at = [...ink.keys()].filter((i) => ink[i]! > INK);
  if (!at.length) return cropped(picture, width, height);
  const [columns, rows] = [at.map((i) => i % picture.width), at.map((i) => Math.floor(i / picture.width))];
  const [x0, y0] = [least(columns), least(rows)];
  const [w, h] = [most(columns) + 1 - x0, most(rows) + 1 - y0];
  const scale = Math.max((w * 28) / (20 * width), (h * 28) / (20 * height));
  const around = (x: number, y: number): Box => [x - (scale * width) / 2, y - (scale * height) / 2, scale * width, scale * height];
  const first = averaged(ink, picture.width, around(x0 + w / 2, y0 + h / 2), width, height);
  const [massX, massY] = centreOfMass(first, width);
  const middle = around(x0 + w / 2 + scale * (massX - width / 2), y0 + h / 2 + scale * (massY - height / 2));
  return { planes: [averaged(ink, picture.width, middle, width, height)], width, height };
}

/** Return how much ink there is: 0 for the ground, 1 for the strongest, whether the ground is light or dark. */
function inkOf(plane: Float32Array, width: number): Float32Array {
  const height = plane.length / width;
  const border = plane.filter((_, i) => i % width === 0 || i % width === width - 1 || i < width || i >= width * (height - 1));
  const ground = border.sort()[Math.floor(border.length / 2)]!;
  const apart = ground > 0.5 ? plane.map((value) => Math.max(0, ground - value)) : plane.map((value) => Math.max(0, value - ground));
  const strongest = most(apart);
  return strongest > 0 ? apart.map((value) => value / strongest) : apart;
}

/** x, y, width and height, in pixels. */
type Box = [number, number, number, number];

/** Return a part of a plane at another size: each pixel is the mean of what it covers, 0 beside the picture. */
export function averaged(plane: Float32Array, stride: number, [x, y, w, h]: Box, width: number, height: number): Float32Array {
  const columns = weights(x, w / width, width, stride);
  const rows = weights(y, h / height, height, plane.length / stride);
  return Float32Array.from({ length: width * height }, (_, i) => {
    let sum = 0;
    for (const [row, down] of rows[Math.floor(i / width)]!) {
      for (const [column, along] of columns[i % width]!) sum += down * along * plane[row * stride + column]!;
    }
    return sum;
  });
}

/** Return for each new pixel which old ones it covers, and what share of it each is. */
function weights(start: number, step: number, count: number, size: number): [number, number][][] {
  return Array.from({ length: count }, (_, i) => {
    const [from, to] = [start + i * step, start + (i + 1) * step];
    const covered: [number, number][] = [];
    for (let old = Math.max(0, Math.floor(from)); old < Math.min(size, to); old++) {
      covered.push([old, (Math.min(to, old + 1) - Math.max(from, old)) / step]);
    }
    return covered;
  });
}

function most(values: ArrayLike<number>): number {
  return Array.prototype.reduce.call(values, (a, b) => Math.max(a as number, b as number), -Infinity) as number;
}

function least(values: ArrayLike<number>): number {
  return Array.prototype.reduce.call(values, (a, b) => Math.min(a as number, b as number), Infinity) as number;
}
