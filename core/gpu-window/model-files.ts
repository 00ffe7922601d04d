import { readdirSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { encodeFramePrefix } from '../contract/frame.ts';
import { WORKER_FRAME_LIMITS, type WorkerReply } from '../contract/worker-messages.ts';

/** What a page can hold of one file in one piece: Chromium reads no more into one buffer. */
const FILE_BYTES = 2 ** 31 - 1;

/** One file of a model: where it lies, the manifest's path of it, and its size. */
export interface ModelFile {
  from: string;
  as: string;
  bytes: number;
}

/** All files of a model's folder. */
export function modelFiles(folder: string): ModelFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((from) => ({ from, as: relative(folder, from).split(sep).join('/'), bytes: statSync(from).size }));
}

/** The frame with which a model that no page can hold is refused, as the page itself would; null where it can. */
export function refusalOf(id: number, files: readonly ModelFile[]): Uint8Array | null {
  const large = files.find(({ bytes }) => bytes > FILE_BYTES);
  if (large === undefined) return null;
  const detail = `its file ${large.as} has ${large.bytes} bytes, and a page can hold ${FILE_BYTES} of one`;
  const reply: WorkerReply = { type: 'failed', id, code: 'BACKEND_REFUSED', params: { backend: 'webgpu', detail } };
  return encodeFramePrefix(reply, 0, WORKER_FRAME_LIMITS);
}
