/** One image on its way through a model: glimpse after glimpse, with every state kept. */

import type { About } from "./about";
import { StawmError } from "./errors";
import { type Corners, framesOf } from "./frame";
import { type Graph, type Tensors, numbers, tensor } from "./runtime";

/** How a glimpse is steered; what is left out is left to the model. */
export interface Steer {
  /** Where to look, in the locator's numbers. */
  pose?: readonly number[];
  /** Whether the glimpse is written to the memory (it is, if left out). */
  written?: boolean;
}

/** One glimpse. */
export interface Glimpse {
  /** Where it was taken, in the locator's numbers. */
  pose: Float32Array;
  /** Its corners (x, y) in the image, clockwise from its own top left; the image goes from -1 to 1. */
  corners: Corners;
  /** The corners of each of its views, the narrowest first: one, `corners`, where it has no wider ones. */
  frames: Corners[];
  /** Its pixels, as they were in the image: view after view as many planes as the image has, `side` by `side`. */
  pixels: Float32Array;
  /** The planes of all views together. */
  channels: number;
  side: number;
  steer: Steer;
}

/** How probable classes are, or what can be answered to a question. */
export interface Verdict {
  /** The logarithms of the probabilities. */
  logits: Float32Array;
  probabilities: Float32Array;
  /** The number of the most probable one, -1 where there is none. */
  best: number;
  /** Its probability. */
  confidence: number;
}

/** What a model answers: how probable each class is, of none where it does not classify, and what else it gives. */
export interface Answer extends Verdict {
  /** What the memory says to each question that was asked; none where the model takes no questions. */
  recalled: Verdict[];
  /** What was drawn so far, pixels in [0, 1], where the model draws. */
  canvas?: Float32Array;
  /** The memory as a square matrix, row by row. */
  matrix?: Float32Array;
  /**
   * What each write gives to each logit, class by class: the newest write last, and before the first as many rows of
   * zeros as there is room for further ones. `sharesOf` finds the rows of glimpses.
   */
  shares?: Float32Array;
}

/** Return what each glimpse gives to each logit; nothing where it was not written, or the graph does not say. */
export function sharesOf(answer: Answer, glimpses: readonly Glimpse[]): (Float32Array | undefined)[] {
  const { shares, logits } = answer;
  if (!shares) return glimpses.map(() => undefined);
  const written = glimpses.filter(({ steer }) => steer.written !== false);
  return glimpses.map((glimpse) => {
    const age = written.length - written.indexOf(glimpse);
    const start = shares.length - age * logits.length;
    return written.includes(glimpse) ? shares.slice(start, start + logits.length) : undefined;
  });
}

/** The three graphs of a model. */
export type Graphs = Record<"init" | "glimpse" | "read", Graph>;

interface Moment {
  state: Tensors;
  glimpse?: Glimpse;
  answer?: Answer;
}

/**
 * A look at one image. It can be continued, and branched at any glimpse: what was computed before is kept and shared.
 */
export class Looking {
  private constructor(
    private readonly about: About,
    private readonly graphs: Graphs,
    private readonly image: Tensors,
    private readonly moments: Moment[],
  ) {}

  /** Begin to look at an image whose pixels are normalised. */
  static async begin(about: About, graphs: Graphs, pixels: Float32Array): Promise<Looking> {
    const image = { image: tensor(pixels, [1, about.channels, about.height, about.width]) };
    return new Looking(about, graphs, image, [{ state: carried(await graphs.init.run(image)) }]);
  }

  /** How many glimpses were taken. */
  get count(): number {
    return this.moments.length - 1;
  }

  /** The glimpses, in their order. */
  get glimpses(): Glimpse[] {
    return this.moments.slice(1).map((moment) => moment.glimpse!);
  }

  /** Take a glimpse: where the model wants to, unless it is steered. */
  async step(steer: Steer = {}): Promise<Glimpse> {
    const pose = new Float32Array(this.about.poseSize);
    pose.set(steer.pose ?? []);
    const flag = (value: boolean) => tensor(Float32Array.of(value ? 1 : 0), [1, 1]);
    const found = await this.graphs.glimpse.run({
      ...this.image,
      ...this.moments[this.count]!.state,
      "steer.pose": tensor(pose, [1, pose.length]),
      "steer.placed": flag(steer.pose !== undefined),
      "steer.written": flag(steer.written !== false),
    });
    const glimpse = this.seen(found, steer);
    this.moments.push({ state: { ...this.moments[this.count]!.state, ...carried(found) }, glimpse });
    return glimpse;
  }

  /**
   * Ask for the answers; a model that takes questions is asked without looking again, as often as you like.
   *
   * @param after After how many glimpses; after all that were taken, where left out.
   * @param cue The numbers of questions; all of them, in their order, where left out.
   * @throws StawmError There is no such question.
   */
  async ask(after = this.count, cue?: readonly number[]): Promise<Answer> {
    const moment = this.moments[after]!;
    if (cue) return this.read(moment, this.checked(cue));
    moment.answer ??= await this.read(moment, [...(this.about.questions?.names.keys() ?? [])]);
    return moment.answer;
  }

  /** The sketch that was made of the last of so many glimpses, where it was placed: planes as large as the image. */
  sketch(after = this.count): { pixels: Float32Array; channels: number } | undefined {
    const register = this.moments[after]?.state["state.sketches"];
    if (!register || after === 0) return undefined;
    const [, slots, channels, height, width] = register.dims as number[];
    const size = channels! * height! * width!;
    return { pixels: numbers(register).slice((slots! - 1) * size, slots! * size), channels: channels! };
  }

  /** Return a look that shares the first glimpses with this one, to go on from there in another way. */
  branch(after: number): Looking {
    return new Looking(this.about, this.graphs, this.image, this.moments.slice(0, after + 1));
  }

  /** Return the same look with other glimpses written: what the answers were if the rest had not been. */
  async rewritten(written: readonly boolean[]): Promise<Looking> {
    const steers = this.glimpses.map((glimpse, i) => ({ ...glimpse.steer, written: written[i] !== false }));
    const same = this.glimpses.findIndex((glimpse, i) => (glimpse.steer.written !== false) !== steers[i]!.written);
    if (same < 0) return this;
    const other = this.branch(same);
    for (const steer of steers.slice(same)) await other.step(steer);
    return other;
  }

  private async read({ state }: Moment, cue: readonly number[]): Promise<Answer> {
    const asked: Tensors = cue.length ? { cue: tensor(Float32Array.from(cue), [1, cue.length]) } : {};
    return answered(await this.graphs.read.run({ ...state, ...asked }));
  }

  private checked(cue: readonly number[]): readonly number[] {
    const count = this.about.questions?.names.length ?? 0;
    if (!count) throw new StawmError(`${this.about.name} takes no questions: ask without a cue.`);
    if (!cue.length || cue.some((number) => !Number.isInteger(number) || number < 0 || number >= count)) {
      throw new StawmError(`A cue of ${this.about.name} is numbers from 0 to ${count - 1}; got [${cue.join(", ")}].`);
    }
    return cue;
  }

  private seen(found: Tensors, steer: Steer): Glimpse {
    const { mean, std } = this.about;
    const glimpse = found["glimpses"]!;
    const [, channels, side] = glimpse.dims as number[];
    const plane = side! * side!;
    const pixels = Float32Array.from(numbers(glimpse), (value, i) => {
      const channel = Math.floor(i / plane) % this.about.channels;
      return value * (std[channel] ?? std[0]!) + (mean[channel] ?? mean[0]!);
    });
    const flat = [...numbers(found["corners"]!)];
    const corners = [0, 2, 4, 6].map((i): [number, number] => [flat[i]!, flat[i + 1]!]);
    const frames = framesOf(corners, this.about.views);
    return { pose: numbers(found["pose"]!), corners, frames, pixels, channels: channels!, side: side!, steer };
  }
}

/** Return the state that a part gives, under the names that the next part takes it by. */
function carried(found: Tensors): Tensors {
  const state: Tensors = {};
  for (const [name, value] of Object.entries(found)) {
    if (name.startsWith("next.")) state[`state.${name.slice(5)}`] = value;
  }
  return state;
}

function answered(found: Tensors): Answer {
  const part = (name: string) => (found[name] ? numbers(found[name]!) : undefined);
  const [, count = 0, size = 0] = (found["answers"]?.dims ?? []) as number[];
  return {
    ...verdictOf(part("logits") ?? new Float32Array()),
    recalled: Array.from({ length: count }, (_, k) => verdictOf(part("answers")!.slice(k * size, (k + 1) * size))),
    ...(part("canvas") && { canvas: part("canvas")! }),
    ...(part("matrix") && { matrix: part("matrix")! }),
    ...(part("shares") && { shares: part("shares")! }),
  };
}

function verdictOf(logits: Float32Array): Verdict {
  const probabilities = logits.map(Math.exp);
  const best = probabilities.reduce((most, value, i) => (value > (probabilities[most] ?? 0) ? i : most), -1);
  return { logits, probabilities, best, confidence: probabilities[best] ?? 0 };
}
