/** Getting a site's files: with progress, from the cache where they are known, and checked against their hash. */

import { StawmError } from "./errors";

/** What a site says of one of its files. */
export interface FileFacts {
  /** Its name, from the file that names it. */
  file: string;
  /** How many bytes it has. */
  bytes: number;
  /** The SHA-256 of its bytes, in hexadecimal. */
  sha256: string;
}

/** Told how many bytes have come of how many. */
export type Progress = (loaded: number, total: number) => void;

const CACHE = "stawm";
/** What is yet to be put into the cache. */
const unkept: (() => Promise<void>)[] = [];

/**
 * Get a file's bytes.
 *
 * A file that was fetched before comes from the browser's cache, where there is one (on HTTPS and localhost). What comes
 * anew is put there by `keepFetched`.
 *
 * @throws StawmError It is not there, or is not the file that the site names.
 */
export async function getFile(base: URL, facts: FileFacts, progress?: Progress): Promise<ArrayBuffer> {
  const url = new URL(facts.file, base);
  const key = new URL(url);
  key.search = facts.sha256;
  const cache = await openCache();
  const known = await cache?.match(key);
  if (known) {
    const bytes = await known.arrayBuffer();
    if (await isWhole(bytes, facts)) {
      progress?.(facts.bytes, facts.bytes);
      return bytes;
    }
  }
  const bytes = await download(url, facts, progress);
  if (!(await isWhole(bytes, facts))) {
    throw new StawmError(
      `${facts.file} is damaged or of another version: it has ${bytes.byteLength} bytes that are not those that this ` +
        "site was written with. Write the site anew with `stawm web`.",
    );
  }
  if (cache) unkept.push(() => keep(cache, key, bytes));
  return bytes;
}

/** Put what was fetched into the cache: not before there is time, as it takes as long as fetching does. */
export async function keepFetched(): Promise<void> {
  for (const keepOne of unkept.splice(0)) await keepOne();
}

/** Get a JSON file. */
export async function getJson(url: URL): Promise<unknown> {
  const response = await request(url);
  try {
    return await response.json();
  } catch {
    throw new StawmError(`${nameOf(url)} is damaged: it is not JSON. Write the site anew with \`stawm web\`.`);
  }
}

/** Unpack bytes that were packed by gzip. */
export async function unpack(packed: ArrayBuffer): Promise<ArrayBuffer> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function request(url: URL): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new StawmError(`${nameOf(url)} cannot be fetched: the server does not answer.`);
  }
  if (!response.ok) {
    throw new StawmError(
      `${nameOf(url)} cannot be fetched (${response.status}): it is missing in the folder of this site. ` +
        "Write the site anew with `stawm web`.",
    );
  }
  return response;
}

async function download(url: URL, facts: FileFacts, progress?: Progress): Promise<ArrayBuffer> {
  const response = await request(url);
  if (!response.body) return response.arrayBuffer();
  const parts: Uint8Array[] = [];
  let loaded = 0;
  const reader = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value);
    loaded += next.value.byteLength;
    progress?.(Math.min(loaded, facts.bytes), facts.bytes);
  }
  const whole = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole.buffer;
}

async function isWhole(bytes: ArrayBuffer, facts: FileFacts): Promise<boolean> {
  if (bytes.byteLength !== facts.bytes) return false;
  if (!globalThis.crypto?.subtle) return true; // only pages of HTTPS and localhost may hash
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") === facts.sha256;
}

async function openCache(): Promise<Cache | undefined> {
  try {
    return await globalThis.caches?.open(CACHE);
  } catch {
    return undefined; // the browser keeps nothing, say in a private window
  }
}

async function keep(cache: Cache, key: URL, bytes: ArrayBuffer): Promise<void> {
  try {
    await cache.delete(key, { ignoreSearch: true }); // an earlier version of the file
    await cache.put(key, new Response(bytes));
  } catch {
    // The cache is full or not allowed: the next visit fetches the file again.
  }
}

function nameOf(url: URL): string {
  return decodeURIComponent(url.pathname.split("/").slice(-2).join("/"));
}
