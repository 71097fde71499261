// One client of JavaScript over all cases: `node client.mjs onnxruntime-node|onnxruntime-web FOLDER`, in a folder where the
// package is installed; a line of JSON a case. Onnxruntime-web runs as WebAssembly; browser.mjs runs it in a browser.
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { judge } from "./judging.mjs";

const [name, folder] = process.argv.slice(2);
const here = createRequire(join(process.cwd(), "package.json"));
const ort = here(name);
const version = JSON.parse(readFileSync(join(process.cwd(), "node_modules", name, "package.json"))).version;
const provider = name === "onnxruntime-web" ? "wasm" : "cpu";

for (const entry of readdirSync(folder).sort()) {
  const place = join(folder, entry);
  if (!existsSync(join(place, "case.json"))) continue;
  const said = JSON.parse(readFileSync(join(place, "case.json")));
  const array = (key) => Float32Array.from(new Float32Array(new Uint8Array(readFileSync(join(place, `${key}.f32`))).buffer));
  const row = await judge(ort, provider, said, readFileSync(join(place, "graph.onnx")), array);
  console.log(JSON.stringify({ client: name, version, ...row }));
}
