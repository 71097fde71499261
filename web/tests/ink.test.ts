import { describe, expect, it } from "vitest";

import { centreOfMass, drawn } from "../src/ink";

const SEVEN = [[0.1, 0.1, 0.4, 0.1, 0.2, 0.6]];

/** The first and last row and column with ink. */
function box(pixels: Float32Array, width: number): number[] {
  const inked = [...pixels.keys()].filter((i) => pixels[i]! > 0.05);
  const [x, y] = [inked.map((i) => i % width), inked.map((i) => Math.floor(i / width))];
  return [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
}

describe("strokes as MNIST's digits", () => {
  it("have their centre of mass in the middle", () => {
    for (const strokes of [SEVEN, [[0.5, 0.9, 0.5, 0.95]], [[0.1, 0.2, 0.9, 0.3], [0.9, 0.9]]]) {
      const [x, y] = centreOfMass(drawn(strokes, 28, 28), 28);
      expect(Math.abs(x - 14)).toBeLessThan(0.1);
      expect(Math.abs(y - 14)).toBeLessThan(0.1);
    }
  });

  it("fill a box of 20 pixels along their longer side", () => {
    const [left, right, top, bottom] = box(drawn(SEVEN, 28, 28), 28) as [number, number, number, number];
    expect(bottom - top + 1).toBeGreaterThanOrEqual(20);
    expect(bottom - top + 1).toBeLessThanOrEqual(21); // an edge between two pixels touches both
    expect(right - left).toBeLessThan(bottom - top);
  });

  it("do not depend on where and how large they were drawn", () => {
    const larger = SEVEN.map((stroke) => stroke.map((value) => 0.3 + value / 2));
    const [a, b] = [drawn(SEVEN, 28, 28), drawn(larger, 28, 28)];
    a.forEach((value, i) => expect(Math.abs(value - b[i]!)).toBeLessThan(1e-4));
  });

  it("fit images of other sizes and aspects", () => {
    for (const [width, height] of [[16, 16], [40, 20], [20, 40]] as const) {
      const pixels = drawn([[0.1, 0.1, 0.9, 0.9], [0.9, 0.1, 0.1, 0.9]], width, height);
      const [left, right, top, bottom] = box(pixels, width) as [number, number, number, number];
      expect(pixels.length).toBe(width * height);
      expect(Math.min(left, top)).toBeGreaterThan(0);
      expect(right).toBeLessThan(width - 1);
      expect(bottom).toBeLessThan(height - 1);
    }
  });

  it("are pixels: from black to white, and a dot is round", () => {
    const dot = drawn([[0.3, 0.7]], 28, 28);
    expect(Math.max(...dot)).toBeGreaterThan(0.95);
    expect(Math.min(...dot)).toBe(0);
    expect(dot[14 * 28 + 13]).toBeCloseTo(dot[13 * 28 + 14]!, 5);
    expect(drawn([], 28, 28).every((value) => value === 0)).toBe(true);
  });
});
