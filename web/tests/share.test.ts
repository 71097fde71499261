import { describe, expect, it } from "vitest";

import { fromFragment, toFragment } from "../src/share";

describe("a link", () => {
  it("brings back what it was made of", () => {
    const strokes = [[0, 0.5, 1, 0.25], [0.2, 0.4]].map((stroke) => stroke.map((value) => Math.round(255 * value) / 255));
    const shared = { model: "my model +1", until: 0.85, strokes };
    expect(fromFragment(`#${toFragment(shared)}`)).toEqual(shared);
    for (const asked of [{ model: "m", sample: 3 }, { sample: 0, question: 0 }, { strokes, question: 12, fit: false }]) {
      expect(fromFragment(toFragment(asked))).toEqual(asked);
    }
  });

  it("holds nothing but plain letters", () => {
    const strokes = [Array.from({ length: 512 }, (_, i) => (i % 256) / 255)];
    expect(toFragment({ strokes })).toMatch(/^strokes=[\w-]+$/);
  });

  it("is cut where it would be too long to be sent", () => {
    const long = Array.from({ length: 100 }, () => Array.from({ length: 400 }, (_, i) => ((i * 37) % 256) / 255));
    expect(toFragment({ strokes: long }).length).toBeLessThan(9000);
  });

  it("that is damaged brings nothing, and nothing breaks", () => {
    for (const text of ["#strokes=%%%", "#strokes=AAAA", "#strokes=ZZZZZZZZ", "#until=7&sample=-1", "#sample=x", "#until=", "#sample=", "#question=-1", "#question=1.5", "#question=x", "#question=", "#=&&"]) {
      expect(fromFragment(text)).toEqual({});
    }
  });
});
