import { expect, it } from "vitest";

import type { About } from "../src/about";
import { centreOfMass, penOf, placed } from "../src/ink";
import { pixelsOf, takesDigits } from "../src/source";

const scene = { channels: 1, width: 100, height: 100, classes: ["0", "1"], samples: [] } as unknown as About;
const strokes = [[0.1, 0.2, 0.3, 0.2]];

it("drawings stay where they are in scenes, and are brought to the middle of digits", () => {
  const [there, middle] = [false, true].map((digits) => centreOfMass(pixelsOf({ strokes }, scene, digits)!, 100));
  expect(there![0]).toBeCloseTo(20);
  expect(there![1]).toBeCloseTo(20);
  expect(middle![0]).toBeCloseTo(50);
});

it("a line in a scene is as thick as in a digit, and as the pen on the pad", () => {
  const column = (side: number) => [...placed(strokes, side, side)].filter((_, i) => i % side === side / 5).reduce((a, b) => a + b);
  for (const side of [100, 50]) expect(column(side)).toBeCloseTo(penOf(side) * side);
});

it("only models of small grey images of digits take single digits", () => {
  const digit = { ...scene, width: 28, height: 28 };
  expect([digit, scene, { ...digit, channels: 3 }, { ...digit, classes: ["cat"] }].map(takesDigits)).toEqual([true, false, false, false]);
});
