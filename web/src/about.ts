/** What a site says of a model, read from `model.json`: the graphs' own description, and the files beside it. */

import { StawmError } from "./errors";
import type { FileFacts } from "./files";

/** The format of the files that this module reads. */
export const FORMAT = "1";

/** The parts of a model: from an image to a state, from a state to the next, from a state to answers. */
export const PARTS = ["init", "glimpse", "read"] as const;
export type Part = (typeof PARTS)[number];

/** An image that comes with a model. */
export interface Sample {
  /** What it is, in a word. */
  name: string;
  /** Its pixels in [0, 1], channels first. */
  pixels: Float32Array;
}

/** Thresholds that were tuned: the confidence that is needed after each glimpse, in softmax(logits / temperature). */
export interface Stopping {
  thresholds: number[];
  temperatures: number[];
}

/** The questions that a model can be asked after it looked. */
export interface Questions {
  /** What they are called. */
  names: string[];
  /** The names of the answers. */
  answers: string[];
  /** The place that each is about, x and y in an image that goes from -1 to 1; undefined where they are about none. */
  places: [number, number][] | undefined;
}

/** What is known of a model before it is loaded. */
export interface About {
  name: string;
  channels: number;
  height: number;
  width: number;
  /** How many glimpses it has room for. */
  glimpses: number;
  /** The names of the classes; empty where it does not classify. */
  classes: string[];
  draws: boolean;
  /** What it can be asked about an image; undefined where it cannot be asked. */
  questions: Questions | undefined;
  /** Subtracted from the pixels, one number or one a channel. */
  mean: number[];
  /** Then the pixels are divided by it. */
  std: number[];
  /** The name of the locator, such as `affine`, whose poses have as many numbers. */
  locator: string;
  poseSize: number;
  /** How many views a glimpse has, each twice as wide as the one before. */
  views: number;
  /** Half the side of a frame of which only the place is chosen, in an image that goes from -1 to 1. */
  frame: number;
  /** Whether frames are squares in pixels, whatever the aspect of the image. */
  square: boolean;
  /** The probability at which it counts as sure. */
  until: number;
  /** When it stops instead, where that was tuned. */
  stopping: Stopping | undefined;
  /** `fp32` or `int8`. */
  precision: string;
  samples: Sample[];
  /** Whether they are of the ten digits that come with stawm. */
  digits: boolean;
  files: Record<Part, FileFacts>;
  selfTest: FileFacts;
}

type Json = { [key: string]: any };

/**
 * Read what `model.json` says.
 *
 * @throws StawmError It is of another format, or is damaged.
 */
export function readAbout(found: unknown): About {
  const said = checkFormat(found, "model.json");
  try {
    const { channels, height, width, mean, std } = said["preprocessing"] as Json;
    const outputs = said["outputs"] as Record<Part, Record<string, (number | string)[]>>;
    const count = Number(outputs.read["logits"]?.[1] ?? 0);
    const names = said["class_names"] as string[];
    const locator = said["locator"] as Json;
    const views = Number(outputs.glimpse["glimpses"]![1]) / channels;
    return {
      name: String(said["preset"]),
      channels,
      height,
      width,
      glimpses: said["glimpses"],
      classes: Array.from({ length: count }, (_, i) => names[i] ?? `class ${i}`),
      draws: "canvas" in outputs.read,
      questions: said["questions"] ? readQuestions(said["questions"]) : undefined,
      mean: mean.map(Number),
      std: std.map(Number),
      locator: String(locator["name"]),
      poseSize: Number(outputs.glimpse["pose"]![1]),
      views,
      frame: locator["width"] ?? 0.5 ** (views - 1),
      square: Boolean(locator["square"]),
      until: said["until"],
      stopping: said["stopping"] ?? undefined,
      precision: String(said["precision"]),
      samples: said["samples"].map((one: Json) => ({
        name: String(one["name"]),
        pixels: Float32Array.from(bytesOf(one["pixels"]), (byte) => byte / 255),
      })),
      digits: said["digits"] ?? true,
      files: said["files"],
      selfTest: said["self_test"],
    };
  } catch (error) {
    throw new StawmError(`model.json is damaged (${String(error)}). Write the site anew with \`stawm web\`.`);
  }
}

function readQuestions({ names, answers, places }: Json): Questions {
  return { names: names.map(String), answers: answers.map(String), places: places?.map((at: number[]) => at.map(Number)) };
}

/** What a site says of itself. */
export interface Site {
  title: string;
  version: string;
  /** The address of the project; empty where it has none. */
  project: string;
  /** The command that made it. */
  command: string;
  /** The names of its models. */
  models: string[];
}

/**
 * Read what `site.json` says.
 *
 * @throws StawmError It is of another format, or is damaged.
 */
export function readSite(found: unknown): Site {
  const said = checkFormat(found, "site.json");
  const models = Array.isArray(said["models"]) ? said["models"].map(String) : [];
  if (!models.length) throw new StawmError("site.json is damaged: it names no model. Write the site anew with `stawm web`.");
  const [title, version, project, command] = ["title", "version", "project", "command"].map((name) => String(said[name] ?? ""));
  return { title: title!, version: version!, project: project!, command: command!, models };
}

/** Return a file of a site as an object, if it is of the format that is read here. */
export function checkFormat(found: unknown, file: string): Json {
  const said = (found ?? {}) as Json;
  if (said["stawm.web"] !== FORMAT) {
    throw new StawmError(
      `${file} is of the format ${JSON.stringify(said["stawm.web"] ?? null)}, and this page reads "${FORMAT}": ` +
        "page and model are of different versions of stawm. Write the whole site anew with `stawm web`.",
    );
  }
  return said;
}

/** Return bytes that are written as base64. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

/** Return numbers in single precision, little endian, that are written as base64. */
export function floatsOf(text: string): Float32Array {
  const view = new DataView(bytesOf(text).buffer);
  return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
