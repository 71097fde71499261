/** ONNX Runtime in WebAssembly, on one thread. */

import * as ort from "onnxruntime-web/wasm";

import type { Part } from "./about";
import { StawmError } from "./errors";
import { type FileFacts, type Progress, getFile, unpack } from "./files";

/** Tensors by name, in single precision. */
export type Tensors = Record<string, ort.Tensor>;

/** A module of WebAssembly with one instruction on 128 bits, which only browsers with SIMD accept. */
const SIMD = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11);

/** Throw a StawmError where this browser cannot run a model. */
export function checkBrowser(): void {
  const able = typeof WebAssembly === "object" && typeof DecompressionStream === "function" && WebAssembly.validate(SIMD);
  if (!able) {
    throw new StawmError(
      "This browser does not run WebAssembly with SIMD, or it is switched off, and the model needs it. Chrome and " +
        "Edge can from version 91 on, Firefox from 113, Safari from 16.4.",
    );
  }
}

let started: Promise<void> | undefined;

/** Get the runtime ready, once for all models. */
export function start(base: URL, facts: FileFacts, progress?: Progress): Promise<void> {
  checkBrowser();
  started ??= (async () => {
    ort.env.wasm.wasmBinary = await unpack(await getFile(base, facts, progress));
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
  })();
  return started.catch((error) => {
    started = undefined; // the next model may try again
    throw error;
  });
}

/** Return a tensor in single precision. */
export function tensor(values: Float32Array, shape: readonly number[]): ort.Tensor {
  return new ort.Tensor("float32", values, shape);
}

/** Return the numbers of a tensor. */
export function numbers(value: ort.Tensor): Float32Array {
  return value.data as Float32Array;
}

/** The last thing that the runtime was asked for: it does one after the other, whoever asks. */
let last: Promise<unknown> = Promise.resolve();

function inTurn<T>(act: () => Promise<T>): Promise<T> {
  const done = last.then(act);
  last = done.catch(() => undefined);
  return done;
}

/** What each part has to give, whatever the model is. */
const GIVES: Record<Part, readonly string[]> = { init: [], glimpse: ["glimpses", "pose", "corners"], read: [] };

/** One graph, ready to run. */
export class Graph {
  private constructor(
    private readonly part: Part,
    private readonly session: ort.InferenceSession,
  ) {}

  /** @throws StawmError ONNX Runtime refuses the file, or the graph is that of another part. */
  static async open(part: Part, bytes: ArrayBuffer): Promise<Graph> {
    const session = await inTurn(() => ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] })).catch(
      (error: unknown) => {
        throw new StawmError(`The graph \`${part}\` of this model cannot be opened (${String(error)}).`);
      },
    );
    const missing = GIVES[part].filter((name) => !session.outputNames.includes(name));
    if (missing.length > 0) {
      throw new StawmError(`The graph \`${part}\` of this model gives no ${missing.join(", ")}: it is of another part.`);
    }
    return new Graph(part, session);
  }

  /**
   * Run once, on what the graph takes of the tensors that are known.
   *
   * @throws StawmError ONNX Runtime cannot, say because the graph is not the one that belongs to the others.
   */
  async run(known: Tensors): Promise<Tensors> {
    const feeds = Object.fromEntries(this.session.inputNames.map((name) => [name, known[name]!]));
    try {
      return (await inTurn(() => this.session.run(feeds))) as Tensors;
    } catch (error) {
      throw new StawmError(`The graph \`${this.part}\` of this model does not run (${String(error)}).`);
    }
  }

  /** Give its memory back, when what was asked before is done. */
  close(): Promise<void> {
    return inTurn(() => this.session.release());
  }
}
