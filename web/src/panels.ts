/** The parts of the page that show what a viewer knows. All words are put in as text, never as markup. */

import type { About } from "./about";
import { type Answer, type Glimpse, sharesOf } from "./looking";
import { paintFrames, paintMatrix, paintPicture } from "./paint";
import type { Shown } from "./question";
import type { Viewer } from "./viewer";

/** The most classes that have a bar. */
const BARS = 10;

/** The least side of an image that needs a larger thumbnail to be seen, in pixels. */
const SMALL = 48;

/** Return an element of the page. */
export function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** Show the images that come with a model, and tell which one is chosen. */
export function showSamples(about: About, chosen: (index: number) => void): void {
  const buttons = about.samples.map((sample, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Test image ${sample.name}`);
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [about.width, about.height];
    paintPicture(canvas, sample.pixels, about.channels, about.width, about.height);
    button.append(canvas);
    button.addEventListener("click", () => chosen(i));
    return button;
  });
  const list = element("samples");
  list.classList.toggle("scenes", Math.min(about.width, about.height) > SMALL);
  list.replaceChildren(...buttons);
}

/** Mark the image that is looked at, where it is one of those that come with a model. */
export function markSample(chosen: number | undefined): void {
  [...element("samples").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === chosen)));
}

/** Show the image, and the frames of the glimpses up to the one that is shown. */
export function showStage(viewer: Viewer, about: About, pixels: Float32Array): void {
  const stage = element<HTMLCanvasElement>("stage");
  fitCanvas(stage, about);
  paintPicture(stage, pixels, about.channels, about.width, about.height);
  paintFrames(stage, viewer.glimpses.slice(0, viewer.at));
  stage.setAttribute("aria-label", `The image as the model sees it, with the frames of ${viewer.at} glimpses`);
}

/** Give a canvas the aspect of a model's images. */
function fitCanvas(canvas: HTMLCanvasElement, { width, height }: About): void {
  const wanted = Math.round((canvas.width * height) / width);
  if (canvas.height !== wanted) canvas.height = wanted;
}

/** Show the probabilities of what is asked as bars. */
export function showBars(found: Answer | undefined, { names, verdictOf }: Shown): void {
  const list = element("bars");
  const order = names.map((_, i) => i);
  const answer = found && verdictOf(found);
  if (answer && names.length > BARS) order.sort((a, b) => answer.probabilities[b]! - answer.probabilities[a]!);
  const rows = rowsOf(list, Math.min(order.length, BARS), () => {
    const row = document.createElement("li");
    row.append(make("span", "name"), make("span", "bar"), make("span", "number"));
    row.children[1]!.append(make("span", "fill"));
    return row;
  });
  rows.forEach((row, i) => {
    const index = order[i]!;
    const share = answer?.probabilities[index] ?? 0;
    const [name, bar, number] = [...row.children] as HTMLElement[];
    row.className = answer?.best === index ? "best" : "";
    name!.textContent = name!.title = names[index]!;
    (bar!.firstElementChild as HTMLElement).style.width = `${100 * share}%`;
    number!.textContent = answer ? percent(share) : "";
    row.dataset["probability"] = String(share);
  });
}

/** Show each glimpse: what was seen, what was sketched of it, what the answer was after it. */
export function showStrip(viewer: Viewer, about: About, shown: Shown): void {
  const rows = rowsOf(element("strip"), viewer.glimpses.length, (i) => card(viewer, i));
  const answer = viewer.answers[viewer.at];
  const shares = answer && !shown.asked ? sharesOf(answer, viewer.glimpses.slice(0, viewer.at)) : [];
  const best = answer?.best ?? -1;
  const most = Math.max(...shares.map((share) => Math.abs(share?.[best] ?? 0)), 1e-6);
  rows.forEach((row, i) => {
    const glimpse = viewer.glimpses[i]!;
    const written = glimpse.steer.written !== false;
    row.className = `${viewer.at === i + 1 ? "now " : ""}${written ? "" : "out"}`;
    showPictures(row.querySelector(".pictures")!, glimpse, viewer.sketch(i + 1), about);
    row.querySelector(".words")!.textContent = wordsOf(viewer.answers[i + 1], glimpse, shown, i);
    row.querySelector("input")!.checked = written;
    showShare(row.querySelector(".share")!, shares[i]?.[best], most, about.classes[best]);
    showMost(row.querySelector(".most")!, shares[i], about.classes);
  });
}

function card(viewer: Viewer, i: number): HTMLElement {
  const row = document.createElement("li");
  const show = document.createElement("button");
  show.type = "button";
  show.className = "show";
  show.setAttribute("aria-label", `Show glimpse ${i + 1}`);
  show.append(make("span", "pictures"));
  show.addEventListener("click", () => viewer.goTo(i + 1));
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", `Glimpse ${i + 1} is written to the memory`);
  box.addEventListener("change", () => void viewer.setWritten(i, box.checked));
  label.append(box, "written");
  row.append(show, make("div", "words"), make("div", "share"), make("div", "most"), label);
  return row;
}

/** Show how much a glimpse speaks for the answer, or against it. */
function showShare(place: HTMLElement, share: number | undefined, most: number, name: string | undefined): void {
  place.hidden = share === undefined || name === undefined;
  if (share === undefined || name === undefined) return;
  const bar = rowsOf(place, 1, () => make("i", ""))[0]!;
  const width = (50 * Math.abs(share)) / most;
  bar.className = share < 0 ? "against" : "";
  bar.style.left = `${share < 0 ? 50 - width : 50}%`;
  bar.style.width = `${width}%`;
  place.dataset["share"] = String(share);
  place.title = `${share < 0 ? "" : "+"}${share.toFixed(2)} for ${name}`;
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", place.title);
}

/** Say for which class a glimpse speaks most. */
function showMost(place: HTMLElement, shares: Float32Array | undefined, classes: readonly string[]): void {
  place.hidden = !shares?.length;
  if (shares) place.textContent = `speaks for ${classes[shares.indexOf(Math.max(...shares))]}`;
}

function showPictures(place: Element, glimpse: Glimpse, sketch: { pixels: Float32Array; channels: number } | undefined, about: About): void {
  const size = about.channels * glimpse.side ** 2;
  const shown = glimpse.frames.map((_, view) => ({
    pixels: glimpse.pixels.subarray(view * size, (view + 1) * size),
    channels: about.channels,
    width: glimpse.side,
    height: glimpse.side,
  }));
  if (sketch && (sketch.channels === 1 || sketch.channels === 3)) {
    shown.push({ ...sketch, width: about.width, height: about.height });
  }
  place.classList.toggle("many", shown.length > 2);
  const canvases = rowsOf(place as HTMLElement, shown.length, () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 96;
    return canvas;
  }) as HTMLCanvasElement[];
  shown.forEach((one, i) => paintPicture(canvases[i]!, one.pixels, one.channels, one.width, one.height));
}

function wordsOf(answer: Answer | undefined, glimpse: Glimpse, { names, verdictOf }: Shown, i: number): string {
  const by = glimpse.steer.pose ? ", by hand" : "";
  const found = answer && verdictOf(answer);
  if (!found || found.best < 0) return `${i + 1}${by}`;
  return `${i + 1}${by}: ${names[found.best]}, ${percent(found.confidence)}`;
}

/** Show the memory as it was after the glimpse that is shown, as bright as it gets in this look. */
export function showMemory(viewer: Viewer): void {
  const matrix = viewer.answers[viewer.at]?.matrix;
  if (!matrix) return;
  const greatest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = Math.max(...viewer.answers.slice(0, viewer.shown + 1).map((answer) => greatest(answer.matrix!)));
  const canvas = element<HTMLCanvasElement>("matrix");
  const side = Math.round(Math.sqrt(matrix.length));
  paintMatrix(canvas, matrix, scale);
  const used = matrix.reduce((count, value) => count + (value ? 1 : 0), 0);
  element("matrix-said").textContent =
    `W, ${side} by ${side}, after ${viewer.at} of ${viewer.shown} glimpses: ${percent(used / matrix.length)} of it is ` +
    `not zero, and its greatest entry is ${greatest(matrix).toPrecision(2)}.`;
}

/** Show what was drawn up to the glimpse that is shown, and where the model looked. */
export function showDrawing(viewer: Viewer, about: About): void {
  const drawn = viewer.answers[viewer.at]?.canvas;
  if (!drawn) return;
  const canvas = element<HTMLCanvasElement>("canvas");
  fitCanvas(canvas, about);
  paintPicture(canvas, drawn, about.channels, about.width, about.height);
  if (viewer.at) paintFrames(canvas, [viewer.glimpses[viewer.at - 1]!]);
}

/** Say in a sentence what the model answers. */
export function sentence(viewer: Viewer, { names, verdictOf, asked }: Shown): string {
  const found = viewer.answers[viewer.at];
  if (!found) return "";
  const answer = verdictOf(found);
  const after = viewer.at === 1 ? "After 1 glimpse" : `After ${viewer.at} glimpses`;
  const without = viewer.glimpses.slice(0, viewer.at).filter(({ steer }) => steer.written === false).length;
  const of = without ? ` (${without} of them not written)` : "";
  if (answer.best < 0) return `${after}${of} of ${viewer.shown}.`;
  const about = asked ? `, asked for “${asked}”` : "";
  return `${after}${of}${about}: ${names[answer.best]}, by ${percent(answer.confidence)}.`;
}

/** Return as many children of an element as are wanted; those that are there stay, so that focus is kept. */
function rowsOf(list: HTMLElement, count: number, makeOne: (i: number) => HTMLElement): HTMLElement[] {
  while (list.children.length > count) list.lastElementChild!.remove();
  while (list.children.length < count) list.append(makeOne(list.children.length));
  return [...list.children] as HTMLElement[];
}

function make(tag: string, name: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}
