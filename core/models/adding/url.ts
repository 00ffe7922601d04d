import { HearthlendError } from '../../contract/errors.ts';
import { ModelPath } from '../../contract/model.ts';
import type { HubAccess } from '../../contract/models.ts';
import { download } from './download.ts';
import type { ListedFile, Listing } from './listing.ts';
import type { Net, Pace } from './request.ts';
import type { Source } from './source.ts';

/**
 * A graph at an address. What belongs to it is looked for beside it, under the names that the graph gives; its digest is what came, unless
 * the address pins one. @throws MODEL_SOURCE_INVALID
 */
export function listUrl(source: Extract<Source, { type: 'url' }>, access: HubAccess, reach: { pace: Pace; signal: AbortSignal }): Listing {
  const { url } = source;
  const net: Net = { ...reach, proxy: access.proxy, token: null, hub: false };
  const entry = lastPart(url);
  if (!ModelPath.safeParse(entry).success || !entry.toLowerCase().endsWith('.onnx')) {
    throw new HearthlendError('MODEL_SOURCE_INVALID', {
      source: url.href,
      detail: 'its address does not end in the name of an .onnx file',
    });
  }
  const graph: ListedFile = { path: entry, bytes: null, digest: source.sha256 === null ? null : { type: 'sha256', hex: source.sha256 } };
  return {
    origin: { type: 'url', url: url.href },
    name: url.href,
    licence: null,
    needsLicence: true,
    files: [graph],
    find: (path) => (path === entry ? graph : { path, bytes: null, digest: null }),
    bring(file, to, onBytes) {
      const address = file.path === entry ? url : new URL(file.path.split('/').map(encodeURIComponent).join('/'), url);
      return download(file, address, to, net, { host: url.host, model: null, what: file.path }, onBytes);
    },
  };
}

function lastPart(url: URL): string {
  try {
    return decodeURIComponent(url.pathname.split('/').at(-1) ?? '');
  } catch {
    return '';
  }
}
