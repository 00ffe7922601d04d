import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { TransactionRecord } from './contract/chain.ts';
import { Amount } from './contract/money.ts';
import { Address } from './contract/receipt.ts';
import { storageError } from './contract/storage-error.ts';
import { writeDurably } from './ledger/durable-file.ts';
import type { Call } from './settlement/fees.ts';
import type { TransactionRecords } from './settlement/sender.ts';

const Kept = z.array(
  z.strictObject({
    record: TransactionRecord,
    call: z.strictObject({ to: Address.nullable(), data: z.string().max(200_000), value: Amount }),
  }),
);
/** Those that are over are kept to be looked up. */
const KEPT = 200;

/**
 * Transactions that were sent, in a file of their own: what is open of them must not be forgotten.
 * @param onChange called when one is put
 * @throws DATA_DIR_UNWRITABLE
 */
export function openTransactionRecords(
  folder: string,
  onChange: () => void = () => undefined,
): TransactionRecords & { all(): TransactionRecord[] } {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw storageError(folder, thrown);
  }
  const path = join(folder, 'transactions.json');
  let kept: z.infer<typeof Kept> = existsSync(path) ? Kept.parse(JSON.parse(readFileSync(path, 'utf8'))) : [];
  const isOpen = ({ state }: TransactionRecord) => state === 'pending' || state === 'mined';
  const same = (a: TransactionRecord, b: TransactionRecord) =>
    a.chainId === b.chainId && a.from === b.from && a.nonce === b.nonce && a.sentAt === b.sentAt;
  return {
    all: () => kept.map(({ record }) => record),
    open: () => kept.map(({ record }) => record).filter(isOpen),
    put(record, call) {
      const others = kept.filter((each) => !same(each.record, record));
      const over = others.filter((each) => !isOpen(each.record)).slice(-KEPT);
      const next = [...over, ...others.filter((each) => isOpen(each.record)), { record, call: { ...call, value: call.value.toString() } }];
      writeDurably(path, `${JSON.stringify(next)}\n`);
      kept = next;
      onChange();
    },
    call(record): Call | null {
      const found = kept.find((each) => same(each.record, record));
      return found === undefined ? null : { ...found.call, value: BigInt(found.call.value) };
    },
  };
}
