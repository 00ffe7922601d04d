import { z } from 'zod';
import type { ChainConfig } from '../contract/chain.ts';
import { asHearthlendError, HearthlendError } from '../contract/errors.ts';

/** An answer larger than this is none that we have asked for. */
const MAX_ANSWER_BYTES = 1 << 20;
const ANSWER_WITHIN_MS = 10_000;

const Answer = z.union([
  z.looseObject({ id: z.int(), result: z.unknown() }).refine((answer) => !('error' in answer) || answer.error === undefined),
  z.looseObject({
    id: z.int(),
    error: z.looseObject({ code: z.number(), message: z.string().max(4000), data: z.unknown().optional() }),
  }),
]);

/** What an endpoint refused, in its own words; `data` is what the contract gave as its reason, as 0x and hex digits. */
export class RpcRefusal extends Error {
  readonly data: string | null;
  constructor(message: string, data: unknown) {
    super(message);
    this.data = typeof data === 'string' && /^0x[0-9a-fA-F]*$/.test(data) ? data : null;
  }
}

/** A chain, by whichever of its endpoints answers. */
export interface ChainRpc {
  readonly config: ChainConfig;
  /** By the first endpoint that answers. @throws RpcRefusal, CHAIN_UNREACHABLE, CHAIN_ID_WRONG */
  ask<T>(method: string, params: readonly unknown[], answer: z.ZodType<T>): Promise<T>;
  /**
   * By two endpoints, where the chain has two, which must say the same: for what an endpoint could gain by lying about. `alone`: whether only one
   * could be asked. @throws CHAIN_DISAGREES
   */
  askTwo<T>(method: string, params: readonly unknown[], answer: z.ZodType<T>): Promise<{ value: T; alone: boolean }>;
  /** The highest block that two endpoints both have, where the chain has two: what is read at it, both can tell. */
  head(): Promise<number>;
  /** What `head` gave last; null before. */
  readonly seenHead: number | null;
  /** Hands a signed transaction to every endpoint: one of them may keep it to itself. */
  broadcast(raw: string): Promise<void>;
}

/** @param fetcher the network; each endpoint's chain id is verified at its first answer and whenever it was away */
export function openChainRpc(config: ChainConfig, fetcher: typeof fetch = fetch): ChainRpc {
  /** Endpoints that have said the right chain id and have not failed since. */
  const verified = new Set<string>();
  let nextId = 1;
  let seenHead: number | null = null;

  async function post(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
    const id = nextId++;
    let response: Response;
    let text: string;
    try {
      response = await fetcher(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
        redirect: 'error',
        signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      });
      text = await boundedText(response);
    } catch (thrown) {
      verified.delete(url);
      throw new HearthlendError(
        'CHAIN_UNREACHABLE',
        { chain: config.name, detail: `${hostOf(url)} did not answer${why(thrown)}` },
        { cause: thrown },
      );
    }
    const answer = Answer.safeParse(jsonOf(text));
    if (!answer.success || answer.data.id !== id) {
      verified.delete(url);
      throw new HearthlendError('CHAIN_UNREACHABLE', { chain: config.name, detail: `${hostOf(url)} answered what is no JSON-RPC` });
    }
    const { error, result } = answer.data as { error?: { message: string; data?: unknown }; result?: unknown };
    if (error !== undefined) throw new RpcRefusal(error.message, error.data);
    return result;
  }

  async function askOne<T>(url: string, method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<T> {
    if (!verified.has(url)) {
      const chainId = Quantity.safeParse(await post(url, 'eth_chainId', []));
      if (!chainId.success || chainId.data !== BigInt(config.chainId)) {
        const found = chainId.success ? chainId.data.toString() : '?';
        throw new HearthlendError('CHAIN_ID_WRONG', { chain: config.name, url: hostOf(url), found, expected: config.chainId });
      }
      verified.add(url);
    }
    const result = schema.safeParse(await post(url, method, params));
    if (result.success) return result.data;
    verified.delete(url);
    throw new HearthlendError('CHAIN_UNREACHABLE', { chain: config.name, detail: `${hostOf(url)} answered ${method} with nonsense` });
  }

  /** The answers of up to `wanted` endpoints, from the first on. A refusal is an answer. */
  async function askSome<T>(wanted: number, method: string, params: readonly unknown[], schema: z.ZodType<T>): Promise<T[]> {
    const values: T[] = [];
    let failure: unknown;
    for (const url of config.rpc) {
      try {
        values.push(await askOne(url, method, params, schema));
        if (values.length === wanted) return values;
      } catch (thrown) {
        if (thrown instanceof RpcRefusal && values.length === 0) throw thrown;
        // Of all that went wrong, a lie about the chain is what the user has to know.
        if (failure === undefined || asHearthlendError(thrown).code === 'CHAIN_ID_WRONG') failure = thrown;
      }
    }
    if (values.length > 0) return values;
    throw failure;
  }

  return {
    config,
    async ask(method, params, schema) {
      const [value] = await askSome(1, method, params, schema);
      return value as z.infer<typeof schema>;
    },
    async askTwo(method, params, schema) {
      const [first, second] = await askSome(2, method, params, schema);
      if (second !== undefined && plain(first) !== plain(second)) {
        throw new HearthlendError('CHAIN_DISAGREES', { chain: config.name, method });
      }
      return { value: first as z.infer<typeof schema>, alone: second === undefined };
    },
    async head() {
      const heads = await askSome(2, 'eth_blockNumber', [], Quantity);
      seenHead = Math.min(...heads.map(Number));
      return seenHead;
    },
    get seenHead() {
      return seenHead;
    },
    async broadcast(raw) {
      const given = await Promise.allSettled(config.rpc.map((url) => askOne(url, 'eth_sendRawTransaction', [raw], z.string())));
      if (given.some((each) => each.status === 'fulfilled')) return;
      const refusals = given.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
      // It is there already: what was to be reached.
      if (refusals.some((reason) => reason instanceof RpcRefusal && /already known|already imported/i.test(reason.message))) return;
      throw refusals.find((reason) => reason instanceof RpcRefusal) ?? refusals[0];
    },
  };
}

/** A JSON-RPC quantity: 0x and hex digits. Source: ethereum.org, "JSON-RPC API", "Hex encoding". */
export const Quantity = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,64}$/)
  .transform((text) => BigInt(text));
export const Bytes = z.string().regex(/^0x([0-9a-fA-F]{2})*$/);
export const quantity = (value: bigint | number): string => `0x${value.toString(16)}`;

async function boundedText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body ?? []) {
    bytes += piece.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`more than ${MAX_ANSWER_BYTES} bytes came`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function plain(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? each.toString() : each));
}

/** Never the whole address: an endpoint's path may hold the user's key for it. */
function hostOf(url: string): string {
  return new URL(url).host;
}

/** In brackets, where the system or the clock says it. */
function why(thrown: unknown): string {
  const code = (thrown as { cause?: { code?: string } }).cause?.code;
  if (code !== undefined) return ` (${code})`;
  return (thrown as Error).name === 'TimeoutError' ? ' in time' : '';
}
