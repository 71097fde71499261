/** The page: it loads a model, hears what a person wants, and shows what the model does. */

import { checkFormat } from "./about";
import { StawmError } from "./errors";
import { getJson } from "./files";
import { Hands } from "./hands";
import { Pad } from "./pad";
import { element, showBars, showDrawing, showMemory, showStage, showStrip, sentence } from "./panels";
import { paintPicture } from "./paint";
import { readPicture } from "./pictures";
import { fromFragment, toFragment } from "./share";
import { type Source, pixelsOf } from "./source";
import { type Model, checkBrowser, load } from "./stawm";
import { Viewer } from "./viewer";

/** How long a glimpse is shown, in milliseconds, where motion is welcome. */
const PACE = 450;

const root = document.documentElement;
const status = element("status");
const models = element<HTMLSelectElement>("models");
const untilSlider = element<HTMLInputElement>("until");
const atSlider = element<HTMLInputElement>("at");
const fit = element<HTMLInputElement>("fit");

let model: Model | undefined;
let viewer: Viewer | undefined;
let source: Source = { sample: 0 };
let pixels: Float32Array | undefined;

const pad = new Pad(
  element<HTMLCanvasElement>("pad"),
  () => take({ strokes: pad.strokes }),
  (words) => (element("said").textContent = words),
);
const hands = new Hands(
  () => render(),
  (pose) => guarded(viewer?.place(pose)),
  () => model?.about.locator ?? "",
);

/** Show an error as a sentence; whatever happens, the page says so. */
function fail(error: unknown): void {
  root.dataset["state"] = "broken";
  status.className = "bad";
  status.textContent = error instanceof StawmError ? error.message : `Something went wrong: ${String(error)}`;
  element("progress").hidden = true;
}

function guarded(work: Promise<unknown> | undefined): void {
  work?.catch(fail);
}

/** Load a model and look at what is there to be looked at. */
async function open(name: string): Promise<void> {
  root.dataset["state"] = "loading";
  element("main").hidden = true;
  status.className = "";
  status.textContent = `Loading ${name} …`;
  const progress = element<HTMLProgressElement>("progress");
  progress.hidden = false;
  const loaded = await load(`models/${encodeURIComponent(name)}/`, {
    progress: (bytes, total) => {
      if (root.dataset["state"] !== "loading" || models.value !== name) return; // it has failed, or is not wanted any more
      progress.value = bytes / total;
      status.textContent = `Loading ${name}: ${(bytes / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
    },
  });
  if (models.value !== name) return; // another was chosen meanwhile
  model = loaded;
  const until = fromFragment(location.hash).until ?? model.about.until;
  viewer = new Viewer(model, until > 0.995 ? 2 : until, render, pause);
  untilSlider.value = String(until);
  await prove(model);
  status.textContent = "";
  progress.hidden = true;
  offer();
  element("main").hidden = false;
  if (!pixelsOf(source, model.about, fit.checked)) source = { strokes: pad.strokes };
  await lookAt();
}

/** Run the self-test, and say what came of it before anything else is shown. */
async function prove(tested: Model): Promise<void> {
  const badge = element("proof");
  const found = await tested.testItself();
  root.dataset["proof"] = found.ok ? "good" : "bad";
  badge.className = `badge ${found.ok ? "good" : "bad"}`;
  const where = `${found.output} after glimpse ${found.glimpse}`;
  const gap = `greatest gap ${found.gap.toExponential(1)} of ${where}, ${found.tolerance.toExponential(1)} allowed`;
  badge.textContent = found.ok
    ? `self-test passed: ${found.compared} numbers are PyTorch's (${gap})`
    : `self-test FAILED: this browser computes other numbers than PyTorch (${gap}). Do not trust what you see below.`;
}

/** Show what belongs to this model alone. */
function offer(): void {
  const { about } = model!;
  element("answer").hidden = element("until-line").hidden = !about.classes.length;
  element("drawing").hidden = !about.draws;
  element("fit-line").hidden = about.channels !== 1;
  fit.checked = about.channels === 1 && about.classes.every((name) => /^\d$/.test(name));
  atSlider.max = String(about.glimpses);
  hands.offer();
  const list = element("samples");
  list.replaceChildren(
    ...about.samples.map((sample, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Test image ${sample.name}`);
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [about.width, about.height];
      paintPicture(canvas, sample.pixels, about.channels, about.width, about.height);
      button.append(canvas);
      button.addEventListener("click", () => take({ sample: i }));
      return button;
    }),
  );
}

/** Take another image. */
function take(next: Source): void {
  source = next;
  if (!("strokes" in next)) pad.show([]);
  guarded(lookAt());
}

async function lookAt(): Promise<void> {
  if (!model || !viewer) return;
  pixels = pixelsOf(source, model.about, fit.checked);
  share();
  await viewer.look(pixels);
}

function render(): void {
  if (!model || !viewer || !pixels) return;
  const { about } = model;
  root.dataset["state"] = viewer.busy ? "looking" : "done";
  showStage(viewer, about, pixels);
  hands.paint();
  showBars(viewer.answers[viewer.at], about);
  showStrip(viewer, about);
  showMemory(viewer);
  showDrawing(viewer, about);
  atSlider.max = String(viewer.shown);
  atSlider.value = element("at-said").textContent = String(viewer.at);
  element<HTMLButtonElement>("resume").disabled = viewer.busy || viewer.full;
  element("until-said").textContent = untilOf() > 1 ? "nothing: it takes all glimpses" : `${Math.round(100 * untilOf())} %`;
  if (!viewer.busy) element("said").textContent = sentence(viewer, about);
}

/** The threshold of the slider; at its end it never stops. */
function untilOf(): number {
  const value = Number(untilSlider.value);
  return value > 0.995 ? 2 : value;
}

/** Put the state into the address. */
function share(): void {
  const shared = { model: models.value, until: Math.min(1, untilOf()), ...("picture" in source ? {} : source) };
  history.replaceState(null, "", `#${toFragment(shared)}`);
  const link = element<HTMLButtonElement>("link");
  link.disabled = "picture" in source;
  link.title = link.disabled ? "A picture of yours is on this machine alone, and in no link." : "";
}

function pause(): Promise<void> {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return Promise.resolve();
  return new Promise((resolve) => setTimeout(resolve, PACE));
}

async function takeFile(file: Blob | null | undefined): Promise<void> {
  if (!file) return;
  try {
    take({ picture: await readPicture(file) });
    status.textContent = "";
  } catch (error) {
    if (!(error instanceof StawmError)) throw error;
    status.className = "bad";
    status.textContent = error.message; // the model and what it saw last are still there
  }
}

async function copyLink(): Promise<void> {
  share();
  let said = "Copied: the link holds what you see.";
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    said = "Copy the address of this page: it holds what you see.";
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
    share();
    return viewer?.setUntil(untilOf());
  });
  on("models", "change", () => open(models.value));
  const file = element<HTMLInputElement>("file");
  on("file", "change", () => takeFile(file.files?.[0]));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    guarded(takeFile(event.dataTransfer?.files[0]));
  });
  addEventListener("hashchange", () => {
    restore();
    guarded(lookAt());
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
  const site = checkFormat(await getJson(new URL("site.json", document.baseURI)), "site.json");
  const names = site["models"] as string[];
  models.replaceChildren(...names.map((name) => new Option(name, name)));
  if (site["title"]) document.title = element("title").textContent = String(site["title"]);
  const project = String(site["project"] ?? "");
  if (/^https:\/\//.test(project)) {
    const link = Object.assign(document.createElement("a"), { href: project, textContent: "stawm" });
    element("project").replaceChildren(link);
  }
  const command = site["command"] ? `: ${site["command"]}` : "";
  element("made").textContent = `Made by stawm ${site["version"]}${command}`;
  listen();
  restore();
  await open(models.value);
}

main().catch(fail);
