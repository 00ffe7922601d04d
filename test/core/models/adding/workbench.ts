import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { onTestFinished } from 'vitest';
import { type AddPorts, type AddRequest, addModel, planModel } from '../../../../core/models/adding/add.ts';
import type { Pace } from '../../../../core/models/adding/request.ts';
import { createModelStore, type ModelStore } from '../../../../core/models/store.ts';
import { FakeHub } from '../../../fakes/hub.ts';
import { model, node, tensor, value } from '../../../fixtures/onnx-writer.ts';

/** Time enough for a busy machine to answer, and soon enough over for a test that waits for its end. */
export const TEST_PACE: Pace = { answerMs: 20_000, windowMs: 20_000, leastBytes: 1 };

export const REPOSITORY = 'someone/tiny';

/** A graph that adds weights which lie in a file beside it, and that file. */
export function split(location = 'model.onnx_data', elements = 50_000): { graph: Uint8Array; data: Uint8Array } {
  const data = new Uint8Array(elements * 4);
  data.forEach((_, at) => {
    data[at] = (at * 2654435761) >>> 24;
  });
  const graph = model({
    nodes: [node('Add', ['x', 'w'], ['y'])],
    inputs: [value('x', 'float32', ['n', elements])],
    outputs: [value('y', 'float32', ['n', elements])],
    constants: [tensor('w', 'float32', [elements], { file: location, offset: 0, length: data.byteLength })],
  });
  return { graph, data };
}

/** A model as people publish them: a graph in a folder with its data, the configuration at the top, and things that nobody needs. */
export function published(): Record<string, Uint8Array> {
  const { graph, data } = split();
  const text = (content: string) => new TextEncoder().encode(content);
  return {
    '.gitattributes.txt': text('*.onnx filter=lfs'),
    'README.md': text('# tiny'),
    'config.json': text('{"model_type":"tiny"}'),
    'generation_config.json': text('{"eos_token_id":1}'),
    'tokenizer.json': text('{"version":"1.0"}'),
    'pytorch_model.bin': new Uint8Array(1000),
    'onnx/model.onnx': graph,
    'onnx/model.onnx_data': data,
  };
}

export interface Bench {
  hub: FakeHub;
  dir: string;
  store: ModelStore;
  /** Everything below the store's folder, by path, with its bytes' length. */
  contents(): Record<string, number>;
  plan(request?: Partial<AddRequest>): ReturnType<typeof planModel>;
  add(request?: Partial<AddRequest>, ports?: Partial<AddPorts>): ReturnType<typeof addModel>;
  /** Sends part of a file as if it were going to send it all, and then: breaks the connection once the part has come, or says no more. */
  sendPart(response: ServerResponse, data: Uint8Array, bytes: number, then: 'break' | 'silence', headers?: Record<string, string>): void;
}

export async function openBench({ diskBytes = 10 << 20, dir }: { diskBytes?: number; dir?: string } = {}): Promise<Bench> {
  const hub = await FakeHub.open();
  const root = dir ?? mkdtempSync(join(tmpdir(), 'hearthlend-adding-'));
  onTestFinished(async () => {
    await hub.close();
    if (dir === undefined) rmSync(root, { recursive: true, force: true });
  });
  const store = await createModelStore({ dir: join(root, 'models'), diskBytes });
  let onHere: { bytes: number; act: () => void } | undefined;
  const filled = (request: Partial<AddRequest>): AddRequest => ({
    source: `hf:${REPOSITORY}`,
    file: null,
    pin: null,
    acceptMissingLicence: false,
    hub: { endpoint: hub.endpoint, token: null, proxy: {} },
    ...request,
  });
  return {
    hub,
    dir: join(root, 'models'),
    store,
    contents: () => contentsOf(join(root, 'models')),
    sendPart(response, data, bytes, then, headers = {}) {
      onHere = { bytes, act: () => (then === 'break' ? response.destroy() : undefined) };
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': data.byteLength, ...headers });
      response.write(data.subarray(0, bytes));
    },
    plan: (request = {}) => planModel(filled(request), { signal: new AbortController().signal, pace: TEST_PACE }),
    add: (request = {}, ports = {}) =>
      addModel(filled(request), {
        store: store.owned,
        clock: Date.now,
        signal: new AbortController().signal,
        onProgress: ({ bytes }) => {
          if (onHere !== undefined && bytes >= onHere.bytes) onHere.act();
        },
        pace: TEST_PACE,
        ...ports,
      }),
  };
}

function contentsOf(folder: string): Record<string, number> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [relative(folder, path), readFileSync(path).byteLength];
    }),
  );
}
