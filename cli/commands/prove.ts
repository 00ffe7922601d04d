import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { Context, ExitCode } from './command.ts';
import { writeNewFile } from './new-file.ts';

/** Far more than the longest path of hashes needs. */
const MAX_PROOF_BYTES = 256 * 1024;

export interface ProveOptions {
  receipt: number;
  network: string | null;
  /** Null where this machine was one worker alone, or the number is of one of them alone. */
  worker: string | null;
  /** Null: to stdout. */
  out: string | null;
}

/** Writes what the payment of a receipt rests on, for anyone to check. It reads the ledger's file, whether or not an agent runs. */
export async function runProve({ world, terminal, dataDir }: Context, { receipt, network, worker, out }: ProveOptions): Promise<ExitCode> {
  const { proveReceipt } = await import('../../core/ledger/prove.ts');
  const proof = proveReceipt(join(dataDir, 'ledger.db'), { network, worker }, receipt);
  if (out === null) {
    world.stdout.write(`${JSON.stringify(proof, null, terminal.json ? 0 : 2)}\n`);
    return 0;
  }
  const path = resolve(world.cwd, out);
  writeNewFile(path, `${JSON.stringify(proof, null, 2)}\n`);
  terminal.emit({ event: 'proved', receipt, path, promised: proof.voucher !== null });
  terminal.text(message('cli.ledger.proved', { receipt, path }));
  return 0;
}

/** Checks a proof that somebody made. It needs nothing but the file. */
export async function runVerifyProof({ world, terminal }: Context, file: string): Promise<ExitCode> {
  const path = resolve(world.cwd, file);
  const { ProofBundle, verifyProof } = await import('../../core/contract/proof.ts');
  const bundle = ProofBundle.safeParse(readProof(path));
  if (!bundle.success) {
    const issue = bundle.error.issues[0];
    throw new HearthlendError('PROOF_INVALID', { path, detail: `${issue?.path.join('.')}: ${issue?.message}` });
  }
  const report = verifyProof(bundle.data);
  terminal.emit({ event: 'proof', ...report });
  for (const { point, holds } of report.points) {
    const how = holds === null ? 'open' : holds ? 'holds' : 'fails';
    terminal.text(message(`cli.proof.${how}`, { point: message(`cli.proof.point.${point}`) }));
  }
  if (report.channel !== null) {
    const { chainId, contract } = report.channel;
    terminal.text(message('cli.proof.claimable', { chainId: String(chainId), contract }));
    if (report.signedByPayer === false) terminal.text(message('cli.proof.ask-contract', { contract }));
  }
  terminal.text(message(report.ok ? 'cli.proof.whole' : 'cli.proof.broken'));
  return report.ok ? 0 : 1;
}

function readProof(path: string): unknown {
  try {
    if (statSync(path).size > MAX_PROOF_BYTES) throw new HearthlendError('PROOF_INVALID', { path, detail: 'it is too large' });
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    if (thrown instanceof HearthlendError) throw thrown;
    throw new HearthlendError('PROOF_INVALID', { path, detail: (thrown as Error).message });
  }
}
