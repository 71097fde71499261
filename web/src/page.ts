/** The page: it loads a model, hears what a person wants, and shows what the model does. */

import { readSite } from "./about";
import { StawmError } from "./errors";
import { getJson } from "./files";
import { Hand } from "./hand";
import { penOf } from "./ink";
import { fail, prove, sayLoaded, sayLoading, sayProgress, sayRefused } from "./notices";
import { Pad } from "./pad";
import { element, markSample, showBars, showDrawing, showMemory, showSamples, showStage, showStrip, sentence } from "./panels";
import { readPicture } from "./pictures";
import { Question } from "./question";
import { fromFragment, toFragment } from "./share";
import { type Source, pixelsOf, takesDigits } from "./source";
import { type Model, checkBrowser, load } from "./stawm";
import { type Until, ruleOf, wordsOf } from "./sure";
import { Viewer } from "./viewer";

/** How long a glimpse is shown, in milliseconds, where motion is welcome. */
const PACE = 450;

const root = document.documentElement;
const models = element<HTMLSelectElement>("models");
const untilSlider = element<HTMLInputElement>("until");
const atSlider = element<HTMLInputElement>("at");
const tuned = element<HTMLInputElement>("tuned");
const fit = element<HTMLInputElement>("fit");

let model: Model | undefined;
let viewer: Viewer | undefined;
let source: Source = { sample: 0 };
let pixels: Float32Array | undefined;
/** Called when the first answer of a model is shown. */
let answered: () => void = () => undefined;

const pad = new Pad(
  element<HTMLCanvasElement>("pad"),
  () => take({ strokes: pad.strokes }),
  (words) => (element("said").textContent = words),
);
const hand = new Hand(
  () => render(),
  (pose) => guarded(viewer?.place(pose)),
);
const question = new Question(() => {
  share();
  render();
});

/** Show what goes wrong, unless another model was chosen meanwhile. */
function guarded(work: Promise<unknown> | undefined): void {
  const whose = viewer;
  work?.catch((error) => viewer === whose && fail(error));
}

/** Choose a model. */
function choose(name: string): Promise<void> {
  return open(name).catch((error) => {
    if (models.value === name) fail(error);
  });
}

/** Load a model and look at what is there to be looked at. */
async function open(name: string): Promise<void> {
  void model?.close();
  model = viewer = undefined;
  sayLoading(name);
  const loaded = await load(`models/${encodeURIComponent(name)}/`, {
    progress: (bytes, total) => models.value === name && sayProgress(name, bytes, total),
  });
  if (models.value !== name) return void loaded.close(); // another was chosen meanwhile
  model = loaded;
  offer();
  viewer = new Viewer(model, untilOf(), render, pause);
  sayLoaded();
  if (!pixelsOf(source, model.about, fit.checked)) source = { strokes: pad.strokes };
  const first = new Promise<void>((resolve) => (answered = resolve));
  guarded(lookAt());
  await first;
  await prove(loaded, () => model === loaded);
}

/** Show what belongs to this model alone. */
function offer(): void {
  const { about } = model!;
  const shared = fromFragment(location.hash);
  untilSlider.value = String(shared.until ?? about.until);
  tuned.checked = about.stopping !== undefined && shared.until === undefined;
  element("tuned-line").hidden = !about.stopping || !about.classes.length;
  element("answer").hidden = !about.classes.length && !about.questions;
  element("until-line").hidden = !about.classes.length;
  element("shares-said").hidden = !about.classes.length;
  question.offer(about, shared.question);
  element("drawing").hidden = !about.draws;
  element("fit-line").hidden = about.channels !== 1;
  element("digits-said").hidden = !about.digits;
  fit.checked = shared.fit ?? takesDigits(about);
  atSlider.max = String(about.glimpses);
  hand.offer(about);
  showSamples(about, (sample) => take({ sample }));
}

/** Take another image. */
function take(next: Source): void {
  source = next;
  if (!("strokes" in next)) pad.show([]);
  guarded(lookAt());
}

async function lookAt(): Promise<void> {
  if (!model || !viewer) return;
  const { about } = model;
  pixels = pixelsOf(source, about, fit.checked);
  pad.setPen(penOf(fit.checked ? 0 : Math.min(about.width, about.height)));
  markSample("sample" in source ? source.sample : undefined);
  share();
  await viewer.look(pixels);
}

function render(): void {
  if (!model || !viewer || !pixels) return;
  const { about } = model;
  root.dataset["state"] = viewer.busy ? "looking" : "done";
  showStage(viewer, about, pixels);
  hand.paint();
  question.paint();
  const shown = question.shown(about);
  showBars(viewer.answers[viewer.at], shown);
  showStrip(viewer, about, shown);
  showMemory(viewer);
  showDrawing(viewer, about);
  atSlider.max = String(viewer.shown);
  atSlider.value = element("at-said").textContent = String(viewer.at);
  element<HTMLButtonElement>("resume").disabled = viewer.busy || viewer.full;
  element("until-said").textContent = wordsOf(untilOf());
  if (!viewer.busy) element("said").textContent = sentence(viewer, shown);
  if (viewer.at > 0 || !viewer.busy) answered();
}

/** When the model stops. */
function untilOf(): Until {
  return (tuned.checked && model?.about.stopping) || ruleOf(Number(untilSlider.value));
}

function setUntil(): Promise<void> | undefined {
  share();
  return viewer?.setUntil(untilOf());
}

/** Put the state into the address. */
function share(): void {
  const { about } = model!;
  const moved = !tuned.checked && (about.stopping || Number(untilSlider.value) !== about.until);
  const shared = {
    model: models.value,
    ...(moved && { until: Number(untilSlider.value) }),
    ...(fit.checked !== takesDigits(about) && { fit: fit.checked }),
    ...(question.moved !== undefined && { question: question.moved }),
    ...("picture" in source ? {} : source),
  };
  history.replaceState(null, "", `#${toFragment(shared)}`);
  const link = element<HTMLButtonElement>("link");
  link.disabled = "picture" in source;
  link.title = link.disabled ? "A picture of yours is on this machine alone, and in no link." : "";
}

function pause(): Promise<void> {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return new Promise((resolve) => setTimeout(resolve, still ? 0 : PACE));
}

async function takeFile(file: Blob | null | undefined): Promise<void> {
  if (!file) return;
  try {
    take({ picture: await readPicture(file) });
    sayRefused("");
  } catch (error) {
    if (!(error instanceof StawmError)) throw error;
    sayRefused(error.message); // the model and what it saw last are still there
  }
}

async function copyLink(): Promise<void> {
  share();
  let said = "Copied: the link holds the model, the image, when it stops and what it is asked.";
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    said = "Copy the address of this page: it holds the model, the image, when it stops and what it is asked.";
  }
  element("said").textContent = said;
}

function listen(): void {
  const on = (id: string, kind: string, act: () => unknown) => element(id).addEventListener(kind, () => guarded(Promise.resolve(act())));
  on("undo", "click", () => pad.undo());
  on("clear", "click", () => {
    pad.show([]);
    take({ strokes: [] });
  });
  on("again", "click", () => viewer?.look());
  on("resume", "click", () => viewer?.resume());
  on("link", "click", copyLink);
  on("fit", "change", lookAt);
  on("at", "input", () => viewer?.goTo(Number(atSlider.value)));
  on("until", "input", () => {
    tuned.checked = false;
    return setUntil();
  });
  on("tuned", "change", setUntil);
  on("models", "change", () => {
    history.replaceState(null, "", location.pathname); // what was shared was of another model
    return choose(models.value);
  });
  const file = element<HTMLInputElement>("file");
  on("file", "change", () => takeFile(file.files?.[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    guarded(takeFile(event.dataTransfer?.files[0]));
  });
  addEventListener("hashchange", () => {
    restore();
    void choose(models.value);
  });
  addEventListener("unhandledrejection", (event) => fail(event.reason));
}

/** Take up the state that the address holds. */
function restore(): void {
  const shared = fromFragment(location.hash);
  if (shared.strokes) {
    pad.show(shared.strokes);
    source = { strokes: pad.strokes };
  } else if (shared.sample !== undefined) source = { sample: shared.sample };
  if (shared.model && [...models.options].some(({ value }) => value === shared.model)) models.value = shared.model;
}

async function main(): Promise<void> {
  checkBrowser();
  const site = readSite(await getJson(new URL("site.json", document.baseURI)));
  models.replaceChildren(...site.models.map((name) => new Option(name, name)));
  if (site.title) document.title = element("title").textContent = site.title;
  if (/^https?:\/\//.test(site.project)) {
    const link = Object.assign(document.createElement("a"), { href: site.project, textContent: "stawm" });
    element("project").replaceChildren(link);
  }
  element("version").textContent = site.version;
  if (site.command) element("command").textContent = site.command;
  element("made").hidden = false;
  listen();
  restore();
  await choose(models.value);
}

main().catch(fail);
