import { amountText, moneyFirst } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import { practiceCredit } from '../../core/contract/money.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';
import { ADDRESS } from '../frame/use-route.ts';

/** Before anything was computed: the four numbers all the same, at nothing. */
const NOTHING_YET: AssetEarnings = {
  asset: practiceCredit('local'),
  practice: true,
  symbol: '',
  decimals: 0,
  expected: '0',
  accepted: '0',
  promised: '0',
  paid: '0',
  acceptedShards: 0,
  acceptedToday: '0',
  acceptedShardsToday: 0,
};

const STAGES = ['expected', 'accepted', 'promised', 'paid'] as const;

/**
 * Expected, accepted, promised, paid: always four, of each asset; money first.
 * @param explained whether what they mean stands open from the beginning
 */
export function FourNumbers({ earnings, explained = false }: { earnings: readonly AssetEarnings[]; explained?: boolean }): React.ReactNode {
  const assets = earnings.length === 0 ? [NOTHING_YET] : moneyFirst(earnings);
  return (
    <section className="numbers" aria-label={message('screen.four')}>
      {assets.map((asset) => (
        <Four key={asset.asset} earnings={asset} />
      ))}
      {!explained && <Further earnings={earnings} />}
      <details open={explained}>
        <summary>{message('screen.four.explain')}</summary>
        <dl className="facts">
          {STAGES.map((stage) => (
            <Explained key={stage} name={message(`screen.four.${stage}`)} words={message(`screen.four.explain.${stage}`)} />
          ))}
          {assets.some((asset) => asset.practice) && (
            <Explained name={message('screen.four.practice')} words={message('screen.four.explain.practice')} />
          )}
        </dl>
      </details>
    </section>
  );
}

/** From Home to what stands behind the numbers, and to what can be claimed. */
function Further({ earnings }: { earnings: readonly AssetEarnings[] }): React.ReactNode {
  const open = earnings.filter(({ practice, promised, paid }) => !practice && BigInt(promised) > BigInt(paid));
  const amounts = open.map(({ promised, paid, decimals, symbol }) => `${amountText(BigInt(promised) - BigInt(paid), decimals)} ${symbol}`);
  return (
    <p className="further">
      <a href={ADDRESS.earnings}>{message('screen.four.further')}</a>
      {open.length > 0 && <a href={ADDRESS.wallet}>{message('screen.four.claim', { amounts: amounts.join(' + ') })}</a>}
    </p>
  );
}

function Explained({ name, words }: { name: string; words: string }): React.ReactNode {
  return (
    <>
      <dt>{name}</dt>
      <dd>{words}</dd>
    </>
  );
}

type Amounts = Pick<AssetEarnings, (typeof STAGES)[number] | 'practice' | 'symbol' | 'decimals' | 'acceptedShards'>;

/** @param own whether practice is this PC's own, which checks it by itself */
export function Four({ earnings, own = true }: { earnings: Amounts; own?: boolean }): React.ReactNode {
  const name = earnings.practice ? message('screen.four.practice') : earnings.symbol;
  return (
    <dl className="four" aria-label={message('screen.four.asset', { symbol: name })}>
      {STAGES.map((stage) => {
        const amount = amountText(BigInt(earnings[stage]), earnings.decimals);
        return (
          <div key={stage}>
            <dt>
              {message(`screen.four.${stage}`)}
              {earnings.practice && <span className="tag">{message('screen.four.practice')}</span>}
            </dt>
            <dd className={stage === 'expected' ? 'value estimate' : 'value'}>
              {stage === 'expected' ? message('screen.four.approximately', { amount }) : amount}
            </dd>
            <dd className="sub">{subWords(stage, earnings, own)}</dd>
          </div>
        );
      })}
    </dl>
  );
}

function subWords(stage: (typeof STAGES)[number], { practice, symbol, acceptedShards: count }: Amounts, own: boolean): string {
  if (practice && !own && stage === 'accepted') return message('networks.four.accepted', { count });
  if (practice) return message(`screen.four.practice.${stage}.sub`, { count });
  return message(`screen.four.${stage}.sub`, { symbol, count });
}
