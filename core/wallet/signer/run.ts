import type { ReadMeaning } from './meaning.ts';
import { serveSigner } from './serve.ts';
import { createSigner } from './signer.ts';

/**
 * The program of a signer process. Its one argument is the wallet's folder as it sees it. It ends when stdin does, and at anything that was not foreseen,
 * without a word: a stack trace might quote a secret.
 */
export async function runSigner(meaningOf: ReadMeaning): Promise<void> {
  process.on('uncaughtException', () => process.exit(1));
  const [folder] = process.argv.slice(2);
  if (folder === undefined) process.exit(2);
  const signer = await createSigner(folder, meaningOf);
  const receive = serveSigner(signer, {
    write: (frame) => void process.stdout.write(frame),
    abort: () => process.exit(1),
  });
  process.stdin.on('data', receive);
  process.stdin.on('end', () => process.exit(0));
}
