import { expect, it } from "vitest";

import { cornersOf, poseOf } from "../src/hand";

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
  expect(poseOf(frame, "filterbank")).toBeUndefined();
});
