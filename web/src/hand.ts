/** A frame that a person places, and the pose that takes the glimpse in it. */

/** A square frame: its middle and half its side in an image that goes from -1 to 1, and its turn in radians. */
export interface Frame {
  x: number;
  y: number;
  size: number;
  turn: number;
}

/** Return the pose of a frame in a locator's numbers, or undefined where the locator has no such frames. */
export function poseOf(frame: Frame, locator: string): number[] | undefined {
  const { x, y, size, turn } = frame;
  const [along, across] = [size * Math.cos(turn), size * Math.sin(turn)];
  if (locator === "affine") return [along, -across, x, across, along, y];
  if (locator === "crop") return [x, y, size];
  return undefined;
}

/** Return the corners (x, y) of a frame, clockwise from its own top left. */
export function cornersOf({ x, y, size, turn }: Frame): [number, number][] {
  const [along, across] = [size * Math.cos(turn), size * Math.sin(turn)];
  return [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ].map(([u, v]) => [along * u! - across * v! + x, across * u! + along * v! + y]);
}
