import type { Readable } from 'node:stream';
import type { Sha256 } from '../contract/digest.ts';
import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import type { BlobSource } from '../contract/network.ts';
import { blobPath } from '../contract/worker-calls.ts';
import { openHttps } from './https.ts';

/** Asked for anew so long before it is over. */
const ACCESS_MARGIN_MS = 30_000;
/** An address that failed is tried again after the others, so often in all. */
const TRIES = 4;
const WAIT_MS = 400;

export interface BlobAccess {
  token: string;
  /** On this machine's clock. */
  expiresAt: number;
  urls: readonly string[];
}

interface BlobsOptions {
  network: string;
  ca(): string;
  clock(): number;
  /** Asks the network for access, by the connection that has proven the key. */
  access(): Promise<BlobAccess>;
}

/** A network's bytes by digest, over its coordinators' HTTPS. The reader verifies what comes. */
export class Blobs {
  readonly #options: BlobsOptions;
  #access: Promise<BlobAccess> | null = null;

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /**
   * The bytes from an offset on. Where the connection breaks in the middle, they end early, and the reader asks for the rest.
   * @throws BLOB_MISSING, NETWORK_UNREACHABLE, NETWORK_REFUSED
   */
  async fetch(digest: Sha256, offset: number): Promise<BlobSource> {
    const response = await this.#somewhere(digest, async (url, token) => {
      const headers = { authorization: `Bearer ${token}`, ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) };
      const answer = await openHttps({ network: this.#options.network, url, ca: this.#options.ca(), headers });
      if (answer.statusCode === (offset > 0 ? 206 : 200) && (offset === 0 || startsAt(answer.headers['content-range'], offset)))
        return answer;
      answer.destroy();
      throw this.#refusal(answer.statusCode ?? 0, digest);
    });
    return { type: 'stream', stream: untilItBreaks(response) };
  }

  /** Puts outputs there, which is repeatable. @throws NETWORK_UNREACHABLE, NETWORK_REFUSED */
  async put(digest: Sha256, bytes: Uint8Array): Promise<void> {
    await this.#somewhere(digest, async (url, token) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/octet-stream' };
      const answer = await openHttps({ network: this.#options.network, url, ca: this.#options.ca(), method: 'PUT', headers, body: bytes });
      answer.destroy();
      const { statusCode = 0 } = answer;
      if (statusCode < 200 || statusCode > 299) throw this.#refusal(statusCode, digest);
    });
  }

  /** One address after the other; an access that is over is asked for anew. */
  async #somewhere<T>(digest: Sha256, ask: (url: string, token: string) => Promise<T>): Promise<T> {
    let last = new HearthlendError('NETWORK_UNREACHABLE', { network: this.#options.network, detail: 'it names no address' });
    for (let tries = 0; tries < TRIES; tries += 1) {
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, WAIT_MS * tries));
      const { urls, token } = await this.#granted();
      const base = urls[tries % urls.length];
      if (base === undefined) break;
      try {
        return await ask(new URL(blobPath(digest), base).href, token);
      } catch (thrown) {
        last = asHearthlendError(thrown);
        if (last.code === 'BLOB_MISSING') throw last;
        if (last.code === 'NETWORK_REFUSED') this.#access = null;
      }
    }
    throw last;
  }

  async #granted(): Promise<BlobAccess> {
    this.#access ??= this.#options.access();
    try {
      const access = await this.#access;
      if (access.expiresAt - ACCESS_MARGIN_MS > this.#options.clock()) return access;
    } catch (thrown) {
      this.#access = null;
      throw thrown;
    }
    this.#access = this.#options.access();
    return this.#access;
  }

  #refusal(status: number, digest: Sha256): HearthlendError {
    if (status === 404 || status === 416) return new HearthlendError('BLOB_MISSING', { digest });
    const { network } = this.#options;
    if (status >= 500) return new HearthlendError('NETWORK_UNREACHABLE', { network, detail: `HTTP ${status}` });
    return new HearthlendError('NETWORK_REFUSED', { network, detail: `HTTP ${status}` });
  }
}

function startsAt(contentRange: string | undefined, offset: number): boolean {
  return contentRange?.startsWith(`bytes ${offset}-`) === true;
}

/** A break is an end: the reader knows how much there has to be. */
async function* untilItBreaks(response: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch {
    // See above.
  } finally {
    response.destroy();
  }
}
