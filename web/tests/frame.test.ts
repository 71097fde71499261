import { expect, it } from "vitest";

import type { About } from "../src/about";
import { cornersOf, framesOf, freedomOf, poseOf } from "../src/frame";

/** Where a pose of the affine locator takes the corners of a glimpse, as docs/export.md says. */
function taken([a, b, c, d, e, f]: number[]): number[][] {
  return [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([u, v]) => [a! * u! + b! * v! + c!, d! * u! + e! * v! + f!]);
}

it("a placed frame is the pose that looks through it", () => {
  const frame = { x: 0.2, y: -0.4, size: 0.3, turn: 0.7 };
  const corners = cornersOf(frame);
  taken(poseOf(frame, "affine")!).forEach(([x, y], i) => {
    expect(x).toBeCloseTo(corners[i]![0]);
    expect(y).toBeCloseTo(corners[i]![1]);
  });
  expect(poseOf({ ...frame, turn: 0 }, "crop")).toEqual([0.2, -0.4, 0.3]);
  expect(poseOf(frame, "retina")).toEqual([0.2, -0.4]);
});

it("only frames that a person can place are offered", () => {
  const about = { locator: "affine", square: false, width: 20, height: 10 } as About;
  expect(freedomOf(about)).toEqual({ size: true, turn: true });
  expect(freedomOf({ ...about, locator: "retina" })).toEqual({ size: false, turn: false });
  expect(freedomOf({ ...about, locator: "filterbank" })).toBeUndefined();
  expect(freedomOf({ ...about, square: true })).toBeUndefined();
  expect(freedomOf({ ...about, square: true, width: 10 })).toBeDefined();
});

it("each view is twice as wide as the one before, around the same middle", () => {
  const first = cornersOf({ x: 0.2, y: -0.4, size: 0.125, turn: 0 });
  const wider = cornersOf({ x: 0.2, y: -0.4, size: 0.5, turn: 0 });
  const found = framesOf(first, 3);
  expect(found.length).toBe(3);
  found[2]!.flat().forEach((value, i) => expect(value).toBeCloseTo(wider.flat()[i]!));
  found[0]!.flat().forEach((value, i) => expect(value).toBeCloseTo(first.flat()[i]!));
});
