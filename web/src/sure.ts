/** When a model has looked enough. */

import type { Stopping } from "./about";
import type { Answer } from "./looking";

/** A probability that the most probable class has to reach, above 1 for never; or thresholds that were tuned. */
export type Until = number | Stopping;

/** The least probability on the slider that stands for never. */
const NEVER = 0.995;

/** Return the rule of a slider: at its end it never stops. */
export function ruleOf(slider: number): number {
  return slider > NEVER ? 2 : slider;
}

/**
 * Whether a model is sure of an answer.
 *
 * @param answer What it answers.
 * @param after After how many glimpses, at least one.
 * @param until The rule.
 */
export function isSure(answer: Answer, after: number, until: Until): boolean {
  if (typeof until === "number") return answer.confidence >= until;
  const at = Math.min(after, until.thresholds.length) - 1;
  return confidenceOf(answer.logits, until.temperatures[at]!) > until.thresholds[at]!;
}

/** Say a rule in words. */
export function wordsOf(until: Until): string {
  if (typeof until === "number") return until > 1 ? "nothing: it takes all glimpses" : `${Math.round(100 * until)} %`;
  const said = until.thresholds.slice(0, -1).map((value) => (value < 1 ? `${Math.round(100 * value)} %` : "go on"));
  return `as tuned: ${[...said, "stop"].join(", ")}`;
}

/** The greatest probability of softmax(logits / temperature). */
function confidenceOf(logits: Float32Array, temperature: number): number {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  return 1 / logits.reduce((sum, value) => sum + Math.exp((value - most) / temperature), 0);
}
