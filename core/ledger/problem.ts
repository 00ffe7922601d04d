import { type MessageKey, type MessageParams, message } from '../contract/messages.ts';
import type { LedgerVerification } from '../contract/rpc.ts';

/** What is wrong with a ledger, and at which entry. */
export type Problem = LedgerVerification['problems'][number];

/** What can be wrong, by code, and the words for it. Errors' codes (BATCH_INVALID, DATABASE_CORRUPT, …) come beside these. */
const WORDS = {
  ENTRY_CHANGED: 'ledger.problem.entry-changed',
  ENTRY_MISSING: 'ledger.problem.entry-missing',
  CHAIN_BROKEN: 'ledger.problem.chain-broken',
  TAIL_MISSING: 'ledger.problem.tail-missing',
  HEAD_MISSING: 'ledger.problem.head-missing',
  HEAD_INVALID: 'ledger.problem.head-invalid',
  HEAD_DIFFERS: 'ledger.problem.head-differs',
  RECEIPT_OPEN: 'ledger.problem.receipt-open',
  DERIVED_CHANGED: 'ledger.problem.derived-changed',
  SCHEMA_CHANGED: 'ledger.problem.schema-changed',
  TABLE_CHANGED: 'ledger.problem.schema-changed',
} as const satisfies Record<string, MessageKey>;

export function problem(code: keyof typeof WORDS, sequence: number | null, params: MessageParams = {}): Problem {
  return { code, sequence, detail: message(WORDS[code], sequence === null ? params : { ...params, sequence }) };
}
