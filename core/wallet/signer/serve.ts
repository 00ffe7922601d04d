import { asHearthlendError } from '../../contract/errors.ts';
import { encodeFramePrefix, FrameDecoder } from '../../contract/frame.ts';
import { SIGNER_FRAME_LIMITS, type SignerReply, SignerRequest } from '../../contract/signer.ts';
import type { Signer } from './signer.ts';

/** Requests that may wait for the one at work; whoever sends more is not our agent. */
const WAITING_MAX = 16;

/** What the signer speaks through. */
export interface SignerChannel {
  write(frame: Uint8Array): void;
  /** Ends the process: what came can't be read any more. */
  abort(): void;
}

/** Answers frames as they come, in order, one request at a time. What is a frame but no request is answered so; what is no frame ends it. */
export function serveSigner(signer: Signer, channel: SignerChannel): (chunk: Uint8Array) => void {
  const decoder = new FrameDecoder(SIGNER_FRAME_LIMITS);
  let waiting = 0;
  let last = Promise.resolve();
  const send = (reply: SignerReply) => channel.write(encodeFramePrefix(reply, 0, SIGNER_FRAME_LIMITS));

  async function answer(request: SignerRequest): Promise<void> {
    try {
      send({ id: request.id, ...(await signer.act(request)) });
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      // An error that isn't ours may quote what it was about.
      send({ type: 'failed', id: request.id, code, params: code === 'INTERNAL' ? { detail: 'the signer failed' } : params });
    } finally {
      waiting -= 1;
    }
  }

  send({ type: 'ready', publicKey: signer.publicKey });
  return (chunk) => {
    try {
      for (const { header } of decoder.push(chunk)) {
        const request = SignerRequest.safeParse(header);
        if (!request.success || waiting >= WAITING_MAX) {
          send({ type: 'failed', id: 0, code: 'SIGNER_PROTOCOL', params: { detail: 'it was sent no request of its own' } });
          continue;
        }
        waiting += 1;
        last = last.then(() => answer(request.data));
      }
    } catch {
      channel.abort();
    }
  };
}
