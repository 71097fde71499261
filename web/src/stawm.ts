/**
 * A stawm model in the browser: load it, let it look step by step, ask it, see what it draws.
 *
 * The site that `stawm web` writes holds this module as `assets/stawm.js`; any page can import it.
 *
 * ```ts
 * import { drawn, load } from "./site/assets/stawm.js";
 * const model = await load("./site/models/stawm-mnist-sketchpad.fast/");
 * const looking = await model.begin(drawn([[0.3, 0.2, 0.7, 0.2, 0.4, 0.9]], 28, 28)); // a stroke, or 784 numbers
 * let answer = await looking.ask();
 * while (looking.count < model.about.glimpses && answer.confidence < 0.99) {
 *   const { corners } = await looking.step(); // where it looks, x and y from -1 to 1
 *   answer = await looking.ask(); // what it says and has drawn so far, and its memory
 *   console.log(corners, answer.canvas, answer.matrix);
 * }
 * console.log(model.about.classes[answer.best], answer.confidence);
 * ```
 */

import { type About, PARTS, checkFormat, readAbout } from "./about";
import { StawmError } from "./errors";
import { type FileFacts, type Progress, getFile, getJson, keepFetched } from "./files";
import { type Graphs, Looking } from "./looking";
import { Graph, start } from "./runtime";
import { type SelfTest, runSelfTest } from "./selftest";

export type { About, Questions, Sample } from "./about";
export type { FileFacts, Progress } from "./files";
export type { Answer, Glimpse, Looking, Steer, Verdict } from "./looking";
export type { SelfTest } from "./selftest";
export type { Stroke } from "./ink";
export { drawn } from "./ink";
export { sharesOf } from "./looking";
export { StawmError } from "./errors";
export { checkBrowser } from "./runtime";

/** How a model is loaded. */
export interface LoadOptions {
  /** The folder with ONNX Runtime and its `runtime.json`; `runtime/` of the same site, where left out. */
  runtime?: URL | string;
  /** Told how many bytes of model and runtime have come of how many. */
  progress?: Progress;
}

/**
 * Load a model.
 *
 * @param folder The folder of the model in a site, with `model.json` and three graphs.
 * @param options Where the runtime is, and who is told of the progress.
 * @throws StawmError A file is missing, damaged or of another version, or the browser cannot run it.
 */
export async function load(folder: URL | string, options: LoadOptions = {}): Promise<Model> {
  const base = asFolder(folder);
  const runtimeBase = asFolder(options.runtime ?? new URL("../../runtime/", base));
  const about = readAbout(await getJson(new URL("model.json", base)));
  const runtime = checkFormat(await getJson(new URL("runtime.json", runtimeBase)), "runtime.json") as unknown as FileFacts;
  const told = sum(options.progress, [runtime, ...PARTS.map((part) => about.files[part])]);
  const started = start(runtimeBase, runtime, told(0));
  const opened = PARTS.map(async (part, i) => {
    const bytes = await getFile(base, about.files[part], told(i + 1));
    await started;
    return [part, await Graph.open(part, bytes)] as const; // what has come is opened while the rest still comes
  });
  const graphs = Object.fromEntries(await Promise.all([...opened])) as Graphs;
  void keepFetched();
  return new Model(base, about, graphs);
}

/** A model that is ready to look. */
export class Model {
  /** Models are made by `load`. */
  constructor(
    private readonly base: URL,
    /** What is known of it: its sizes, its classes, the images that come with it. */
    readonly about: About,
    private readonly graphs: Graphs,
  ) {}

  /**
   * Begin to look at an image.
   *
   * @param pixels Numbers from 0 to 1, channels first, as many as the model's images have.
   * @throws StawmError There are more or fewer.
   */
  begin(pixels: Float32Array): Promise<Looking> {
    const { channels, height, width, mean, std } = this.about;
    if (pixels.length !== channels * height * width) {
      throw new StawmError(
        `${this.about.name} takes images of ${channels}x${height}x${width} pixels, ` +
          `${channels * height * width} numbers; got ${pixels.length}.`,
      );
    }
    const plane = height * width;
    const normalised = pixels.map((value, i) => {
      const channel = Math.floor(i / plane);
      return (value - (mean[channel] ?? mean[0]!)) / (std[channel] ?? std[0]!);
    });
    return Looking.begin(this.about, this.graphs, normalised);
  }

  /**
   * Run the images that came with the model, and compare with what PyTorch gave for them.
   *
   * @throws StawmError The file of the self-test is missing or damaged.
   */
  async testItself(): Promise<SelfTest> {
    const bytes = await getFile(this.base, this.about.selfTest);
    void keepFetched();
    let file: unknown;
    try {
      file = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw new StawmError("selftest.json is damaged: it is not JSON. Write the site anew with `stawm web`.");
    }
    return runSelfTest(file, (pixels) => Looking.begin(this.about, this.graphs, pixels));
  }

  /** Give the memory back that it takes, as soon as what was asked of it is done; it cannot be used any more. */
  async close(): Promise<void> {
    await Promise.all(PARTS.map((part) => this.graphs[part].close()));
  }
}

function asFolder(given: URL | string): URL {
  const url = new URL(given, globalThis.document?.baseURI ?? globalThis.location?.href);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** Add up the progress of several files. */
function sum(progress: Progress | undefined, files: FileFacts[]): (i: number) => Progress {
  const loaded = files.map(() => 0);
  const total = files.reduce((all, file) => all + file.bytes, 0);
  return (i) => (bytes) => {
    loaded[i] = bytes;
    progress?.(loaded.reduce((all, one) => all + one), total);
  };
}
