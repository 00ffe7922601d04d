import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FrameDecoder } from '../../../core/contract/frame.ts';
import { WORKER_FRAME_LIMITS, WorkerReply } from '../../../core/contract/worker-messages.ts';
import { modelFiles, refusalOf } from '../../../core/gpu-window/model-files.ts';
import { temporaryFolder } from '../supervisor/workbench.ts';

test("a model's files are found by the manifest's paths, and one that no page can hold is refused by name", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'onnx'));
  writeFileSync(join(folder, 'onnx/model.onnx'), 'graph');
  writeFileSync(join(folder, 'onnx/model.onnx_data'), '');
  const paths = () => modelFiles(folder).map(({ as, bytes }) => [as, bytes]);
  expect(paths().sort()).toEqual([
    ['onnx/model.onnx', 5],
    ['onnx/model.onnx_data', 0],
  ]);
  expect(refusalOf(7, modelFiles(folder))).toBeNull();
  // Without a byte of it on the disk.
  truncateSync(join(folder, 'onnx/model.onnx_data'), 2 ** 31);
  const [frame] = new FrameDecoder(WORKER_FRAME_LIMITS).push(refusalOf(7, modelFiles(folder)) as Uint8Array);
  expect(WorkerReply.parse(frame?.header)).toMatchObject({ type: 'failed', id: 7, code: 'BACKEND_REFUSED', params: { backend: 'webgpu' } });
});
