import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { pinnedAuthority } from '../../core/network/joining.ts';

/** Where a network answers OpenAI's interface, under which certificate, and with what key. */
export interface Desk {
  address: string;
  ca: string;
  secret: string;
}

interface Completion {
  choices: { text: string }[];
  usage?: { completion_tokens: number } | null;
  error?: { message: string };
}

/** @param network `https://HOST:PORT#sha256=…`, as `coordinator key create` says it */
export async function openDesk(network: string, address: string, secret: string): Promise<Desk> {
  const { host, hash } = new URL(network);
  return { address, ca: await pinnedAuthority({ at: host, fingerprint: hash.replace('#sha256=', '') }), secret };
}

/** What is asked for, in the names of OpenAI's interface. */
interface Asked {
  model: string;
  prompt: string;
  max_tokens: number;
  temperature: number;
  seed?: number;
}

/** A text's continuation, as any client of OpenAI's interface asks for it. */
export async function complete(desk: Desk, asked: Asked): Promise<string> {
  const answer = await post(desk, asked);
  let body = '';
  for await (const chunk of answer) body += String(chunk);
  return (JSON.parse(body) as Completion).choices[0]?.text ?? '';
}

/** The same as it is made: `onText` is told of each piece. Gives how many tokens the network counted. */
export async function stream(desk: Desk, asked: Asked, onText: (text: string) => void): Promise<number> {
  const answer = await post(desk, { ...asked, stream: true, stream_options: { include_usage: true } });
  let tokens = 0;
  for await (const line of createInterface({ input: answer })) {
    const data = /^data: (?!\[DONE\])(.*)$/.exec(line)?.[1];
    if (data === undefined) continue;
    const piece = JSON.parse(data) as Partial<Completion>;
    if (piece.error !== undefined) throw new Error(piece.error.message);
    const text = piece.choices?.[0]?.text ?? '';
    if (text !== '') onText(text);
    tokens = piece.usage?.completion_tokens ?? tokens;
  }
  return tokens;
}

async function post({ address, ca, secret }: Desk, body: object): Promise<IncomingMessage> {
  const sent = request(`${address}/completions`, {
    method: 'POST',
    ca,
    agent: false,
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
  });
  sent.end(JSON.stringify(body));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  if (answer.statusCode === 200) return answer;
  let said = '';
  for await (const chunk of answer) said += String(chunk);
  throw new Error(`the network answered ${answer.statusCode}: ${said.slice(0, 500)}`);
}
