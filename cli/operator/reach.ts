import { request } from 'node:http';
import { z } from 'zod';
import { errorOf, HearthlendError } from '../../core/contract/errors.ts';
import { OPERATOR_CALLS, type OperatorCallInput, type OperatorCallName, type OperatorCallOutput } from '../../core/contract/operating.ts';
import { processAlive, readEndpoint } from '../../core/loopback/endpoint.ts';

const ANSWER_MS = 10_000;
/** For calls that compute before they answer. */
const COMPUTED_MS: Partial<Record<OperatorCallName, number>> = { calibrate: 4 * 3_600_000 };
const MAX_ANSWER_BYTES = 64 << 20;
const Refusal = z.object({ error: z.object({ code: z.string(), params: z.record(z.string(), z.union([z.string(), z.number()])) }) });

/** Asks the running coordinator of a folder. @throws COORDINATOR_NOT_RUNNING, and what it refuses with */
export async function askCoordinator<N extends OperatorCallName>(
  dir: string,
  call: N,
  input: OperatorCallInput<N>,
): Promise<OperatorCallOutput<N>> {
  const endpoint = await readEndpoint(dir);
  const notRunning = (cause?: unknown) => new HearthlendError('COORDINATOR_NOT_RUNNING', { path: dir }, { cause });
  if (endpoint === undefined || !processAlive(endpoint.pid)) throw notRunning();
  const { status, body } = await post(
    endpoint.port,
    `/operator/${call}`,
    endpoint.token,
    JSON.stringify(input),
    COMPUTED_MS[call] ?? ANSWER_MS,
  ).catch((thrown: unknown) => {
    throw thrown instanceof HearthlendError ? thrown : notRunning(thrown);
  });
  if (status === 200) return OPERATOR_CALLS[call].output.parse(JSON.parse(body)) as OperatorCallOutput<N>;
  const refusal = Refusal.safeParse(status === 401 || status === 404 ? undefined : JSON.parse(body));
  if (!refusal.success) throw notRunning();
  throw errorOf(refusal.data.error.code, refusal.data.error.params);
}

function post(port: number, path: string, token: string, body: string, timeout: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const asked = request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false, timeout });
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', reject);
    asked.on('response', async (response) => {
      try {
        const chunks: Buffer[] = [];
        let bytes = 0;
        for await (const chunk of response) {
          bytes += (chunk as Buffer).byteLength;
          if (bytes > MAX_ANSWER_BYTES) throw new Error('an answer without end');
          chunks.push(chunk as Buffer);
        }
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      } catch (thrown) {
        reject(thrown);
      }
    });
    asked.end(body);
  });
}
