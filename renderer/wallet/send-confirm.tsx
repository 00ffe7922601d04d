import { useState } from 'react';
import { NATIVE_DECIMALS } from '../../core/contract/chain.ts';
import { message } from '../../core/contract/messages.ts';
import type { SendableAsset } from '../../core/contract/sending.ts';
import { assetOf, NATIVE_TOKEN } from '../../core/contract/voucher.ts';
import type { SpendLimit } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import type { PlannedSend } from '../agent/money-acts.ts';
import { Check } from '../networks/choices-form.tsx';
import { atMostText, exactText } from '../words/amounts.ts';
import { say } from '../words/say.ts';
import { Chunks } from './address.tsx';
import { LimitForm } from './limits.tsx';
import { PasswordForm } from './password-form.tsx';

interface ConfirmProps {
  planned: PlannedSend;
  limits: readonly SpendLimit[];
  onBack(): void;
  onSent(): void;
}

/** What would be sent: fees first, the whole address to be compared, and the signer's own words. The password says yes to those. */
export function Confirm({ planned, limits, onBack, onSent }: ConfirmProps): React.ReactNode {
  const { money } = useAgent();
  const { offer } = planned;
  const [compared, setCompared] = useState(false);
  const [another, setAnother] = useState(false);
  const { to, alike, contact, sentBefore } = offer;
  const swapped = swappedAddress(planned);
  const isNew = contact === null && !sentBefore;
  const over = overLimit(planned, limits);
  return (
    <div className="confirm">
      <dl className="facts">
        <dt>{message('money.claim.costs')}</dt>
        <dd>{message('money.at-most', { amount: `${atMostText(BigInt(offer.costs), NATIVE_DECIMALS)} ${offer.costsSymbol}` })}</dd>
        <dt>{message('money.send.sends')}</dt>
        <dd>
          <b>{exactText(offer.amount, offer)}</b>
        </dd>
        <dt>{message('money.send.to.whom')}</dt>
        <dd>
          {contact !== null && <b>{contact} </b>}
          <Chunks address={to} {...(alike === null ? {} : { other: alike })} />
        </dd>
        <dt>{message('money.send.words')}</dt>
        <dd className="words">{say(offer.words)}</dd>
      </dl>
      {swapped !== null && (
        <div className="reason" role="alert">
          <p>{message('money.send.swapped')}</p>
          <p>
            <Chunks address={swapped} other={planned.request.to} />
          </p>
        </div>
      )}
      {alike !== null && (
        <div className="reason" role="alert">
          <p>{message('money.send.alike')}</p>
          <p>
            <Chunks address={alike} />
          </p>
          <Check checked={another} label={message('money.send.alike.sure')} onChange={setAnother} />
        </div>
      )}
      {isNew && swapped === null && (
        <div className="new">
          <p>{message('money.send.new')}</p>
          <Check checked={compared} label={message('money.send.new.compared')} onChange={setCompared} />
        </div>
      )}
      {over !== null && (
        <div className="reason">
          <p>{message('money.send.over', { left: exactText(over.left, over), needed: exactText(over.needed, over) })}</p>
          <LimitForm asset={over} />
        </div>
      )}
      {swapped === null && over === null ? (
        <PasswordForm
          label={message('money.send.do')}
          not={isNew && !compared ? message('money.send.new.first') : alike !== null && !another ? message('money.send.alike.first') : null}
          submit={(password) => money.send(planned, password, alike !== null).then(onSent)}
        >
          <button type="button" className="plain" onClick={onBack}>
            {message('money.send.back')}
          </button>
        </PasswordForm>
      ) : (
        <button type="button" className="plain" onClick={onBack}>
          {message('money.send.back')}
        </button>
      )}
    </div>
  );
}

/**
 * Of what too little may leave today, fees counted on the chain's own token as the signer counts them; null where the limits leave enough. The signer
 * decides; this only saves a password typed in vain.
 */
function overLimit({ offer }: PlannedSend, limits: readonly SpendLimit[]): (SendableAsset & { left: string; needed: string }) | null {
  const native = { asset: assetOf({ chainId: offer.chainId, contract: NATIVE_TOKEN }, NATIVE_TOKEN), token: NATIVE_TOKEN };
  const fees = { ...native, symbol: offer.costsSymbol, decimals: NATIVE_DECIMALS, needed: BigInt(offer.costs) };
  const { asset, symbol, decimals } = offer;
  const spends =
    asset === native.asset
      ? [{ ...fees, needed: fees.needed + BigInt(offer.amount) }]
      : [{ asset, token: offer.to, symbol, decimals, needed: BigInt(offer.amount) }, fees];
  for (const { needed, ...spent } of spends) {
    const limit = limits.find((each) => each.asset === spent.asset);
    const left = limit === undefined ? 0n : BigInt(limit.perDay) - BigInt(limit.spent);
    if (left < needed) return { ...spent, left: (left > 0n ? left : 0n).toString(), needed: needed.toString() };
  }
  return null;
}

/** The address that the offer or the signer's words name, where it is another than the one that was typed here; null where all is one. */
function swappedAddress({ request, offer }: PlannedSend): string | null {
  const typed = request.to.trim();
  const said = offer.words.params.to;
  const wanted = /^0x/i.test(typed) ? typed : offer.to;
  if (offer.to !== wanted) return offer.to;
  return said === wanted ? null : String(said ?? '');
}
