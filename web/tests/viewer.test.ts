import { beforeEach, describe, expect, it } from "vitest";

import type { Answer, Looking, Steer } from "../src/looking";
import { Viewer } from "../src/viewer";

/** A model that is surer with each glimpse that is written: 0.3, 0.5, 0.7, 0.9, 1.1 / 10 classes apart. */
class Fake {
  constructor(readonly steers: Steer[] = []) {}
  get count(): number {
    return this.steers.length;
  }
  get glimpses(): { steer: Steer }[] {
    return this.steers.map((steer) => ({ steer }));
  }
  async step(steer: Steer = {}): Promise<void> {
    this.steers.push(steer);
  }
  async ask(after = this.count): Promise<Answer> {
    const written = this.steers.slice(0, after).filter((steer) => steer.written !== false).length;
    return { confidence: 0.1 + 0.2 * written, best: written } as Answer;
  }
  sketch(): undefined {}
  branch(after: number): Fake {
    return new Fake(this.steers.slice(0, after));
  }
  async rewritten(written: boolean[]): Promise<Fake> {
    return new Fake(this.steers.map((steer, i) => ({ ...steer, written: written[i]! })));
  }
}

const model = {
  about: { glimpses: 4, classes: ["a", "b"] },
  begin: async () => new Fake() as unknown as Looking,
};
const pixels = new Float32Array(1);
let viewer: Viewer;
let shown: number[];

beforeEach(() => {
  shown = [];
  viewer = new Viewer(model, 0.65, () => shown.push(viewer.at), async () => undefined);
});

describe("a viewer", () => {
  it("shows glimpse after glimpse, and stops when the model is sure", async () => {
    await viewer.look(pixels);
    expect([...new Set(shown)]).toEqual([0, 1, 2, 3]);
    expect([viewer.shown, viewer.at, viewer.busy]).toEqual([3, 3, false]);
    expect(viewer.answers.map((answer) => answer.best)).toEqual([0, 1, 2, 3]);
  });

  it("stops at another threshold, earlier or later", async () => {
    await viewer.look(pixels);
    await viewer.setUntil(0.25);
    expect([viewer.shown, viewer.at]).toEqual([1, 1]);
    await viewer.setUntil(2);
    expect([viewer.shown, viewer.full]).toEqual([4, true]);
    await viewer.setUntil(0.45);
    expect(viewer.shown).toBe(2);
  });

  it("takes all glimpses of a model that does not classify", async () => {
    const drawing = { ...model, about: { glimpses: 4, classes: [] } };
    viewer = new Viewer(drawing, 0.1, () => undefined, async () => undefined);
    await viewer.look(pixels);
    expect(viewer.shown).toBe(4);
  });

  it("takes a write out and in again", async () => {
    await viewer.look(pixels);
    await viewer.setWritten(1, false);
    expect(viewer.answers.map((answer) => answer.best)).toEqual([0, 1, 1, 2]);
    expect([viewer.shown, viewer.steered]).toEqual([3, true]);
    await viewer.setWritten(1, true);
    expect([viewer.answers[3]!.best, viewer.steered]).toEqual([3, false]);
  });

  it("looks where it is told, after what is shown, and goes on from there", async () => {
    await viewer.look(pixels);
    viewer.goTo(1);
    await viewer.place([1, 2, 3]);
    expect(viewer.glimpses.map(({ steer }) => steer.pose)).toEqual([undefined, [1, 2, 3]]);
    await viewer.resume();
    expect([viewer.shown, viewer.glimpses[1]!.steer.pose]).toEqual([3, [1, 2, 3]]);
    await viewer.setUntil(2);
    expect([viewer.shown, viewer.steered]).toEqual([4, false]);
    await viewer.place([4]);
    expect(viewer.glimpses.map(({ steer }) => steer.pose)).toEqual([undefined, undefined, undefined, [4]]);
  });

  it("forgets an animation that something else interrupts", async () => {
    const first = viewer.look(pixels);
    await viewer.look(pixels);
    await first;
    expect([viewer.shown, viewer.busy]).toEqual([3, false]);
    const stopped: Viewer = new Viewer(model, 2, () => undefined, async () => (stopped.shown === 2 ? stopped.goTo(1) : undefined));
    await stopped.look(pixels);
    expect([stopped.shown, stopped.at, stopped.busy]).toEqual([2, 1, false]);
  });

  it("does nothing before there is an image", async () => {
    await Promise.all([viewer.look(), viewer.resume(), viewer.setUntil(0.5), viewer.place([]), viewer.setWritten(0, false)]);
    expect(shown).toEqual([]);
  });
});
