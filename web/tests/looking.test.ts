import { expect, it } from "vitest";

import { type Answer, type Glimpse, sharesOf } from "../src/looking";

it("the shares of glimpses are the last rows, without those that were not written", () => {
  const answer = { logits: new Float32Array(2), shares: Float32Array.of(0, 0, 0, 0, 1, 2, 3, 4) } as Answer;
  const glimpses = [{}, { written: false }, {}].map((steer) => ({ steer })) as Glimpse[];
  expect(sharesOf(answer, glimpses)).toEqual([Float32Array.of(1, 2), undefined, Float32Array.of(3, 4)]);
  expect(sharesOf({ ...answer, shares: undefined } as unknown as Answer, glimpses)).toEqual([undefined, undefined, undefined]);
});
