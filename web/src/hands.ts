/** Placing a glimpse by hand: the frame on the stage, and what moves it. */

import { type Frame, cornersOf, poseOf } from "./hand";
import { paintHand } from "./paint";
import { element } from "./panels";

const STEP = 0.05;
const MOVES: Record<string, [number, number]> = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

/** The controls by which a person places a glimpse. */
export class Hands {
  private frame: Frame = { x: 0, y: 0, size: 0.4, turn: 0 };
  private readonly stage = element<HTMLCanvasElement>("stage");
  private readonly panel = element<HTMLDetailsElement>("hand");

  /**
   * @param moved Called when the frame has to be painted anew.
   * @param look Called with the pose of the frame when the model shall look there.
   */
  constructor(
    private readonly moved: () => void,
    look: (pose: number[]) => void,
    private readonly locator: () => string,
  ) {
    this.panel.addEventListener("toggle", () => this.open());
    element("hand-size").addEventListener("input", (event) => this.change({ size: valueOf(event) }));
    element("hand-turn").addEventListener("input", (event) => this.change({ turn: (valueOf(event) * Math.PI) / 180 }));
    const act = () => {
      const pose = poseOf(this.frame, this.locator());
      if (pose) look(pose);
    };
    element("hand-look").addEventListener("click", act);
    this.stage.addEventListener("pointerdown", (event) => this.drag(event));
    this.stage.addEventListener("pointermove", (event) => this.drag(event));
    this.stage.addEventListener("keydown", (event) => {
      const move = this.panel.open ? MOVES[event.key] : undefined;
      if (move) this.change({ x: clamp(this.frame.x + move[0]), y: clamp(this.frame.y + move[1]) });
      else if (this.panel.open && event.key === "Enter") act();
      else return;
      event.preventDefault();
    });
  }

  /** Show the controls where a model's locator has frames that a person can place. */
  offer(): void {
    const able = poseOf(this.frame, this.locator()) !== undefined;
    this.panel.hidden = !able;
    if (!able) this.panel.open = false;
    element<HTMLElement>("hand-turn").parentElement!.hidden = this.locator() === "crop";
  }

  /** Paint the frame, where one is being placed. */
  paint(): void {
    if (this.panel.open) paintHand(this.stage, cornersOf(this.frame));
  }

  private open(): void {
    this.stage.classList.toggle("by-hand", this.panel.open);
    this.stage.tabIndex = this.panel.open ? 0 : -1;
    this.moved();
  }

  private drag(event: PointerEvent): void {
    if (!this.panel.open || event.buttons !== 1) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const box = this.stage.getBoundingClientRect();
    const place = (at: number, start: number, length: number) => clamp((2 * (at - start)) / length - 1);
    this.change({ x: place(event.clientX, box.left, box.width), y: place(event.clientY, box.top, box.height) });
  }

  private change(changes: Partial<Frame>): void {
    this.frame = { ...this.frame, ...changes };
    this.moved();
  }
}

function valueOf(event: Event): number {
  return Number((event.target as HTMLInputElement).value);
}

function clamp(value: number): number {
  return Math.min(1, Math.max(-1, value));
}
