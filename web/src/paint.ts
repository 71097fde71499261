/** Painting on canvases. */

import type { Corners } from "./frame";

/** Paint planes of numbers from 0 to 1 as a picture that fills a canvas, its pixels sharp. */
export function paintPicture(canvas: HTMLCanvasElement, pixels: Float32Array, channels: number, width: number, height: number): void {
  const plane = width * height;
  const shade = (i: number, channel: number) => 255 * (pixels[channel * plane + i] ?? 0);
  paintEach(canvas, width, height, (i) => (channels === 3 ? [shade(i, 0), shade(i, 1), shade(i, 2)] : [shade(i, 0), shade(i, 0), shade(i, 0)]));
}

/** The most fields that a matrix is shown by along each side: of larger ones each shows the strongest of a block. */
const FIELDS = 64;

/** Paint a matrix: what is above zero in one colour, what is below in another, the stronger the brighter. */
export function paintMatrix(canvas: HTMLCanvasElement, values: Float32Array, scale: number): void {
  const side = Math.round(Math.sqrt(values.length));
  const fields = Math.min(side, FIELDS);
  const strongest = new Float32Array(fields * fields);
  values.forEach((value, i) => {
    const at = Math.floor((Math.floor(i / side) * fields) / side) * fields + Math.floor(((i % side) * fields) / side);
    if (Math.abs(value) > Math.abs(strongest[at]!)) strongest[at] = value;
  });
  paintEach(canvas, fields, fields, (i) => {
    const share = Math.sqrt(Math.min(1, Math.abs(strongest[i]!) / (scale || 1)));
    return strongest[i]! >= 0 ? [255 * share, 165 * share, 90 * share * share] : [90 * share * share, 165 * share, 255 * share];
  });
}

/** Paint glimpses over a picture: the last one strong, with its wider views; those before it fainter the older they are. */
export function paintFrames(canvas: HTMLCanvasElement, glimpses: readonly { frames: readonly Corners[] }[]): void {
  const context = canvas.getContext("2d")!;
  context.strokeStyle = "#ff8a3d";
  glimpses.forEach(({ frames }, i) => {
    const last = i === glimpses.length - 1;
    for (const [view, corners] of (last ? frames : frames.slice(0, 1)).entries()) {
      outline(context, corners, canvas);
      context.globalAlpha = !last ? 0.25 + (0.35 * i) / glimpses.length : view ? 0.7 : 1;
      context.lineWidth = canvas.width / (last && !view ? 90 : 200);
      context.stroke();
    }
  });
  context.globalAlpha = 1;
}

/** Paint the frame that a person is placing, with its wider views. */
export function paintHand(canvas: HTMLCanvasElement, frames: readonly Corners[]): void {
  const context = canvas.getContext("2d")!;
  context.setLineDash([canvas.width / 40, canvas.width / 60]);
  context.strokeStyle = "#6db3ff";
  for (const [view, corners] of frames.entries()) {
    outline(context, corners, canvas);
    context.lineWidth = canvas.width / (view ? 240 : 120);
    context.stroke();
  }
  context.setLineDash([]);
}

/** Mark a place of an image that goes from -1 to 1. */
export function paintPlace(canvas: HTMLCanvasElement, [x, y]: readonly [number, number]): void {
  const context = canvas.getContext("2d")!;
  const { width, height } = canvas;
  context.strokeStyle = "#6db3ff";
  context.lineWidth = width / 120;
  context.setLineDash([width / 40, width / 60]);
  context.beginPath();
  context.arc(((x + 1) / 2) * width, ((y + 1) / 2) * height, width / 5, 0, 2 * Math.PI);
  context.stroke();
  context.setLineDash([]);
}

function outline(context: CanvasRenderingContext2D, corners: Corners, { width, height }: HTMLCanvasElement): void {
  context.beginPath();
  for (const [x, y] of corners) context.lineTo(((x + 1) / 2) * width, ((y + 1) / 2) * height);
  context.closePath();
}

function paintEach(canvas: HTMLCanvasElement, width: number, height: number, shade: (i: number) => [number, number, number]): void {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set(shade(i), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  const small = document.createElement("canvas");
  [small.width, small.height] = [width, height];
  small.getContext("2d")!.putImageData(image, 0, 0);
  const context = canvas.getContext("2d")!;
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}
