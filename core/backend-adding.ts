import type { AppPorts } from './app-ports.ts';
import { type AddCudaProgress, addCuda } from './backends/add-cuda.ts';
import { NUGET } from './backends/nuget.ts';
import { HearthlendError } from './contract/errors.ts';
import type { HubAccess } from './contract/models.ts';
import { cudaFolder, onnxruntimeVersion } from './gpu-proofs.ts';
import { isPage, refusal } from './models/adding/answer.ts';
import { download } from './models/adding/download.ts';
import { isLoopback } from './models/adding/hosts.ts';
import { ask, type Net, paced, USUAL_PACE } from './models/adding/request.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';

export interface AddBackendRequest {
  dataDir: string;
  parts: Pick<AppPorts['parts'], 'nodePath' | 'workerScript'>;
  /** A NuGet feed's index, https or on this machine; null for NuGet's own. */
  feed: string | null;
  proxy: HubAccess['proxy'];
  signal: AbortSignal;
  onProgress(progress: AddCudaProgress): void;
}

const MAX_DOCUMENT_BYTES = 4 << 20;

/**
 * Adds what ONNX Runtime needs for CUDA to a data folder. The next test of the machine finds it.
 * @returns the version, and how many bytes came: 0 where it was there already
 * @throws USAGE for a feed that is none, and what addCuda throws
 */
export async function addBackend(request: AddBackendRequest): Promise<{ version: string; bytes: number }> {
  const { dataDir, parts, proxy, signal, onProgress } = request;
  const feed = feedOf(request.feed);
  const needs = await resolveNeeds({
    ...{ nodePath: parts.nodePath, scriptPath: parts.workerScript, modelsDir: dataDir },
    ...{ scratchBytes: 2 ** 20, heapMiB: 64 },
  });
  const version = onnxruntimeVersion(needs);
  const net: Net = { proxy, token: null, hub: false, pace: USUAL_PACE, signal };
  const bytes = await addCuda({
    ...{ onnxruntime: version, platform: needs.platform, arch: needs.arch, feed, onProgress },
    folder: cudaFolder(dataDir, version),
    readJson: (url) => readDocument(url, net),
    async bring(url, part, expected, onBytes) {
      const path = url.pathname.split('/').at(-1) ?? 'package';
      const asked = { host: url.host, model: null, what: path };
      await download({ path, bytes: expected, digest: null }, url, { part, limitBytes: expected }, net, asked, onBytes);
    },
  });
  return { version, bytes };
}

function feedOf(text: string | null): URL {
  const url = URL.parse(text ?? NUGET);
  const fine = url !== null && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)));
  if (!fine) throw new HearthlendError('USAGE', { detail: `--feed ${text} is no https address` });
  return url;
}

async function readDocument(url: URL, net: Net): Promise<unknown> {
  const answer = await ask(url, { accept: 'application/json' }, net);
  const invalid = (detail: string, cause?: unknown) =>
    new HearthlendError('BACKEND_DOWNLOAD_INVALID', { host: url.host, detail }, { cause });
  try {
    if (answer.statusCode !== 200) throw refusal(answer, { host: url.host, model: null, what: url.pathname });
    if (isPage(answer)) throw invalid('a web page came in place of its index');
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of paced(answer, url.pathname, url.host, net.pace)) {
      bytes += chunk.byteLength;
      if (bytes > MAX_DOCUMENT_BYTES) throw invalid('its index is too long');
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (thrown) {
    throw thrown instanceof SyntaxError ? invalid('its index is no JSON', thrown) : thrown;
  } finally {
    answer.destroy();
  }
}
