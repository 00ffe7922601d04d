// The baseline of the first-shard figure: a bare onnxruntime-node program that loads the practice model and makes as many tokens.
// Usage: node bare-generation.mjs MODEL.onnx TOKENS
import { InferenceSession, Tensor } from 'onnxruntime-node';

const [model, tokens] = [process.argv[2], Number(process.argv[3])];
const session = await InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const layers = session.inputNames.filter((name) => name.endsWith('.key')).length;
let past = Object.fromEntries(
  Array.from({ length: layers }, (_, layer) =>
    ['key', 'value'].map((part) => [`past_key_values.${layer}.${part}`, new Tensor('float32', [], [1, 6, 0, 32])]),
  ).flat(),
);
let ids = [0n];
for (let length = 0, made = 0; made < tokens; made += 1) {
  const total = length + ids.length;
  const outputs = await session.run({
    input_ids: new Tensor('int64', ids, [1, ids.length]),
    attention_mask: new Tensor('int64', new Array(total).fill(1n), [1, total]),
    position_ids: new Tensor(
      'int64',
      Array.from({ length: ids.length }, (_, i) => BigInt(length + i)),
      [1, ids.length],
    ),
    ...past,
  });
  const logits = outputs.logits.data.slice(-outputs.logits.dims[2]);
  ids = [BigInt(logits.indexOf(Math.max(...logits)))];
  past = Object.fromEntries(
    Object.entries(outputs)
      .filter(([name]) => name !== 'logits')
      .map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor]),
  );
  length = total;
}
