import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const ID = 'microsoft.ml.onnxruntime.gpu.linux';

/** A NuGet feed on this machine that answers as the real one does: index, registration, catalogue, and the package with ranges. */
export class FakeNuget {
  /** Requests in order: path, and the range asked for. */
  readonly seen: Array<{ path: string; range: string | undefined }> = [];
  /** Changes a document before it is sent. */
  lie: (path: string, document: Record<string, unknown>) => unknown = (_path, document) => document;
  /** Of the package's answer no more than this comes. */
  holdAfter = Number.POSITIVE_INFINITY;
  readonly #server: Server;
  readonly #version: string;
  readonly #package: Uint8Array;

  private constructor(version: string, bytes: Uint8Array) {
    this.#version = version;
    this.#package = bytes;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async open(version: string, bytes: Uint8Array): Promise<FakeNuget> {
    const nuget = new FakeNuget(version, bytes);
    nuget.#server.listen(0, '127.0.0.1');
    await once(nuget.#server, 'listening');
    return nuget;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  get index(): string {
    return `${this.#origin}/v3/index.json`;
  }

  get #origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.seen.push({ path, range: request.headers.range });
    const file = `${ID}.${this.#version}.nupkg`;
    if (path.endsWith('.nupkg')) {
      this.#sendPackage(request, response);
      return;
    }
    const documents: Record<string, Record<string, unknown>> = {
      '/v3/index.json': {
        version: '3.0.0',
        resources: [
          { '@id': `${this.#origin}/v3/registration5-gz-semver2/`, '@type': 'RegistrationsBaseUrl/3.6.0' },
          { '@id': `${this.#origin}/v3/registration5-semver1/`, '@type': 'RegistrationsBaseUrl' },
          { '@id': `${this.#origin}/v3-flatcontainer/`, '@type': 'PackageBaseAddress/3.0.0' },
        ],
      },
      [`/v3/registration5-semver1/${ID}/${this.#version}.json`]: {
        '@id': 'leaf',
        listed: true,
        catalogEntry: `${this.#origin}/v3/catalog0/data/${ID}.${this.#version}.json`,
        packageContent: `${this.#origin}/v3-flatcontainer/${ID}/${this.#version}/${file}`,
      },
      [`/v3/catalog0/data/${ID}.${this.#version}.json`]: {
        id: 'Microsoft.ML.OnnxRuntime.Gpu.Linux',
        version: this.#version,
        packageHash: createHash('sha512').update(this.#package).digest('base64'),
        packageHashAlgorithm: 'SHA512',
        packageSize: this.#package.byteLength,
      },
    };
    const document = documents[path];
    if (document === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(this.lie(path, document)));
  }

  #sendPackage(request: IncomingMessage, response: ServerResponse): void {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = this.#package.subarray(from);
    const headers = { 'content-type': 'application/octet-stream', etag: '"0x8DC"', 'content-length': rest.byteLength };
    const total = this.#package.byteLength;
    if (from > 0) response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${total - 1}/${total}` });
    else response.writeHead(200, headers);
    if (rest.byteLength <= this.holdAfter) response.end(rest);
    else response.write(rest.subarray(0, this.holdAfter));
  }
}
