/** A sheet to draw on: with a mouse, a finger, a pen, or the keyboard. */

import type { Stroke } from "./ink";
import { arrow, clamp, placeOn } from "./pointing";

/** How far an arrow key moves the pen. */
const STEP = 0.04;

/** A drawing pad. */
export class Pad {
  strokes: number[][] = [];
  private thick = 1 / 12;
  private pen = { x: 0.5, y: 0.5, down: false, shown: false };

  /**
   * @param canvas Where it is.
   * @param finished Called when a stroke has ended, or one was taken away.
   * @param say Tells a person who does not see it what the pen does.
   */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly finished: () => void,
    private readonly say: (words: string) => void,
  ) {
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => this.end());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.showPen(false));
    this.paint();
  }

  /** Put strokes on the sheet in place of what is there. */
  show(strokes: readonly Stroke[]): void {
    this.strokes = strokes.map((stroke) => [...stroke]);
    this.pen.down = false;
    this.paint();
  }

  /** Draw with a pen as thick as a share of the sheet. */
  setPen(thick: number): void {
    this.thick = thick;
    this.paint();
  }

  /** Take the last stroke away. */
  undo(): void {
    this.pen.down = false;
    this.strokes.pop();
    this.paint();
    this.finished();
  }

  private begin(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.canvas.setPointerCapture(event.pointerId);
    this.pen.down = true;
    this.pen.shown = false;
    this.strokes.push([...placeOn(this.canvas, event)]);
    this.paint();
  }

  private move(event: PointerEvent): void {
    if (!this.pen.down || !this.canvas.hasPointerCapture(event.pointerId)) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const one of between.length ? between : [event]) this.strokes.at(-1)!.push(...placeOn(this.canvas, one));
    this.paint();
  }

  private end(): void {
    if (!this.pen.down) return;
    this.pen.down = false;
    this.finished();
  }

  private key(event: KeyboardEvent): void {
    const move = arrow(event);
    if (move) {
      this.pen.x = clamp(this.pen.x + STEP * move[0]);
      this.pen.y = clamp(this.pen.y + STEP * move[1]);
      if (this.pen.down) this.strokes.at(-1)!.push(this.pen.x, this.pen.y);
    } else if (event.key === " ") {
      if (this.pen.down) this.end();
      else {
        this.pen.down = true;
        this.strokes.push([this.pen.x, this.pen.y]);
      }
      this.say(this.pen.down ? "Pen down" : "Pen lifted");
    } else if (event.key === "Backspace" || event.key === "Delete") {
      this.undo();
      this.say("Last stroke taken away");
    } else return;
    event.preventDefault();
    this.showPen(true);
  }

  private showPen(shown: boolean): void {
    if (!shown && this.pen.shown) this.end();
    this.pen.shown = shown;
    this.paint();
  }

  private paint(): void {
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d")!;
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (!this.strokes.length && !this.pen.shown) {
      context.fillStyle = "#9aa4af";
      context.font = `${width / 16}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.fillText("Draw here", width / 2, height / 2);
    }
    context.strokeStyle = "#fff";
    context.lineWidth = width * this.thick;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0]! * width, stroke[1]! * height);
      for (let i = 0; i + 1 < stroke.length; i += 2) context.lineTo(stroke[i]! * width, stroke[i + 1]! * height);
      context.stroke();
    }
    if (!this.pen.shown) return;
    context.strokeStyle = this.pen.down ? "#ff8a3d" : "#6db3ff";
    context.lineWidth = width / 100;
    context.beginPath();
    context.arc(this.pen.x * width, this.pen.y * height, width / 24, 0, 2 * Math.PI);
    context.stroke();
  }
}
