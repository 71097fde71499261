/** Frames of glimpses: where their corners are, and the pose that looks through a frame that a person places. */

import type { About } from "./about";

/** Corners (x, y) clockwise from a glimpse's own top left, in an image that goes from -1 to 1. */
export type Corners = [number, number][];

/** A square frame: its middle and half its side in an image that goes from -1 to 1, and its turn in radians. */
export interface Frame {
  x: number;
  y: number;
  size: number;
  turn: number;
}

/** Which numbers of a frame a person may choose. */
export interface Freedom {
  size: boolean;
  turn: boolean;
}

/** Return what a person may choose of a frame beside its place, or undefined where the locator has no such frames. */
export function freedomOf({ locator, square, width, height }: About): Freedom | undefined {
  if (square && width !== height) return undefined; // its frames are squares in pixels, and these are shares of the image
  const known: Record<string, Freedom> = {
    affine: { size: true, turn: true },
    crop: { size: true, turn: false },
    retina: { size: false, turn: false },
  };
  return known[locator];
}

/** Return the pose of a frame in the numbers of a locator that has such frames. */
export function poseOf(frame: Frame, locator: string): number[] {
  const { x, y, size, turn } = frame;
  const [along, across] = [size * Math.cos(turn), size * Math.sin(turn)];
  if (locator === "affine") return [along, -across, x, across, along, y];
  return locator === "crop" ? [x, y, size] : [x, y];
}

/** Return the corners of a frame. */
export function cornersOf({ x, y, size, turn }: Frame): Corners {
  const [along, across] = [size * Math.cos(turn), size * Math.sin(turn)];
  return [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ].map(([u, v]) => [along * u! - across * v! + x, across * u! + along * v! + y]);
}

/** Return the corners of all views of a glimpse, the narrowest first: each is twice as wide as the one before. */
export function framesOf(first: Corners, views: number): Corners[] {
  const middle = [0, 1].map((axis) => first.reduce((sum, corner) => sum + corner[axis]! / first.length, 0));
  const wider = (times: number) => first.map((corner) => corner.map((at, axis) => middle[axis]! + times * (at - middle[axis]!)));
  return Array.from({ length: views }, (_, view) => wider(2 ** view) as Corners);
}
