import { describe, expect, it } from "vitest";

import { centreOfMass } from "../src/ink";
import { type Picture, asDigit, averaged, cropped, grey } from "../src/pictures";

/** A grey picture. */
function picture(width: number, height: number, at: (x: number, y: number) => number): Picture {
  const planes = [Float32Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width)))];
  return { planes, width, height };
}

describe("pictures", () => {
  it("keep their mean when they are averaged", () => {
    const { planes } = picture(30, 20, (x, y) => ((x * 7 + y * 13) % 10) / 10);
    const mean = (plane: Float32Array) => plane.reduce((a, b) => a + b) / plane.length;
    expect(mean(averaged(planes[0]!, 30, [0, 0, 30, 20], 7, 9))).toBeCloseTo(mean(planes[0]!), 5);
  });

  it("are cut out of the middle", () => {
    const wide = picture(60, 20, (x) => (x < 20 ? 0 : x < 40 ? 0.5 : 1));
    expect(cropped(wide, 10, 10).planes[0]!.every((value) => Math.abs(value - 0.5) < 1e-6)).toBe(true);
  });

  it("are as bright as they appear in grey", () => {
    const green = { planes: [new Float32Array(1), Float32Array.of(1), new Float32Array(1)], width: 1, height: 1 };
    expect(grey(green).planes[0]![0]).toBeCloseTo(0.587, 5);
  });
});

describe("a picture of a digit", () => {
  const one = (x: number, y: number) => x >= 100 && x < 110 && y >= 30 && y < 90;
  for (const [name, ink, ground] of [
    ["dark ink on light paper", 0.1, 0.8],
    ["light on dark", 0.9, 0.2],
  ] as const) {
    it(`${name} is white on black, in 20 of 28 pixels, its mass in the middle`, () => {
      const { planes } = asDigit(picture(200, 120, (x, y) => (one(x, y) ? ink : ground)), 28, 28);
      const [x, y] = centreOfMass(planes[0]!, 28);
      expect(Math.abs(x - 14) + Math.abs(y - 14)).toBeLessThan(0.2);
      const rows = [...planes[0]!.keys()].filter((i) => planes[0]![i]! > 0.3).map((i) => Math.floor(i / 28));
      expect(Math.max(...rows) - Math.min(...rows) + 1).toBe(20);
      expect(Math.max(...planes[0]!)).toBeGreaterThan(0.9);
    });
  }

  it("of the model's own size stays as it is", () => {
    const small = picture(28, 28, (x, y) => (x * y) / 784);
    expect(asDigit(small, 28, 28)).toBe(small);
  });

  it("without ink is left to be empty", () => {
    const { planes } = asDigit(picture(50, 50, () => 0.7), 28, 28);
    expect(new Set(planes[0]!.map((value) => Math.round(100 * value)))).toEqual(new Set([70]));
  });
});
