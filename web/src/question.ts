/** What the model is asked: its class, or a question to its memory, chosen from a list or by pointing at a place. */

import type { About } from "./about";
import type { Answer, Verdict } from "./looking";
import { paintPlace } from "./paint";
import { element } from "./panels";
import { placeOn } from "./pointing";

/** What is shown of answers: a verdict, the names of what it is about, and how it is asked for. */
export interface Shown {
  names: readonly string[];
  verdictOf(answer: Answer): Verdict;
  /** The name of the question; empty where the class is asked for. */
  asked: string;
}

/** The controls by which a person asks. */
export class Question {
  private about: About | undefined;
  private readonly stage = element<HTMLCanvasElement>("stage");
  private readonly list = element<HTMLSelectElement>("question");

  /** @param asked Called when another question is asked. */
  constructor(private readonly asked: () => void) {
    this.list.addEventListener("change", asked);
    this.stage.addEventListener("click", (event) => this.point(event));
  }

  /**
   * Offer the questions that a model takes.
   *
   * @param about What is known of the model.
   * @param chosen The number of the question to begin with; the first of the list where there is none of that number.
   */
  offer(about: About, chosen?: number): void {
    const { questions, classes } = about;
    this.about = about;
    const options = (questions?.names ?? []).map((name, i) => new Option(name, String(i)));
    if (classes.length) options.unshift(new Option("the class of the image", ""));
    this.list.replaceChildren(...options);
    const known = options.some(({ value }) => value === String(chosen));
    if (known) this.list.value = String(chosen);
    element("question-line").hidden = !questions;
    element("point-words").hidden = !questions?.places;
    this.stage.classList.toggle("askable", questions?.places !== undefined);
  }

  /** Return what is asked now. */
  shown(about: About): Shown {
    const number = this.number;
    if (number === undefined) return { names: about.classes, verdictOf: (answer) => answer, asked: "" };
    const { names, answers } = about.questions!;
    return { names: answers, verdictOf: (answer) => answer.recalled[number]!, asked: names[number]! };
  }

  /** Mark the place that is asked about. */
  paint(): void {
    const place = this.number === undefined ? undefined : this.about?.questions?.places?.[this.number];
    if (place) paintPlace(this.stage, place);
  }

  /** The number of the question that is asked, where it is not the one that a model begins with. */
  get moved(): number | undefined {
    return this.list.selectedIndex > 0 ? this.number : undefined;
  }

  private get number(): number | undefined {
    return this.about?.questions && this.list.value !== "" ? Number(this.list.value) : undefined;
  }

  private point(event: MouseEvent): void {
    const places = this.about?.questions?.places;
    if (!places || element<HTMLDetailsElement>("hand").open) return;
    const [x, y] = placeOn(this.stage, event);
    const far = places.map(([px, py]) => Math.hypot(2 * x - 1 - px, 2 * y - 1 - py));
    this.list.value = String(far.indexOf(Math.min(...far)));
    this.asked();
  }
}
