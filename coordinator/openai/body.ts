import type { IncomingMessage } from 'node:http';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { RequestLimits } from './limits.ts';

/**
 * A request's body, whole and in time, as JSON. @throws REQUEST_TOO_LARGE, REQUEST_TOO_SLOW, PARAMETER_INVALID where it is no JSON object, CANCELLED
 * where who sent it is gone
 */
export async function readBody(
  request: IncomingMessage,
  { bodyBytes, bodyMs }: Pick<RequestLimits, 'bodyBytes' | 'bodyMs'>,
): Promise<Record<string, unknown>> {
  const tooLarge = () => new HearthlendError('REQUEST_TOO_LARGE', { limit: bodyBytes });
  if (Number(request.headers['content-length'] ?? 0) > bodyBytes) throw tooLarge();
  const text = await new Promise<string>((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => reject(new HearthlendError('REQUEST_TOO_SLOW', { seconds: Math.ceil(bodyMs / 1000) })), bodyMs);
    request.on('data', (piece: Buffer) => {
      bytes += piece.byteLength;
      if (bytes > bodyBytes) reject(tooLarge());
      else pieces.push(piece);
    });
    request.on('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(pieces).toString('utf8'));
    });
    request.on('close', () => {
      clearTimeout(timer);
      reject(new HearthlendError('CANCELLED'));
    });
    request.on('error', reject);
  });
  const invalid = (detail: string) => new HearthlendError('PARAMETER_INVALID', { param: 'body', detail });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalid('it is no JSON object');
  return json as Record<string, unknown>;
}
