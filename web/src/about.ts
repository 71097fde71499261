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
  /** Subtracted from the pixels, one number or one a channel. */
  mean: number[];
  /** Then the pixels are divided by it. */
  std: number[];
  /** The name of the locator, such as `affine`, whose poses have as many numbers. */
  locator: string;
  poseSize: number;
  /** The probability at which it counts as sure. */
  until: number;
  /** `fp32` or `int8`. */
  precision: string;
  samples: Sample[];
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
    return {
      name: String(said["preset"]),
      channels,
      height,
      width,
      glimpses: said["glimpses"],
      classes: Array.from({ length: count }, (_, i) => names[i] ?? `class ${i}`),
      draws: "canvas" in outputs.read,
      mean: mean.map(Number),
      std: std.map(Number),
      locator: String(said["locator"]?.name ?? said["locator"]),
      poseSize: Number(outputs.glimpse["pose"]![1]),
      until: said["until"],
      precision: String(said["precision"]),
      samples: said["samples"].map((one: Json) => ({
        name: String(one["name"]),
        pixels: Float32Array.from(bytesOf(one["pixels"]), (byte) => byte / 255),
      })),
      files: said["files"],
      selfTest: said["self_test"],
    };
  } catch (error) {
    throw new StawmError(`model.json is damaged (${String(error)}). Write the site anew with \`stawm web\`.`);
  }
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
