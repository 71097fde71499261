// Onnxruntime-web in a browser over all cases: `node browser.mjs webgpu|wasm FOLDER`, in a folder where the package is
// installed; a line of JSON a case. The browser is $CHROMIUM, or `chromium`; without a GPU its WebGPU computes in software.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [provider, folder] = process.argv.slice(2);
const packed = join(process.cwd(), "node_modules", "onnxruntime-web");
const { version } = JSON.parse(readFileSync(join(packed, "package.json")));
const cases = readdirSync(folder).sort().filter((entry) => existsSync(join(folder, entry, "case.json")));
const kinds = { ".mjs": "text/javascript", ".html": "text/html", ".wasm": "application/wasm" };
const bundle = provider === "webgpu" ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs";

const page = `<script type="module">
import * as ort from "/dist/${bundle}";
import { judge } from "/judging.mjs";
const say = (row) => fetch("/say", { method: "POST", body: JSON.stringify(row) });
try {
  ort.env.wasm.numThreads = 1;
  if (${provider === "webgpu"}) {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) throw new Error("the browser gives no adapter of WebGPU");
    await say({ adapter: [adapter.info.vendor, adapter.info.architecture, adapter.info.description].join(" ") });
  }
  for (const entry of ${JSON.stringify(cases)}) {
    const bytes = async (file) => new Uint8Array(await (await fetch("/cases/" + entry + "/" + file)).arrayBuffer());
    const said = await (await fetch("/cases/" + entry + "/case.json")).json();
    const array = async (key) => new Float32Array((await bytes(key + ".f32")).buffer);
    await say(await judge(ort, ${JSON.stringify(provider)}, said, await bytes("graph.onnx"), array));
  }
} catch (error) {
  await say({ error: String(error.message ?? error) });
}
await say({ done: true });
</script>`;

const file = (path) => {
  const [, top, ...rest] = path.split("/");
  if (rest.includes("..")) return null;
  if (top === "dist") return join(packed, "dist", ...rest);
  if (top === "cases") return join(folder, ...rest);
  return top === "judging.mjs" ? join(dirname(fileURLToPath(import.meta.url)), basename(top)) : null;
};

const profile = mkdtempSync(join(tmpdir(), "client-"));
const server = createServer((request, answer) => {
  if (request.method === "POST") {
    let text = "";
    request.on("data", (part) => (text += part)).on("end", () => {
      answer.end();
      const row = JSON.parse(text);
      if (row.done) chromium.kill();
      else console.log(JSON.stringify({ client: `onnxruntime-web, ${provider}`, version, ...row }));
    });
    return;
  }
  const place = file(request.url);
  if (request.url === "/") answer.setHeader("Content-Type", "text/html").end(page);
  else if (place === null || !existsSync(place)) answer.writeHead(404).end();
  else answer.setHeader("Content-Type", kinds[extname(place)] ?? "application/octet-stream").end(readFileSync(place));
}).listen(0, "127.0.0.1");
await new Promise((listening) => server.on("listening", listening));

const flags = ["--headless=new", "--no-sandbox", "--no-first-run", `--user-data-dir=${profile}`];
const gpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"];
const url = `http://127.0.0.1:${server.address().port}/`;
const chromium = spawn(process.env.CHROMIUM ?? "chromium", [...flags, ...(provider === "webgpu" ? gpu : []), url], {
  stdio: ["ignore", "ignore", "ignore"],
});
chromium.on("exit", () => {
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
});
