/** What is shown of a model that looks at an image, and what changes it. It knows nothing of the page. */

import type { Answer, Glimpse, Looking } from "./looking";
import { type Until, isSure } from "./sure";

/** What a viewer needs of a model. */
export interface Watched {
  begin(pixels: Float32Array): Promise<Looking>;
  about: { glimpses: number; classes: readonly string[] };
}

/** A look, and how much of it is shown. */
export class Viewer {
  /** The answers after 0, 1, 2, ... glimpses. */
  answers: readonly Answer[] = [];
  /** How many glimpses count: the model was sure, or a person stopped, after them. */
  shown = 0;
  /** After which glimpse things are shown. */
  at = 0;
  busy = false;

  private looking: Looking | undefined;
  private pixels: Float32Array | undefined;
  private turn = 0;

  /**
   * @param model Whose looks are shown.
   * @param until When it stops by itself.
   * @param changed Called when there is something new to show.
   * @param pace Waits until a glimpse was shown for long enough.
   */
  constructor(
    private readonly model: Watched,
    private until: Until,
    private readonly changed: () => void,
    private readonly pace: () => Promise<void>,
  ) {}

  /** The glimpses that count. */
  get glimpses(): Glimpse[] {
    return this.looking?.glimpses.slice(0, this.shown) ?? [];
  }

  /** Whether a person had a hand in it, so that it does not stop by itself. */
  get steered(): boolean {
    return this.glimpses.some(({ steer }) => steer.pose !== undefined || steer.written === false);
  }

  get full(): boolean {
    return this.shown >= this.model.about.glimpses;
  }

  /** The sketch of a glimpse, where the model draws. */
  sketch(after: number): { pixels: Float32Array; channels: number } | undefined {
    return this.looking?.sketch(after);
  }

  /** Look at an image from the beginning. */
  async look(pixels = this.pixels): Promise<void> {
    if (!pixels) return;
    this.pixels = pixels;
    this.looking = undefined;
    [this.shown, this.at, this.answers] = [0, 0, []];
    await this.alone(async (current) => {
      const looking = await this.model.begin(pixels);
      await looking.ask();
      if (!current()) return;
      this.looking = looking;
      await this.show(0, 0);
      await this.goOn(current);
    });
  }

  /** Look on from what is shown. */
  async resume(): Promise<void> {
    const { looking } = this;
    if (!looking) return;
    await this.alone(async (current) => {
      this.looking = looking.branch(this.shown);
      if (!this.full) await this.step(current, {});
      await this.goOn(current);
    });
  }

  /** Stop by another rule. */
  async setUntil(until: Until): Promise<void> {
    this.until = until;
    const { looking } = this;
    if (!looking) return;
    await this.alone(async (current) => {
      if (this.steered) this.looking = looking.branch(0);
      const all = await this.answersOf(this.looking!);
      if (!current()) return;
      const sure = all.findIndex((answer, i) => i > 0 && this.isSure(answer, i));
      await this.show(sure < 0 ? all.length - 1 : sure);
      if (sure < 0) await this.goOn(current);
    });
  }

  /** Look where a person says; where there is no room for another glimpse, in place of the last. */
  async place(pose: readonly number[]): Promise<void> {
    const { looking } = this;
    if (!looking) return;
    await this.alone(async (current) => {
      this.looking = looking.branch(Math.min(this.at, this.model.about.glimpses - 1));
      await this.step(current, { pose });
    });
  }

  /** Write a glimpse to the memory, or take it out. */
  async setWritten(index: number, written: boolean): Promise<void> {
    const { looking } = this;
    if (!looking) return;
    await this.alone(async (current) => {
      const flags = this.glimpses.map(({ steer }, i) => (i === index ? written : steer.written !== false));
      const other = await looking.branch(this.shown).rewritten(flags);
      const answers = await this.answersOf(other);
      if (!current()) return;
      this.looking = other;
      this.answers = answers;
    });
  }

  /** Show what there was after so many glimpses; an animation that runs stops. */
  goTo(at: number): void {
    this.turn++;
    this.busy = false;
    this.at = Math.min(Math.max(at, 0), this.shown);
    this.changed();
  }

  private isSure(answer: Answer, after: number): boolean {
    return this.model.about.classes.length > 0 && isSure(answer, after, this.until);
  }

  private async goOn(current: () => boolean): Promise<void> {
    while (current() && !this.full && (this.shown === 0 || !this.isSure(this.answers[this.shown]!, this.shown))) {
      await this.step(current, {});
      if (current()) await this.pace();
    }
  }

  private async step(current: () => boolean, steer: { pose?: readonly number[] }): Promise<void> {
    const looking = this.looking!;
    await looking.step(steer);
    await looking.ask();
    if (current()) await this.show(looking.count);
  }

  private async show(shown: number, at = shown): Promise<void> {
    this.answers = await this.answersOf(this.looking!);
    this.shown = shown;
    this.at = at;
    this.changed();
  }

  private async answersOf(looking: Looking): Promise<Answer[]> {
    const answers = [];
    for (let after = 0; after <= looking.count; after++) answers.push(await looking.ask(after));
    return answers;
  }

  /** Do something that takes time; what was begun before stops when it notices. */
  private async alone(act: (current: () => boolean) => Promise<void>): Promise<void> {
    const turn = ++this.turn;
    const current = () => turn === this.turn;
    this.busy = true;
    this.changed();
    try {
      await act(current);
    } finally {
      if (current()) {
        this.busy = false;
        this.changed();
      }
    }
  }
}
