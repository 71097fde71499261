/** The proof on the page: known inputs are run, and must give what PyTorch gave when the model was exported. */

import { checkFormat, floatsOf } from "./about";
import type { Looking, Steer } from "./looking";
import { StawmError } from "./errors";

/** What a self-test found. */
export interface SelfTest {
  /** Whether every number is within its tolerance. */
  ok: boolean;
  /** The gap that is the greatest beside its tolerance. */
  gap: number;
  tolerance: number;
  /** Of which output, after which glimpse. */
  output: string;
  glimpse: number;
  /** How many numbers were compared. */
  compared: number;
}

/** What is expected of an image: of each output and glimpse the numbers, and how far off they may be. */
interface Case {
  image: string;
  steer: Steer[];
  expected: Record<string, { values: string; tolerance: number }[]>;
}

/** Where an output is found after a glimpse. */
type Found = Record<string, Float32Array | undefined>;

/**
 * Run a self-test.
 *
 * @param file What `selftest.json` holds.
 * @param begin Begins to look at an image whose pixels are normalised.
 * @throws StawmError The file is damaged, or of another version.
 */
export async function runSelfTest(file: unknown, begin: (pixels: Float32Array) => Promise<Looking>): Promise<SelfTest> {
  const cases = checkFormat(file, "selftest.json")["cases"] as Case[];
  const worst: SelfTest = { ok: true, gap: 0, tolerance: Infinity, output: "", glimpse: 0, compared: 0 };
  for (const one of cases) {
    const looking = await begin(floatsOf(one.image));
    for (const [i, steer] of one.steer.entries()) {
      const glimpse = await looking.step(steer);
      const answer = await looking.ask();
      const found: Found = { pose: glimpse.pose, logits: answer.logits, canvas: answer.canvas, shares: answer.shares };
      for (const [output, expected] of Object.entries(one.expected)) {
        if (expected[i]) compare(worst, output, i + 1, found[output], expected[i]);
      }
      await breath();
    }
  }
  if (!worst.compared) throw new StawmError("selftest.json compares nothing. Write the site anew with `stawm web`.");
  return worst;
}

function compare(
  worst: SelfTest,
  output: string,
  glimpse: number,
  found: Float32Array | undefined,
  expected: { values: string; tolerance: number },
): void {
  const values = floatsOf(expected.values);
  const gap = found?.length === values.length ? greatestGap(found, values) : Infinity;
  const { tolerance } = expected;
  worst.compared += values.length;
  if (!(gap <= tolerance)) worst.ok = false;
  if (!(gap / tolerance <= worst.gap / worst.tolerance)) Object.assign(worst, { gap, tolerance, output, glimpse });
}

/** Let the page paint, and hear what a person wants, in between. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** The greatest difference; not a number where one of them is none. */
function greatestGap(found: Float32Array, expected: Float32Array): number {
  return found.reduce((most, value, i) => {
    const gap = Math.abs(value - expected[i]!);
    return gap <= most ? most : gap;
  }, 0);
}
