import ts from "typescript";
import { describe, expect, it } from "vitest";

const README = "../README.md";

/** Return the lines that a text shows as TypeScript. */
function linesOf(file: string): string {
  const text = ts.sys.readFile(file)!.replace(/^ \* ?/gm, "");
  return /```ts\n([^]*?)```/.exec(text)![1]!;
}

/** Return what the compiler says against the scripts of pages; the site's module is that of the sources. */
function faultsOf(scripts: Record<string, string>): string[] {
  const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ".");
  const host = ts.createCompilerHost(options);
  const made: Record<string, string> = { ...scripts, "site/assets/stawm.ts": 'export * from "../../src/stawm";' };
  const madeOf = (file: string) => made[file.replace(`${ts.sys.getCurrentDirectory()}/`, "").replace(/^\.\//, "")];
  const { readFile, fileExists } = host;
  Object.assign(host, {
    readFile: (file: string) => madeOf(file) ?? readFile(file),
    fileExists: (file: string) => madeOf(file) !== undefined || fileExists(file),
    directoryExists: undefined,
  });
  const found = ts.getPreEmitDiagnostics(ts.createProgram(Object.keys(scripts), options, host));
  return found.map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`);
}

describe("the lines for a page of one's own", () => {
  it("are the same wherever they stand, and ten", () => {
    for (const file of ["../docs/web.md", "src/stawm.ts"]) expect(linesOf(file)).toBe(linesOf(README));
    expect(linesOf(README).trim().split("\n")).toHaveLength(10);
  });

  it("compile as they stand", { timeout: 60_000 }, () => {
    const lines = linesOf(README);
    const faults = faultsOf({ "right.ts": lines, "wrong.ts": lines.replace("answer.canvas", "answer.picture") });
    expect(faults).toEqual(["wrong.ts: Property 'picture' does not exist on type 'Answer'."]);
  });
});
