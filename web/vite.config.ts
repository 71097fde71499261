import { defineConfig } from "vite";

/** The runtime is fetched packed, from where the page says: the copy that ONNX Runtime's module names is left out. */
const withoutRuntime = {
  name: "without-runtime",
  generateBundle(_options: unknown, bundle: Record<string, unknown>) {
    for (const file of Object.keys(bundle)) if (file.endsWith(".wasm")) delete bundle[file];
  },
};

export default defineConfig({
  base: "./", // a site is served from any folder
  plugins: [withoutRuntime],
  build: {
    target: "es2022",
    outDir: "../stawm/web/page",
    emptyOutDir: true,
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      input: { index: "index.html", stawm: "src/stawm.ts" },
      preserveEntrySignatures: "strict", // stawm.js is for other pages too
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
} as object);
