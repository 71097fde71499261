/** Where an image comes from: strokes, a test image, a picture; and the pixels that it is for a model. */

import type { About } from "./about";
import { MNIST, type Stroke, drawn, placed } from "./ink";
import { type Picture, asDigit, cropped, grey } from "./pictures";

export type Source = { strokes: Stroke[] } | { sample: number } | { picture: Picture };

/** Whether a model takes single digits, as MNIST's are: what is drawn is then brought to that form at first. */
export function takesDigits({ channels, width, height, classes, questions }: About): boolean {
  return channels === 1 && !questions && Math.max(width, height) < 2 * MNIST && classes.every((name) => /^\d$/.test(name));
}

/**
 * Return the pixels of a source as a model takes them, or undefined where the model has no such image.
 *
 * @param source Where the image comes from.
 * @param about What is known of the model.
 * @param digits Whether drawings and pictures are cut out, scaled and centred as MNIST's digits are.
 */
export function pixelsOf(source: Source, about: About, digits: boolean): Float32Array | undefined {
  const { channels, width, height } = about;
  if ("sample" in source) return about.samples[source.sample]?.pixels;
  if ("strokes" in source) return joined(Array(channels).fill((digits ? drawn : placed)(source.strokes, width, height)));
  if (channels === 3) return joined(cropped(source.picture, width, height).planes);
  const plain = grey(source.picture);
  return joined((digits ? asDigit : cropped)(plain, width, height).planes);
}

function joined(planes: Float32Array[]): Float32Array {
  const all = new Float32Array(planes.length * planes[0]!.length);
  planes.forEach((plane, i) => all.set(plane, i * plane.length));
  return all;
}
