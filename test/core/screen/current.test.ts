import { describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { GenerateShard, Shard } from '../../../core/contract/shard.ts';
import { CurrentView, type ModelText } from '../../../core/screen/current.ts';

const TEXT: ModelText = { decode: (tokens) => tokens.map((token) => `<${token}>`).join(''), stream: () => (token) => `<${token}>` };
const INPUTS = encodeSafetensors(
  new Map([['input_ids', { type: 'int64', shape: [1, 3], data: new Uint8Array(BigInt64Array.of(0n, 7n, 8n).buffer) }]]),
);
const SHARD: GenerateShard = {
  id: 's1',
  jobId: 'j1',
  network: 'local',
  kind: 'onnx.generate',
  origin: 'practice',
  model: { digest: 'a'.repeat(64), bytes: 1 },
  inputs: { digest: 'b'.repeat(64), bytes: 1 },
  limits: { wallMs: 1, memoryBytes: 1, outputBytes: 1 },
  session: { intraOpThreads: 0, graphOptimization: 'all' },
  price: { asset: 'hearth:local/credit:practice', unit: 'token', perUnit: '1' },
  decoder: { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 16 },
  maxNewTokens: 9,
  stopTokens: [0],
  sampling: { method: 'greedy' },
};

describe('the shard being computed, as people see it', () => {
  it('has its prompt without the start token, and the text so far', () => {
    const view = new CurrentView(() => TEXT);
    view.start(SHARD, 1, INPUTS, 5);
    expect(view.token(3)).toBe('<3>');
    view.token(4);
    expect(view.current).toMatchObject({ prompt: '<7><8>', text: '<3><4>', tokens: 2, maxNewTokens: 9, startedAt: 5 });
    view.end();
    expect(view.current).toBe(null);
  });

  it("has neither prompt nor text where the work is a stranger's, whatever the model", () => {
    const view = new CurrentView(() => TEXT);
    view.start({ ...SHARD, origin: 'network' }, 1, INPUTS, 5);
    expect(view.token(3)).toBe('');
    expect(view.current).toMatchObject({ prompt: null, text: null, tokens: 1 });
  });

  it('has no text where the model has no tokenizer here, or the shard makes none', () => {
    const view = new CurrentView((shard: Shard) => (shard.id === 's1' ? null : TEXT));
    view.start(SHARD, 1, INPUTS, 5);
    expect(view.current).toMatchObject({ prompt: null, text: null });
    const { decoder: _d, maxNewTokens: _m, stopTokens: _s, sampling: _p, ...rest } = SHARD;
    view.start({ ...rest, id: 's2', kind: 'onnx.run', outputs: [] }, 1, INPUTS, 5);
    expect(view.current).toMatchObject({ prompt: null, text: null, maxNewTokens: null });
  });
});
