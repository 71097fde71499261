/** A state as the fragment of an address: the model, the threshold, what was drawn, and what is asked about it. */

import type { Stroke } from "./ink";

/** What a link shares. */
export interface Shared {
  model?: string;
  until?: number;
  strokes?: Stroke[];
  /** The number of a test image. */
  sample?: number;
  /** Whether drawings are brought to the form of digits, where that is not as it is at first. */
  fit?: boolean;
  /** The number of the question that the memory is asked. */
  question?: number;
}

/** How finely a stroke's points are kept: as bytes. */
const STEPS = 255;
/** The most points that a link holds, so that it stays one that can be sent. */
const MOST = 3000;

/** Return the fragment of a state, without the `#`. */
export function toFragment(shared: Shared): string {
  const said = new URLSearchParams();
  if (shared.model) said.set("model", shared.model);
  if (shared.until !== undefined) said.set("until", shared.until.toFixed(2));
  if (shared.strokes?.length) said.set("strokes", packed(shared.strokes));
  else if (shared.sample !== undefined) said.set("sample", String(shared.sample));
  if (shared.fit !== undefined) said.set("fit", shared.fit ? "1" : "0");
  if (shared.question !== undefined) said.set("question", String(shared.question));
  return said.toString();
}

/** Return the state that a fragment holds; what cannot be read in it is left out. */
export function fromFragment(fragment: string): Shared {
  const said = new URLSearchParams(fragment.replace(/^#/, ""));
  const shared: Shared = {};
  const [model, strokes, fit] = [said.get("model"), said.get("strokes"), said.get("fit")];
  const [until, sample, question] = ["until", "sample", "question"].map((name) => Number(said.get(name) || NaN)) as [number, number, number];
  if (model) shared.model = model;
  if (fit === "0" || fit === "1") shared.fit = fit === "1";
  if (until > 0 && until <= 1) shared.until = until;
  if (Number.isInteger(sample) && sample >= 0) shared.sample = sample;
  if (Number.isInteger(question) && question >= 0) shared.question = question;
  const found = strokes ? unpacked(strokes) : [];
  if (found.length) shared.strokes = found;
  return shared;
}

/** Points as bytes x, y; a stroke is preceded by the number of its points, in two bytes. */
function packed(strokes: Stroke[]): string {
  const bytes: number[] = [];
  let left = MOST;
  for (const stroke of strokes) {
    const points = thinned(stroke).slice(0, 2 * left);
    left -= points.length / 2;
    if (points.length) bytes.push(points.length >> 9, (points.length >> 1) & 255, ...points);
  }
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function unpacked(text: string): Stroke[] {
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  } catch {
    return [];
  }
  const strokes: Stroke[] = [];
  for (let i = 0; i + 2 < bytes.length; ) {
    const count = 2 * ((bytes[i]! << 8) | bytes[i + 1]!);
    const points = [...bytes.subarray(i + 2, i + 2 + count)];
    if (count === 0 || points.length < count) return [];
    strokes.push(points.map((value) => value / STEPS));
    i += 2 + count;
  }
  return strokes;
}

/** Return a stroke's points as bytes, without those that do not move. */
function thinned(stroke: Stroke): number[] {
  const points: number[] = [];
  for (let i = 0; i + 1 < stroke.length; i += 2) {
    const [x, y] = [asByte(stroke[i]!), asByte(stroke[i + 1]!)];
    if (x !== points.at(-2) || y !== points.at(-1)) points.push(x, y);
  }
  return points;
}

function asByte(value: number): number {
  return Math.round(Math.min(1, Math.max(0, value)) * STEPS);
}
