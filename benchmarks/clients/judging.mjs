// One case in a client of JavaScript, in node or in a browser: what is put in, and how far the answers are from PyTorch's.

const first = (shape, values, count) => [[count, ...shape.slice(1)], values.subarray(0, (count * values.length) / shape[0])];

const farthest = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

/**
 * Runs a case, also with one image and with five.
 * @param ort the client
 * @param provider where it runs
 * @param said what case.json says
 * @param graph the bytes of graph.onnx
 * @param array gives the numbers of an input or output by its name
 */
export const judge = async (ort, provider, said, graph, array) => {
  const row = { preset: said.preset, form: said.form };
  try {
    const session = await ort.InferenceSession.create(graph, { executionProviders: [provider] });
    const gaps = {};
    for (const count of [Object.values(said.inputs)[0][0], 1, 5]) {
      const given = {};
      for (const [key, shape] of Object.entries(said.inputs)) {
        const [sizes, values] = first(shape, await array(key), count);
        given[key] = new ort.Tensor("float32", values, sizes);
      }
      const found = await session.run(given);
      for (const [output, shape] of Object.entries(said.outputs)) {
        const [, expected] = first(shape, await array(output), count);
        gaps[output] = Math.max(gaps[output] ?? 0, farthest(await found[output].getData(), expected));
      }
    }
    return { ...row, gaps };
  } catch (error) {
    return { ...row, error: String(error.message ?? error).replace(/\s+/g, " ").slice(0, 200) };
  }
};
