import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Readable } from 'node:stream';
import { HearthlendError } from '../contract/errors.ts';

/** How long a coordinator may take to begin its answer, and to send all of a small one. */
const ANSWER_MS = 20_000;
const MAX_JSON_BYTES = 512 * 1024;
const PIECE_BYTES = 256 * 1024;

export interface HttpsCall {
  /** The network's id, or where it is; for errors. */
  network: string;
  url: string;
  /** PEM; nothing else is trusted. */
  ca: string;
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  signal?: AbortSignal | undefined;
}

/** One request, up to the head of its answer. @throws NETWORK_UNREACHABLE, NETWORK_CERTIFICATE_WRONG */
export function openHttps({ network, url, ca, method = 'GET', headers = {}, body, signal }: HttpsCall): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    // No agent: a connection that stays open would keep the process.
    const asked = request(url, {
      method,
      headers: { ...headers, ...length },
      ca,
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    });
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
    asked.on('response', (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    asked.on('error', (cause) => {
      clearTimeout(timer);
      reject(unreachable(network, cause));
    });
    void upload(asked, body, () => timer.refresh());
  });
}

/** In pieces, so that an upload that moves is not taken for silence. */
async function upload(asked: ClientRequest, body: HttpsCall['body'], onMove: () => void): Promise<void> {
  if (body === undefined || body.length <= PIECE_BYTES) return void asked.end(body);
  const bytes = Buffer.from(body);
  for (let from = 0; from < bytes.byteLength && !asked.destroyed; from += PIECE_BYTES) {
    if (!asked.write(bytes.subarray(from, from + PIECE_BYTES))) {
      await new Promise<void>((resolve) => {
        const go = () => {
          asked.off('drain', go).off('close', go);
          resolve();
        };
        asked.on('drain', go).on('close', go);
      });
    }
    onMove();
  }
  asked.end();
}

/** A call that answers with a little JSON. @throws NETWORK_UNREACHABLE, NETWORK_CERTIFICATE_WRONG, NETWORK_ANSWER_INVALID */
export async function askJson(call: HttpsCall): Promise<{ status: number; body: unknown }> {
  const response = await openHttps(call);
  const bytes = await readBounded(call.network, response, MAX_JSON_BYTES);
  try {
    return { status: response.statusCode ?? 0, body: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    // What stands there may be anybody's page, and is nobody's to read.
    throw new HearthlendError('NETWORK_ANSWER_INVALID', { network: call.network, detail: `HTTP ${response.statusCode}, and no JSON` });
  }
}

async function readBounded(network: string, response: Readable, limit: number): Promise<Uint8Array> {
  const timer = setTimeout(() => response.destroy(new Error(`not all of the answer within ${ANSWER_MS / 1000} s`)), ANSWER_MS);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes > limit) throw new HearthlendError('NETWORK_ANSWER_INVALID', { network, detail: `an answer of over ${limit} bytes` });
      chunks.push(chunk as Uint8Array);
    }
  } catch (thrown) {
    throw thrown instanceof HearthlendError ? thrown : unreachable(network, thrown as Error);
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
  return Buffer.concat(chunks);
}

/** What Node says of a certificate: not of this authority, not for this name, over. */
const CERTIFICATE = /^(ERR_TLS_CERT|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS_)/;

function unreachable(network: string, cause: Error): HearthlendError {
  const { code = '' } = cause as NodeJS.ErrnoException;
  const detail = code === '' ? cause.message : code;
  const what = CERTIFICATE.test(code) ? 'NETWORK_CERTIFICATE_WRONG' : 'NETWORK_UNREACHABLE';
  return new HearthlendError(what, { network, detail }, { cause });
}
