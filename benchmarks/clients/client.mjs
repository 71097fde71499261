// One client of JavaScript over all cases: `node client.mjs onnxruntime-node|onnxruntime-web FOLDER`, in a folder where the
// package is installed; a line of JSON a case. Onnxruntime-web runs as WebAssembly.
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [name, folder] = process.argv.slice(2);
const here = createRequire(join(process.cwd(), "package.json"));
const ort = here(name);
const version = JSON.parse(readFileSync(join(process.cwd(), "node_modules", name, "package.json"))).version;

const read = (file, shape) => {
  const bytes = readFileSync(file);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return { shape, values: Float32Array.from(values) };
};

const first = (tensor, count) => {
  const each = tensor.values.length / tensor.shape[0];
  return { shape: [count, ...tensor.shape.slice(1)], values: tensor.values.slice(0, count * each) };
};

const farthest = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

for (const entry of readdirSync(folder).sort()) {
  const place = join(folder, entry);
  if (!existsSync(join(place, "case.json"))) continue;
  const said = JSON.parse(readFileSync(join(place, "case.json")));
  const row = { client: name, version, preset: said.preset, form: said.form };
  try {
    const session = await ort.InferenceSession.create(readFileSync(join(place, "graph.onnx")), {
      executionProviders: [name === "onnxruntime-web" ? "wasm" : "cpu"],
    });
    const inputs = Object.entries(said.inputs).map(([key, shape]) => [key, read(join(place, `${key}.f32`), shape)]);
    row.gaps = {};
    for (const count of [inputs[0][1].shape[0], 1, 5]) {
      const given = {};
      for (const [key, tensor] of inputs) {
        const part = first(tensor, count);
        given[key] = new ort.Tensor("float32", part.values, part.shape);
      }
      const found = await session.run(given);
      for (const [output, shape] of Object.entries(said.outputs)) {
        const expected = first(read(join(place, `${output}.f32`), shape), count);
        row.gaps[output] = Math.max(row.gaps[output] ?? 0, farthest(found[output].data, expected.values));
      }
    }
  } catch (error) {
    delete row.gaps;
    row.error = String(error.message ?? error).replace(/\s+/g, " ").slice(0, 200);
  }
  console.log(JSON.stringify(row));
}
