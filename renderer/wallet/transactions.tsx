import { message } from '../../core/contract/messages.ts';
import type { ChainRow, PaymentsStatus, TransactionRow } from '../../core/contract/payments.ts';
import { assetsOn } from '../../core/contract/sending.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { exactText } from '../words/amounts.ts';
import { shortAddress } from '../words/plain.ts';
import { dateTimeText } from '../words/times.ts';

const isOpen = ({ state }: TransactionRow) => state === 'pending' || state === 'mined';

/** What was sent and claimed from here: what is under way first, then what is over. */
export function Transactions({ status }: { status: PaymentsStatus }): React.ReactNode {
  const { transactions, chains } = status;
  if (transactions.length === 0) return null;
  const [open, over] = [transactions.filter(isOpen), transactions.filter((each) => !isOpen(each))];
  return (
    <section className="card" aria-labelledby="transactions-title">
      <div className="head">
        <h2 id="transactions-title">{message('money.transactions')}</h2>
        <span>{message('money.transactions.open', { count: open.length })}</span>
      </div>
      <ul className="transactions">
        {[...open, ...over].map((record) => (
          <Transaction key={`${record.chainId} ${record.from} ${record.nonce} ${record.sentAt}`} record={record} chains={chains} />
        ))}
      </ul>
    </section>
  );
}

function Transaction({ record, chains }: { record: TransactionRow; chains: readonly ChainRow[] }): React.ReactNode {
  const chain = chains.find(({ chainId }) => chainId === record.chainId);
  const hash = record.hashes.at(-1) ?? '';
  const name = chain?.name ?? message('money.chain', { chainId: String(record.chainId) });
  return (
    <li className={record.state}>
      <div>
        <b>{whatWords(record, chain)}</b> <span className="faint">{dateTimeText(record.sentAt)}</span>
      </div>
      <p role={isOpen(record) ? 'status' : undefined}>{stateWords(record, chain)}</p>
      {isOpen(record) && chain !== undefined && <Depth record={record} chain={chain} />}
      <p className="faint">
        {name} ·{' '}
        {chain?.explorer == null ? (
          <span className="mono">{shortAddress(hash)}</span>
        ) : (
          <a className="mono" href={`${chain.explorer.replace(/\/$/, '')}/tx/${hash}`} target="_blank" rel="noreferrer">
            {shortAddress(hash)}
          </a>
        )}{' '}
        <CopyButton text={hash} what="money.copy.hash" />
      </p>
    </li>
  );
}

function whatWords({ kind, asset, amount, subject }: TransactionRow, chain: ChainRow | undefined): string {
  const shown = chain === undefined ? undefined : assetsOn(chain).find((each) => each.asset === asset);
  if (kind === 'claim') {
    const known = amount !== null && shown !== undefined;
    return known ? message('money.transaction.claim-amount', { amount: exactText(amount, shown) }) : message('money.transaction.claim');
  }
  const to = shortAddress(subject);
  if (amount === null || shown === undefined) return message('money.transaction.send', { to });
  return message('money.transaction.send-amount', { amount: exactText(amount, shown), to });
}

/** Blocks on top of the one that it is in, its own included; null while it is in none, or no block was seen. */
function depthOf({ state, block }: TransactionRow, { head }: ChainRow): number | null {
  return state !== 'mined' || block === null || head === null ? null : Math.max(1, head - block.number + 1);
}

function Depth({ record, chain }: { record: TransactionRow; chain: ChainRow }): React.ReactNode {
  const depth = depthOf(record, chain) ?? 0;
  return (
    <progress max={chain.confirmations} value={Math.min(depth, chain.confirmations)} aria-label={message('money.transaction.depth')} />
  );
}

function stateWords(record: TransactionRow, chain: ChainRow | undefined): string {
  const { state, hashes, replacedAt, block } = record;
  if (state === 'mined') {
    const depth = chain === undefined ? null : depthOf(record, chain);
    if (depth === null || chain === undefined) return message('money.transaction.mined');
    return message('money.transaction.confirmations', { depth, needed: chain.confirmations });
  }
  if (state !== 'pending') return message(`money.transaction.${state}`);
  // A block without a hash: another transaction has its number.
  if (block !== null) return message('money.transaction.displacing');
  if (hashes.length > 1) return message('money.transaction.replaced', { times: hashes.length - 1 });
  return message(replacedAt === null ? 'money.transaction.pending' : 'money.transaction.reorganised');
}
