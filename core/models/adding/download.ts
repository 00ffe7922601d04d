import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { HearthlendError } from '../../contract/errors.ts';
import { onDisk } from '../place.ts';
import { type Asked, contentLength, isPage, refusal } from './answer.ts';
import type { BroughtFile, ListedFile } from './listing.ts';
import { ask, type Net, paced, unreachable } from './request.ts';

/** A source that breaks off is asked again this often, but not when answers in a row bring nothing. */
const MAX_ANSWERS = 50;
const MAX_FRUITLESS = 3;

/**
 * Downloads one file to `part`, hashing while it comes, and goes on where an earlier try ended. A file whose digest is known needs no further
 * proof that it is still the same; one that has none goes on only under a strong ETag (If-Range), kept beside the part.
 * @throws MODEL_TOO_LARGE, HUB_*, DOWNLOAD_STALLED, DOWNLOAD_CUT_OFF (what came stays), DOWNLOAD_SIZE_WRONG, DIGEST_MISMATCH (it does not), DISK_FULL, CANCELLED
 */
export async function download(
  file: ListedFile,
  address: URL,
  to: { part: string; limitBytes: number },
  net: Net,
  asked: Asked,
  onBytes: (bytes: number) => void,
): Promise<BroughtFile> {
  const run = new Download(file, address, to, net, asked, onBytes);
  try {
    return await run.whole();
  } catch (error) {
    if (error instanceof HearthlendError && error.code === 'DISK_FULL') await run.forget();
    throw error;
  }
}

class Download {
  readonly #file: ListedFile;
  readonly #address: URL;
  readonly #part: string;
  readonly #limitBytes: number;
  readonly #net: Net;
  readonly #asked: Asked;
  readonly #onBytes: (bytes: number) => void;
  #bytes = 0;
  #expected: number | null;
  #etag: string | undefined;
  /** Whether what is here came in more than one answer, or from an earlier try. */
  #pieced = false;
  #sha256: Hash = createHash('sha256');
  #sha1: Hash | undefined;

  constructor(
    file: ListedFile,
    address: URL,
    to: { part: string; limitBytes: number },
    net: Net,
    asked: Asked,
    onBytes: (bytes: number) => void,
  ) {
    this.#file = file;
    this.#address = address;
    this.#part = to.part;
    this.#limitBytes = to.limitBytes;
    this.#net = net;
    this.#asked = asked;
    this.#onBytes = onBytes;
    this.#expected = file.bytes;
  }

  async whole(): Promise<BroughtFile> {
    await this.#resume();
    await this.#fetchRest();
    const wrong = this.#mismatch();
    if (wrong !== undefined) {
      await this.forget();
      if (!this.#pieced) throw wrong;
      // Of what came in pieces one may have been bad, or of another file: once more, from the start.
      this.#restart();
      await this.#fetchRest();
      const again = this.#mismatch();
      if (again !== undefined) {
        await this.forget();
        throw again;
      }
    }
    await rm(`${this.#part}.etag`, { force: true });
    return { path: this.#file.path, bytes: this.#bytes, digest: this.#sha256.copy().digest('hex') };
  }

  async forget(): Promise<void> {
    await rm(this.#part, { force: true });
    await rm(`${this.#part}.etag`, { force: true });
  }

  /** Takes up what an earlier try left. */
  async #resume(): Promise<void> {
    this.#restart();
    const size = await stat(this.#part).then(
      (part) => part.size,
      () => 0,
    );
    if (size === 0) return;
    this.#etag = this.#file.digest === null ? await readFile(`${this.#part}.etag`, 'utf8').catch(() => undefined) : undefined;
    if (size > (this.#expected ?? this.#limitBytes) || (this.#file.digest === null && this.#etag === undefined)) return this.forget();
    for await (const chunk of createReadStream(this.#part, { highWaterMark: 1 << 20 })) this.#take(chunk as Buffer);
    this.#pieced = true;
  }

  #restart(): void {
    this.#bytes = 0;
    this.#expected = this.#file.bytes;
    this.#etag = undefined;
    this.#sha256 = createHash('sha256');
    const { digest, bytes } = this.#file;
    // Git's name of a blob covers its length, which stands before its bytes.
    this.#sha1 = digest?.type === 'git-sha1' && bytes !== null ? createHash('sha1').update(`blob ${bytes}\0`) : undefined;
    this.#onBytes(0);
  }

  #take(chunk: Buffer): void {
    this.#sha256.update(chunk);
    this.#sha1?.update(chunk);
    this.#bytes += chunk.byteLength;
    this.#onBytes(this.#bytes);
  }

  async #fetchRest(): Promise<void> {
    let fruitless = 0;
    for (let answers = 0; this.#expected === null || this.#bytes < this.#expected || answers === 0; answers += 1) {
      if (this.#bytes === this.#expected && this.#expected > 0) return;
      const before = this.#bytes;
      const ended = await this.#fetchOnce();
      if (this.#net.signal.aborted) throw new HearthlendError('CANCELLED');
      if (ended === 'whole') return;
      fruitless = this.#bytes > before ? 0 : fruitless + 1;
      if (fruitless === MAX_FRUITLESS || answers === MAX_ANSWERS) throw ended;
    }
  }

  /** One answer, to its end: the whole file is here, or why it isn't. */
  async #fetchOnce(): Promise<'whole' | HearthlendError> {
    const range: Record<string, string> = this.#bytes > 0 ? { range: `bytes=${this.#bytes}-` } : {};
    if (this.#bytes > 0 && this.#etag !== undefined) range['if-range'] = this.#etag;
    const answer = await ask(this.#address, range, this.#net);
    try {
      await this.#accept(answer);
      return await this.#store(answer);
    } finally {
      answer.destroy();
    }
  }

  /** Looks at an answer's headers before a byte of it is stored. */
  async #accept(answer: IncomingMessage): Promise<void> {
    const { host } = this.#asked;
    const status = answer.statusCode ?? 0;
    if (status === 416) {
      await this.forget();
      this.#restart();
      throw new HearthlendError('HUB_ANSWER_INVALID', { host, detail: `it has no rest of ${this.#file.path} to give` });
    }
    if (status !== 200 && status !== 206) throw refusal(answer, this.#asked);
    if (isPage(answer)) throw new HearthlendError('HUB_ANSWER_INVALID', { host, detail: `in place of ${this.#file.path} came a web page` });
    if (status === 206) {
      const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(answer.headers['content-range'] ?? '');
      if (match === null || Number(match[1]) !== this.#bytes || this.#bytes === 0) {
        throw new HearthlendError('HUB_ANSWER_INVALID', { host, detail: `it gave another part of ${this.#file.path} than was asked for` });
      }
      if (match[3] !== '*') this.#promise(Number(match[3]));
      this.#pieced = true;
      return;
    }
    // All of it from the start: it can't go on in the middle, or the file is another by now.
    if (this.#bytes > 0) this.#restart();
    const length = contentLength(answer);
    if (length !== null) this.#promise(length);
    const etag = answer.headers.etag;
    if (this.#file.digest !== null) return;
    await rm(`${this.#part}.etag`, { force: true });
    if (etag?.startsWith('"') !== true || etag.length > 1000) return;
    this.#etag = etag;
    await onDisk(this.#part, () => writeFile(`${this.#part}.etag`, etag, { mode: 0o600 }));
  }

  /** A size that the server tells now has to be the one that it told before. */
  #promise(bytes: number): void {
    if (bytes !== (this.#expected ?? bytes)) throw this.#sizeWrong(bytes);
    if (bytes > this.#limitBytes) throw this.#tooLarge(bytes);
    this.#expected = bytes;
  }

  #sizeWrong(bytes: number): HearthlendError {
    const { host } = this.#asked;
    return new HearthlendError('DOWNLOAD_SIZE_WRONG', { host, file: this.#file.path, bytes, expected: this.#expected ?? bytes });
  }

  #tooLarge(bytes: number): HearthlendError {
    const limit = this.#limitBytes;
    return new HearthlendError('MODEL_TOO_LARGE', { bytes, limit, missing: bytes - limit });
  }

  async #store(answer: IncomingMessage): Promise<'whole' | HearthlendError> {
    const { host } = this.#asked;
    const part = await onDisk(this.#part, () => open(this.#part, this.#bytes > 0 ? 'a' : 'w', 0o600));
    let broken: HearthlendError | undefined;
    try {
      const chunks = paced(answer, this.#file.path, host, this.#net.pace);
      for (;;) {
        const next = await chunks.next().catch((cause: Error) => {
          broken = cause instanceof HearthlendError ? cause : unreachable(this.#address, cause, this.#net);
          return undefined;
        });
        if (next === undefined || next.done === true) break;
        const chunk = next.value;
        const bytes = this.#bytes + chunk.byteLength;
        if (bytes > (this.#expected ?? this.#limitBytes)) {
          await chunks.return(undefined);
          throw this.#expected === null ? this.#tooLarge(bytes) : this.#sizeWrong(bytes);
        }
        await onDisk(this.#part, () => part.writeFile(chunk));
        this.#take(chunk);
      }
      await onDisk(this.#part, () => part.sync());
    } finally {
      await part.close();
    }
    // A stall is the end, whatever has come; a connection that broke is asked again for the rest.
    if (broken?.code === 'DOWNLOAD_STALLED') throw broken;
    if (broken === undefined && (this.#expected === null || this.#bytes === this.#expected)) return 'whole';
    const expected = this.#expected ?? -1;
    return new HearthlendError('DOWNLOAD_CUT_OFF', { host, file: this.#file.path, bytes: this.#bytes, expected }, { cause: broken });
  }

  #mismatch(): HearthlendError | undefined {
    const { digest, path } = this.#file;
    if (digest === null) return undefined;
    const actual = (digest.type === 'sha256' ? this.#sha256 : (this.#sha1 ?? this.#sha256)).copy().digest('hex');
    return actual === digest.hex ? undefined : new HearthlendError('DIGEST_MISMATCH', { what: path, expected: digest.hex, actual });
  }
}
