import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { HearthlendError } from '../contract/errors.ts';
import { encodeFramePrefix, FrameDecoder } from '../contract/frame.ts';
import type { SealKey } from '../contract/seal.ts';
import { type SealedRequest, SIGNER_FRAME_LIMITS, SignerReply, type SignerRequest } from '../contract/signer.ts';
import type { ToSign } from '../contract/signing.ts';

/** A started signer: frames go in at stdin and come out at stdout. */
export interface SignerChild extends ChildProcess {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
}

type Reply<T extends SignerReply['type']> = Extract<SignerReply, { type: T }>;
export type SignerDone = Reply<'done'>;
type Answered = Reply<'done' | 'described' | 'signed'>;

/** Node's start takes some 100 ms; a busy machine a few seconds. */
const READY_MS = 20_000;
/** Two scrypts and the longest pause after wrong passwords, on a slow machine. */
const ANSWER_MS = 120_000;
const STDERR_CHARACTERS = 2000;

interface Waiting {
  resolve(answer: Answered): void;
  reject(error: HearthlendError): void;
  timer: NodeJS.Timeout;
}

/** The agent's end of one signer process, from its start until it is gone. What it says is checked; at the first word out of place it is killed. */
export class SignerProcess {
  /** Resolves when the process is gone, by itself or killed, with all that it held. */
  readonly gone: Promise<void>;
  readonly #child: SignerChild;
  readonly #decoder = new FrameDecoder(SIGNER_FRAME_LIMITS);
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = Promise.withResolvers<SealKey>();
  #isReady = false;
  #ended = false;
  #nextId = 1;
  #stderr = '';

  constructor(child: SignerChild) {
    this.#child = child;
    const timer = setTimeout(() => this.#end(startFailed('it did not answer')), READY_MS);
    this.#ready.promise.then(
      () => clearTimeout(timer),
      () => clearTimeout(timer),
    );
    child.stdin.on('error', () => this.#end(protocol('it stopped reading')));
    child.stdout.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    child.stdout.on('error', () => this.#end(protocol('it stopped writing')));
    // What it says before it is ready is about its start. Afterwards it has been told secrets, and nothing of it is kept.
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (!this.#isReady) this.#stderr = (this.#stderr + text).slice(0, STDERR_CHARACTERS);
    });
    child.stderr.on('error', () => this.#end(protocol('it stopped writing')));
    child.once('error', (error) => this.#end(startFailed(error.message)));
    this.gone = new Promise((resolve) => {
      // 'close' comes when the last process that holds its pipes is gone.
      child.once('close', (code, signal) => {
        this.#end(
          this.#isReady
            ? new HearthlendError('WALLET_LOCKED')
            : startFailed(this.#stderr.trim().slice(0, 300) || `it ended (${code ?? signal})`),
        );
        resolve();
      });
    });
  }

  /** The key to which secrets are sealed for this process. @throws SIGNER_START_FAILED */
  get publicKey(): Promise<SealKey> {
    return this.#ready.promise;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** @throws what the signer says, WALLET_LOCKED where it is killed meanwhile, SIGNER_PROTOCOL */
  request(act: SealedRequest['act'], sealed: SealedRequest['sealed']): Promise<SignerDone> {
    return this.#ask((id) => ({ id, act, sealed }), 'done');
  }

  /** What the signer reads off something that is to be signed. @throws as `request`, TRANSACTION_REFUSED */
  describe(what: ToSign): Promise<Reply<'described'>> {
    return this.#ask((id) => ({ id, act: 'describe', what }), 'described');
  }

  /** Signs what means what was `seen`. @throws as `describe`, SPEND_LIMIT_REACHED */
  sign(what: ToSign, seen: string): Promise<Reply<'signed'>> {
    return this.#ask((id) => ({ id, act: 'sign', what, seen }), 'signed');
  }

  async #ask<T extends Answered['type']>(request: (id: number) => SignerRequest, type: T): Promise<Reply<T>> {
    await this.#ready.promise;
    if (this.#ended) throw new HearthlendError('WALLET_LOCKED');
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = await new Promise<Answered>((resolve, reject) => {
      const timer = setTimeout(() => this.#end(protocol('it did not answer')), ANSWER_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#child.stdin.write(encodeFramePrefix(request(id), 0, SIGNER_FRAME_LIMITS));
    });
    if (answer.type !== type) {
      const error = protocol('it answered something else');
      this.#end(error);
      throw error;
    }
    return answer as Reply<T>;
  }

  /** Ends it at once, with whatever it holds; resolves when it is gone. Whoever waits for an answer gets WALLET_LOCKED. */
  async kill(): Promise<void> {
    this.#end(new HearthlendError('WALLET_LOCKED'));
    await this.gone;
  }

  #receive(chunk: Uint8Array): void {
    if (this.#ended) return;
    try {
      for (const { header } of this.#decoder.push(chunk)) {
        const reply = SignerReply.safeParse(header);
        if (!reply.success) throw protocol('it said what it may not');
        this.#take(reply.data);
      }
    } catch (thrown) {
      this.#end(thrown instanceof HearthlendError && thrown.code === 'SIGNER_PROTOCOL' ? thrown : protocol('it wrote no frame'));
    }
  }

  #take(reply: SignerReply): void {
    if (reply.type === 'ready') {
      if (this.#isReady) throw protocol('it was ready twice');
      this.#isReady = true;
      this.#stderr = '';
      this.#ready.resolve(reply.publicKey);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) throw protocol('it answered what was not asked');
    this.#waiting.delete(reply.id);
    clearTimeout(waiting.timer);
    if (reply.type === 'failed') waiting.reject(new HearthlendError(reply.code, reply.params));
    else waiting.resolve(reply);
  }

  #end(error: HearthlendError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#ready.reject(error);
    // Whoever asks for the key gets this; nobody has to.
    this.#ready.promise.catch(() => undefined);
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
    this.#child.kill('SIGKILL');
  }
}

function startFailed(detail: string): HearthlendError {
  return new HearthlendError('SIGNER_START_FAILED', { detail });
}

function protocol(detail: string): HearthlendError {
  return new HearthlendError('SIGNER_PROTOCOL', { detail });
}
