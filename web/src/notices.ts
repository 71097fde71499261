/** What the page says of itself: what it is loading, what went wrong, and whether its numbers are to be trusted. */

import { StawmError } from "./errors";
import { element } from "./panels";
import type { SelfTest } from "./selftest";
import type { Model } from "./stawm";

const root = document.documentElement;
const status = element("status");
const progress = element<HTMLProgressElement>("progress");

/** Say that a model is being loaded; nothing of another is to be seen meanwhile. */
export function sayLoading(name: string): void {
  root.dataset["state"] = "loading";
  root.dataset["proof"] = "pending";
  showProof("", "self-test: not yet run");
  element("main").hidden = true;
  status.className = "";
  status.textContent = `Loading ${name} …`;
  progress.hidden = false;
}

/** Say how many bytes have come of how many; nothing where loading has failed meanwhile. */
export function sayProgress(name: string, bytes: number, total: number): void {
  if (root.dataset["state"] !== "loading") return;
  progress.value = bytes / total;
  status.textContent = `Loading ${name}: ${(bytes / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
}

/** Show the page as a model has come. */
export function sayLoaded(): void {
  status.textContent = "";
  progress.hidden = true;
  element("main").hidden = false;
}

/** Say that something was refused, a picture say, while all goes on; or, without words, that nothing is any more. */
export function sayRefused(words: string): void {
  status.className = words ? "bad" : "";
  status.textContent = words;
}

/** Show an error as a sentence; whatever happens, the page says so. */
export function fail(error: unknown): void {
  root.dataset["state"] = "broken";
  sayRefused(error instanceof StawmError ? error.message : `Something went wrong: ${String(error)}`);
  progress.hidden = true;
}

/**
 * Run a model's self-test, and say in the badge what came of it.
 *
 * @param model The model.
 * @param current Whether it is still the one that the page shows.
 */
export async function prove(model: Model, current: () => boolean): Promise<void> {
  showProof("", "self-test: running …");
  let [ok, said] = [false, ""];
  try {
    const found = await model.testItself();
    [ok, said] = [found.ok, wordsOf(found, model.about.precision === "int8")];
  } catch (error) {
    if (!(error instanceof StawmError)) throw error;
    said = `self-test FAILED to run: ${error.message} Until it does, do not trust what you see below.`;
  }
  if (!current()) return;
  root.dataset["proof"] = ok ? "good" : "bad";
  showProof(ok ? "good" : "bad", said);
}

function wordsOf({ ok, gap, tolerance, output, glimpse, compared }: SelfTest, int8: boolean): string {
  const found = `greatest gap ${gap.toExponential(1)} of ${output} after glimpse ${glimpse}, ${tolerance.toExponential(1)} allowed`;
  const good = int8 ? "in int8 it does what PyTorch does in full precision" : `${compared} numbers are PyTorch's`;
  const bad = int8 ? "in int8 this browser does something else than PyTorch" : "this browser computes other numbers than PyTorch";
  return ok ? `self-test passed: ${good} (${found})` : `self-test FAILED: ${bad} (${found}). Do not trust what you see below.`;
}

function showProof(kind: "" | "good" | "bad", words: string): void {
  const badge = element("proof");
  badge.className = `badge ${kind}`.trim();
  badge.textContent = words;
}
