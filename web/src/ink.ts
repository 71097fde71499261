/** Strokes as the pixels that a model was trained on: centred and scaled as MNIST's digits are. */

/** A line of a pen: x, y, x, y, ... from 0 to 1, to the right and down, on a square sheet. */
export type Stroke = readonly number[];

/** The side of MNIST's digits. */
export const MNIST = 28;
/** MNIST fits a digit into 20 of 28 pixels, and puts its centre of mass into the middle of the 28. */
const BOX = 20 / MNIST;
/** Half the width of a pen's line in pixels: MNIST's lines are between two and three pixels wide. */
const HALF = 1.2;

interface Placement {
  scale: number;
  x: number;
  y: number;
}

/**
 * Return the pixels of strokes, white (1) on black (0), centred and scaled as MNIST's digits are.
 *
 * @param strokes What was drawn; how large and where on the sheet does not matter.
 * @param width The image's width in pixels.
 * @param height Its height.
 */
export function drawn(strokes: readonly Stroke[], width: number, height: number): Float32Array {
  const inked = strokes.filter((stroke) => stroke.length >= 2);
  if (!inked.length) return new Float32Array(width * height);
  const half = (HALF * Math.min(width, height)) / MNIST;
  const [x0, x1] = range(inked, 0);
  const [y0, y1] = range(inked, 1);
  const fits = [(BOX * width - 2 * half) / (x1 - x0), (BOX * height - 2 * half) / (y1 - y0)];
  const scale = Math.min(...fits.filter(Number.isFinite), 1e6);
  const place = { scale, x: width / 2 - (scale * (x0 + x1)) / 2, y: height / 2 - (scale * (y0 + y1)) / 2 };
  const [massX, massY] = centreOfMass(paint(inked, place, half, width, height), width);
  return paint(inked, { scale, x: place.x + width / 2 - massX, y: place.y + height / 2 - massY }, half, width, height);
}

/**
 * Return the pixels of strokes where they were drawn: a square sheet in the middle of the image.
 *
 * @param strokes What was drawn.
 * @param width The image's width in pixels.
 * @param height Its height.
 */
export function placed(strokes: readonly Stroke[], width: number, height: number): Float32Array {
  const scale = Math.min(width, height);
  const at = { scale, x: (width - scale) / 2, y: (height - scale) / 2 };
  return paint(strokes, at, (penOf(scale) * scale) / 2, width, height);
}

/** Return how thick a pen is, as a share of an image: in scenes of digits as thick as in the digits themselves. */
export function penOf(side: number): number {
  return (2 * HALF) / Math.max(side, MNIST);
}

/** Return the centre of mass (x, y) in pixels; the middle of the first pixel is at a half. */
export function centreOfMass(pixels: Float32Array, width: number): [number, number] {
  let mass = 0;
  let x = 0;
  let y = 0;
  pixels.forEach((value, i) => {
    mass += value;
    x += value * ((i % width) + 0.5);
    y += value * (Math.floor(i / width) + 0.5);
  });
  return mass ? [x / mass, y / mass] : [width / 2, pixels.length / width / 2];
}

function range(strokes: readonly Stroke[], axis: 0 | 1): [number, number] {
  const values = strokes.flatMap((stroke) => stroke.filter((_, i) => i % 2 === axis));
  return [Math.min(...values), Math.max(...values)];
}

/** Paint round lines; a pixel at the edge is as bright as it is covered. */
function paint(strokes: readonly Stroke[], at: Placement, half: number, width: number, height: number): Float32Array {
  const pixels = new Float32Array(width * height);
  const reach = half + 1;
  for (const stroke of strokes) {
    for (let i = 0; i + 1 < stroke.length; i += 2) {
      const next = i + 3 < stroke.length ? i + 2 : i;
      if (next === i && i > 0) break; // a stroke of one point is a dot
      const [ax, ay] = [stroke[i]! * at.scale + at.x, stroke[i + 1]! * at.scale + at.y];
      const [bx, by] = [stroke[next]! * at.scale + at.x, stroke[next + 1]! * at.scale + at.y];
      const columns = [Math.max(0, Math.floor(Math.min(ax, bx) - reach)), Math.min(width, Math.ceil(Math.max(ax, bx) + reach))];
      const rows = [Math.max(0, Math.floor(Math.min(ay, by) - reach)), Math.min(height, Math.ceil(Math.max(ay, by) + reach))];
      for (let y = rows[0]!; y < rows[1]!; y++) {
        for (let x = columns[0]!; x < columns[1]!; x++) {
          const covered = Math.min(1, half + 0.5 - distance(x + 0.5, y + 0.5, ax, ay, bx, by));
          pixels[y * width + x] = Math.max(pixels[y * width + x]!, covered);
        }
      }
    }
  }
  return pixels;
}

/** The distance of a point from the line between two others. */
function distance(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}
