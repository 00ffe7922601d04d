import { EventEmitter } from 'node:events';

/** How a port's far end sends: bytes apart, as text. */
export type Send = (message: unknown, bytes: string | null) => void;

let made = 0;

/** One end of a channel between the main process and a page; what is sent before the page has its end waits. */
export class FakePort extends EventEmitter {
  readonly id: number;
  other: FakePort | undefined;
  #send: Send | undefined;
  #waiting: [unknown, string | null][] = [];

  constructor() {
    super();
    made += 1;
    this.id = made;
  }

  started = false;
  start(): void {
    this.started = true;
  }

  postMessage(message: { bytes?: ArrayBuffer }): void {
    const { bytes, ...rest } = message;
    this.other?.deliver(rest, bytes === undefined ? null : Buffer.from(bytes).toString('base64'));
  }

  /** What the main process sent is to go to the page. */
  deliver(message: unknown, bytes: string | null): void {
    if (this.#send === undefined) this.#waiting.push([message, bytes]);
    else this.#send(message, bytes);
  }

  connect(send: Send): void {
    this.#send = send;
    for (const [message, bytes] of this.#waiting) send(message, bytes);
    this.#waiting = [];
  }

  /** What the page sent, for the main process's end. */
  received(sent: { bytes: string } | { value: unknown }): void {
    this.other?.emit('message', { data: 'bytes' in sent ? new Uint8Array(Buffer.from(sent.bytes, 'base64')) : sent.value });
  }
}

/** Electron's MessageChannelMain, as far as electron/ uses it. */
export class FakeMessageChannel {
  readonly port1 = new FakePort();
  readonly port2 = new FakePort();

  constructor() {
    this.port1.other = this.port2;
    this.port2.other = this.port1;
  }
}
