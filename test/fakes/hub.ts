import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Files = Record<string, Uint8Array>;
interface Repository {
  commits: Map<string, Files>;
  branches: Map<string, string>;
  licence: string | null;
  gated: boolean;
}
export interface Seen {
  host: 'hub' | 'store';
  path: string;
  headers: IncomingMessage['headers'];
}

const sha1 = (data: string | Uint8Array) => createHash('sha1').update(data).digest('hex');
export const sha256Of = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const gitBlob = (data: Uint8Array): string => sha1(Buffer.concat([Buffer.from(`blob ${data.byteLength}\0`), data]));

/**
 * A model hub on this machine that answers as the real one does: a model's description with sizes and digests, files by commit, large ones by
 * a redirect to a store on another host (here: port) that gives ranges. Tests turn single answers into lies with `lie` and `onFile`.
 */
export class FakeHub {
  readonly seen: Seen[] = [];
  /** Changes a description before it is sent. */
  lie: (description: Description) => unknown = (description) => description;
  /** Answers for the store or the hub in place of the file; true where it did. */
  onFile: (file: { path: string; data: Uint8Array; request: IncomingMessage; response: ServerResponse }) => boolean = () => false;
  /** Called when a description was sent. */
  onDescribed: () => void = () => undefined;
  readonly #repositories = new Map<string, Repository>();
  readonly #hub: Server;
  readonly #store: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#answerHub(request, response));
    this.#store = createServer((request, response) => this.#answerStore(request, response));
  }

  static async open(): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const server of [hub.#hub, hub.#store]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    return hub;
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get #storeAddress(): string {
    return `http://127.0.0.1:${(this.#store.address() as AddressInfo).port}`;
  }

  /** Publishes files on a model's main branch, and gives the commit. */
  publish(repository: string, files: Files, { licence = 'mit', gated = false }: { licence?: string | null; gated?: boolean } = {}): string {
    const known = this.#repositories.get(repository) ?? { commits: new Map(), branches: new Map(), licence, gated };
    const commit = sha1(
      JSON.stringify([repository, known.commits.size, Object.entries(files).map(([path, data]) => [path, gitBlob(data)])]),
    );
    known.commits.set(commit, files);
    known.branches.set('main', commit);
    this.#repositories.set(repository, { ...known, licence, gated });
    return commit;
  }

  /** What was asked of the files under a path, in order. */
  asked(path: string): Seen[] {
    return this.seen.filter((seen) => seen.path.endsWith(path));
  }

  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.endpoint);
    this.seen.push({ host: 'hub', path: decodeURIComponent(url.pathname), headers: request.headers });
    const described = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/([^/]+)$/.exec(url.pathname);
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
    const repository = this.#repositories.get((described ?? file)?.[1] ?? '');
    if (repository === undefined) {
      refuse(response, 401, 'RepoNotFound', 'Invalid username or password.');
      return;
    }
    if (repository.gated && request.headers.authorization !== 'Bearer hf_right') {
      refuse(response, 401, 'GatedRepo', 'Access is restricted.');
      return;
    }
    const revision = decodeURIComponent((described ?? file)?.[2] ?? '');
    const commit = repository.branches.get(revision) ?? revision;
    const files = repository.commits.get(commit);
    if (files === undefined) {
      refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
      return;
    }
    if (described !== null) {
      const body = this.lie(describe(described[1] as string, commit, repository, files));
      response.setHeader('content-type', 'application/json; charset=utf-8');
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
      this.onDescribed();
      return;
    }
    const path = decodeURIComponent(file?.[3] ?? '');
    const data = files[path];
    if (data === undefined) {
      refuse(response, 404, 'EntryNotFound', 'Entry not found');
      return;
    }
    if (!isLarge(path)) {
      this.#give({ path, data, request, response });
      return;
    }
    response.statusCode = 302;
    response.setHeader('location', `${this.#storeAddress}/${commit}/${encodeURI(path)}?Signature=x`);
    response.setHeader('x-linked-etag', `"${sha256Of(data)}"`);
    response.setHeader('x-linked-size', data.byteLength);
    response.end();
  }

  #answerStore(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', this.endpoint).pathname);
    this.seen.push({ host: 'store', path, headers: request.headers });
    const [, commit = '', ...rest] = path.split('/');
    const data = [...this.#repositories.values()]
      .map(({ commits }) => commits.get(commit)?.[rest.join('/')])
      .find((each) => each !== undefined);
    if (data === undefined) refuse(response, 404, 'EntryNotFound', 'gone');
    else this.#give({ path: rest.join('/'), data, request, response });
  }

  #give(file: { path: string; data: Uint8Array; request: IncomingMessage; response: ServerResponse }): void {
    if (!this.onFile(file)) give(file);
  }
}

/** Gives a file as web servers do: with its length and tag, from the byte that was asked for. */
export function give({ data, request, response }: { data: Uint8Array; request: IncomingMessage; response: ServerResponse }): void {
  const etag = `"${sha256Of(data)}"`;
  const { range, 'if-range': same } = request.headers;
  const from = range !== undefined && (same === undefined || same === etag) ? Number(/^bytes=(\d+)-$/.exec(range)?.[1]) : 0;
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader('etag', etag);
  if (from >= data.byteLength && from > 0) {
    response.writeHead(416, { 'content-range': `bytes */${data.byteLength}` }).end();
    return;
  }
  const partly = from > 0 ? { 'content-range': `bytes ${from}-${data.byteLength - 1}/${data.byteLength}` } : {};
  response.writeHead(from > 0 ? 206 : 200, { 'content-length': data.byteLength - from, ...partly });
  response.end(data.subarray(from));
}

/** Of what people publish, git holds the small texts, and LFS the rest. */
function isLarge(path: string): boolean {
  return !/\.(json|txt|md|jinja)$|LICENSE$/.test(path);
}

interface Description {
  sha: string;
  siblings: Array<{ rfilename: string; size: number; blobId: string; lfs?: { sha256: string; size: number; pointerSize: number } }>;
  [field: string]: unknown;
}

/** The fields of the real answer, and in its form, those that nobody here reads included. */
function describe(id: string, sha: string, { licence, gated }: Repository, files: Files): Description {
  const tags = ['onnx', ...(licence === null ? [] : [`license:${licence}`]), 'region:us'];
  return {
    _id: sha.slice(0, 24),
    id,
    modelId: id,
    author: id.split('/')[0],
    sha,
    lastModified: '2026-01-01T00:00:00.000Z',
    private: false,
    disabled: false,
    gated: gated ? 'manual' : false,
    tags,
    downloads: 1,
    likes: 0,
    cardData: licence === null ? {} : { license: licence },
    siblings: Object.entries(files).map(([rfilename, data]) => {
      if (!isLarge(rfilename)) return { rfilename, size: data.byteLength, blobId: gitBlob(data) };
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256Of(data)}\nsize ${data.byteLength}\n`;
      const lfs = { sha256: sha256Of(data), size: data.byteLength, pointerSize: pointer.length };
      return { rfilename, size: data.byteLength, blobId: gitBlob(Buffer.from(pointer)), lfs };
    }),
  };
}

function refuse(response: ServerResponse, status: number, code: string, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-error-code': code, 'x-error-message': text });
  response.end(JSON.stringify({ error: text }));
}
