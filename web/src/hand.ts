/** Placing a glimpse by hand: the frame on the stage, and what moves it. */

import type { About } from "./about";
import { type Frame, cornersOf, framesOf, freedomOf, poseOf } from "./frame";
import { paintHand } from "./paint";
import { element } from "./panels";
import { arrow, clamp, placeOn } from "./pointing";

/** How far an arrow key moves the frame. */
const STEP = 0.05;

/** The controls by which a person places a glimpse. */
export class Hand {
  private frame: Frame = { x: 0, y: 0, size: 0.4, turn: 0 };
  private about: About | undefined;
  private readonly stage = element<HTMLCanvasElement>("stage");
  private readonly panel = element<HTMLDetailsElement>("hand");

  /**
   * @param moved Called when the frame has to be painted anew.
   * @param look Called with the pose of the frame when the model shall look there.
   */
  constructor(
    private readonly moved: () => void,
    private readonly look: (pose: number[]) => void,
  ) {
    this.panel.addEventListener("toggle", () => this.open());
    element("hand-size").addEventListener("input", (event) => this.change({ size: valueOf(event) }));
    element("hand-turn").addEventListener("input", (event) => this.change({ turn: (valueOf(event) * Math.PI) / 180 }));
    element("hand-look").addEventListener("click", () => this.act());
    this.stage.addEventListener("pointerdown", (event) => this.drag(event));
    this.stage.addEventListener("pointermove", (event) => this.drag(event));
    this.stage.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show the controls that a model has, where a person can place its frames at all. */
  offer(about: About): void {
    const free = freedomOf(about);
    this.about = about;
    this.panel.hidden = !free;
    if (!free) this.panel.open = false;
    element("hand-size").parentElement!.hidden = !free?.size;
    element("hand-turn").parentElement!.hidden = !free?.turn;
    const chosen = Number(element<HTMLInputElement>("hand-size").value);
    this.frame.size = free?.size ? chosen : about.frame;
    if (!free?.turn) this.frame.turn = 0;
  }

  /** Paint the frame, where one is being placed. */
  paint(): void {
    if (this.panel.open) paintHand(this.stage, framesOf(cornersOf(this.frame), this.about?.views ?? 1));
  }

  private act(): void {
    if (this.about) this.look(poseOf(this.frame, this.about.locator));
  }

  private open(): void {
    this.stage.classList.toggle("by-hand", this.panel.open);
    this.stage.tabIndex = this.panel.open ? 0 : -1;
    this.moved();
  }

  private key(event: KeyboardEvent): void {
    const move = this.panel.open ? arrow(event) : undefined;
    if (move) this.place(this.frame.x + STEP * move[0], this.frame.y + STEP * move[1]);
    else if (this.panel.open && event.key === "Enter") this.act();
    else return;
    event.preventDefault();
  }

  private drag(event: PointerEvent): void {
    if (!this.panel.open || event.buttons !== 1) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const [x, y] = placeOn(this.stage, event);
    this.place(2 * x - 1, 2 * y - 1);
  }

  private place(x: number, y: number): void {
    this.change({ x: clamp(x, -1), y: clamp(y, -1) });
  }

  private change(changes: Partial<Frame>): void {
    this.frame = { ...this.frame, ...changes };
    this.moved();
  }
}

function valueOf(event: Event): number {
  return Number((event.target as HTMLInputElement).value);
}
