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

/** How a gap is measured: the greatest of any number, the root of the mean square, or 1 where a class is another. */
type Measure = "greatest" | "rms" | "class";

/** Which numbers, or by `class` the numbers of which classes, are expected, and how far off they may be. */
interface Expected {
  values: string;
  tolerance: number;
  by?: Measure;
}

/** What is expected of an image, of each output after each glimpse; null where nothing is. */
interface Case {
  image: string;
  steer: Steer[];
  expected: Record<string, (Expected | null)[]>;
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
      const { logits, canvas, shares, recalled } = answer;
      const answers = Float32Array.from(recalled.flatMap((reply) => [...reply.logits]));
      const found: Found = { pose: glimpse.pose, logits, canvas, shares, answers };
      for (const [output, expected] of Object.entries(one.expected)) {
        const wanted = expected[i];
        if (wanted) compare(worst, output, i + 1, found[output], wanted);
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
  { values: packed, tolerance, by = "greatest" }: Expected,
): void {
  const values = floatsOf(packed);
  const gap = found ? GAPS[by](found, values) : Infinity;
  worst.compared += values.length;
  if (!(gap <= tolerance)) worst.ok = false;
  if (!(gap / tolerance <= worst.gap / worst.tolerance)) Object.assign(worst, { gap, tolerance, output, glimpse });
}

/** Let the page paint, and hear what a person wants, in between. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** How far numbers are from those that are expected; not a number, or infinite, where they cannot be compared. */
const GAPS: Record<Measure, (found: Float32Array, expected: Float32Array) => number> = {
  greatest: (found, expected) => differences(found, expected).reduce((most, gap) => (gap <= most ? most : gap), 0),
  rms: (found, expected) => {
    const gaps = differences(found, expected);
    return Math.sqrt(gaps.reduce((sum, gap) => sum + gap * gap, 0) / gaps.length);
  },
  class: (found, expected) => {
    const size = found.length / expected.length;
    const best = (i: number) => {
      const own = found.subarray(i * size, (i + 1) * size);
      return own.indexOf(Math.max(...own)); // -1 where one of them is no number
    };
    return Number.isInteger(size) && expected.every((wanted, i) => wanted < 0 || best(i) === wanted) ? 0 : 1;
  },
};

function differences(found: Float32Array, expected: Float32Array): Float64Array {
  if (found.length !== expected.length) return Float64Array.of(Infinity);
  return Float64Array.from(found, (value, i) => Math.abs(value - expected[i]!));
}
