import { expect, it } from "vitest";

import type { Answer } from "../src/looking";
import { isSure, ruleOf, wordsOf } from "../src/sure";

/** Logits whose softmax is 0.8 and 0.2; at twice the temperature it is 2/3 and 1/3. */
const answer = { logits: Float32Array.of(Math.log(0.8), Math.log(0.2)), confidence: 0.8 } as Answer;

it("a slider asks for a probability, and at its end for none", () => {
  expect([isSure(answer, 1, 0.8), isSure(answer, 1, 0.81)]).toEqual([true, false]);
  expect(isSure({ ...answer, confidence: 1 }, 1, ruleOf(1))).toBe(false);
  expect([wordsOf(ruleOf(0.9)), wordsOf(ruleOf(1))]).toEqual(["90 %", "nothing: it takes all glimpses"]);
});

it("tuned thresholds hold glimpse by glimpse, at their temperatures", () => {
  const tuned = { thresholds: [0.7, 0.7, 1, 0], temperatures: [2, 1, 1, 1] };
  expect([1, 2, 3, 4, 9].map((after) => isSure(answer, after, tuned))).toEqual([false, true, false, true, true]);
  expect(wordsOf(tuned)).toBe("as tuned: 70 %, 70 %, go on, stop");
});
