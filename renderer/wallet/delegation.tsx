import { useState } from 'react';
import { ANY_NETWORK, DELEGATION_DAYS, WalletSignature } from '../../core/contract/delegation.ts';
import type { ClaimWish, IdentityClaim, IdentityStatus } from '../../core/contract/identity.ts';
import { type MessageKey, message } from '../../core/contract/messages.ts';
import type { Described } from '../../core/contract/signing.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { say } from '../words/say.ts';
import { dayText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { Chunks } from './address.tsx';
import { Field, Submit } from './fields.tsx';
import { PasswordForm } from './password-form.tsx';

type Asked = { wish: ClaimWish; claim: IdentityClaim } & ({ kind: 'here'; described: Described } | { kind: 'elsewhere'; json: string });

/** Whom this PC's worker earns for, and what the wallet has signed about that. */
export function Delegation({ wallet, identity }: { wallet: WalletStatus; identity: IdentityStatus }): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const [asked, setAsked] = useState<Asked | null>(null);
  const { worker, payee, delegation, fault } = identity;
  const locked = wallet.kind === 'own' && !wallet.unlocked;
  const revoked = (identity.revocations.at(-1)?.revocation.nonce ?? 0) > (delegation?.delegation.nonce ?? 0);

  function ask(wish: ClaimWish): void {
    void act.run(async () =>
      setAsked(
        wallet.kind === 'own'
          ? { kind: 'here', wish, ...(await money.planClaim(wish)) }
          : { kind: 'elsewhere', wish, ...(await money.claimForElsewhere(wish)) },
      ),
    );
  }

  return (
    <section className="card" aria-labelledby="delegation-title">
      <div className="head">
        <h2 id="delegation-title">{message('money.payee')}</h2>
      </div>
      <dl className="facts">
        <dt>{message('money.payee.to')}</dt>
        <dd>
          <Chunks address={payee} />
        </dd>
        <dt>{message('money.payee.worker')}</dt>
        <dd>
          <Chunks address={worker} />
        </dd>
        <dt>{message('money.delegation')}</dt>
        <dd>{delegationWords(identity, revoked)}</dd>
      </dl>
      {fault !== null && <p className="reason">{message('money.delegation.fault', { fault })}</p>}
      {wallet.address !== null && wallet.address.toLowerCase() !== payee.toLowerCase() && (
        <p className="reason">{message('money.payee.later')}</p>
      )}
      {asked === null ? (
        <>
          <p className="faint">{message(locked ? 'money.delegation.locked' : 'money.delegation.what')}</p>
          {!locked && wallet.kind !== 'none' && (
            <div className="press">
              <button
                type="button"
                className="button ghost"
                aria-disabled={act.busy}
                onClick={() => ask({ kind: 'delegation', networkKey: null, days: DELEGATION_DAYS.usual })}
              >
                {message(delegation === null ? 'money.delegation.sign' : 'money.delegation.renew')}
              </button>
              {delegation !== null && (
                <button type="button" className="plain" aria-disabled={act.busy} onClick={() => ask({ kind: 'revocation' })}>
                  {message('money.delegation.revoke')}
                </button>
              )}
            </div>
          )}
          {!locked && delegation !== null && (
            <NewPayee busy={act.busy} onAsk={(payee) => ask({ kind: 'payee', networkKey: null, payee })} />
          )}
        </>
      ) : asked.kind === 'here' ? (
        <Here asked={asked} onDone={() => setAsked(null)} />
      ) : (
        <Elsewhere asked={asked} onDone={() => setAsked(null)} />
      )}
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </section>
  );
}

const MEANINGS = {
  delegation: 'cli.identity.delegate-means',
  revocation: 'cli.identity.revoke-means',
  payee: 'cli.identity.payee-means',
} as const satisfies Record<IdentityClaim['kind'], MessageKey>;

/** Being paid at another address: whose wallet has signed for this PC has to sign that as well. */
function NewPayee({ busy, onAsk }: { busy: boolean; onAsk(payee: string): void }): React.ReactNode {
  const [payee, setPayee] = useState('');
  const isAddress = /^0x[0-9a-fA-F]{40}$/.test(payee.trim());
  return (
    <details>
      <summary>{message('money.payee.change')}</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isAddress && !busy) onAsk(payee.trim());
        }}
      >
        <Field label={message('money.payee.new')} value={payee} onChange={setPayee} mono hint={message('money.payee.new.hint')} />
        {isAddress && (
          <p>
            <span className="faint">{message('money.payee.compare')}</span> <Chunks address={payee.trim()} />
          </p>
        )}
        <div className="press">
          <button type="submit" className="button ghost" aria-disabled={busy || !isAddress}>
            {message('money.payee.look')}
          </button>
        </div>
      </form>
    </details>
  );
}

function delegationWords({ delegation }: IdentityStatus, revoked: boolean): string {
  if (delegation === null) return message(revoked ? 'money.delegation.revoked' : 'money.delegation.none');
  const { networkKey, expiry } = delegation.delegation;
  const until = dayText(expiry * 1000);
  return networkKey === ANY_NETWORK
    ? message('money.delegation.any', { until })
    : message('money.delegation.one', { until, network: networkKey });
}

function Here({ asked: { wish, claim, described }, onDone }: { asked: Extract<Asked, { kind: 'here' }>; onDone(): void }): React.ReactNode {
  const { money } = useAgent();
  // What is signed has to be what was typed here, whoever stands between.
  if (wish.kind === 'payee' && described.words.params.payee !== wish.payee) {
    return (
      <div className="confirm">
        <p className="reason" role="alert">
          {message('money.send.swapped')}
        </p>
        <p className="words">{say(described.words)}</p>
        <button type="button" className="plain" onClick={onDone}>
          {message('money.cancel')}
        </button>
      </div>
    );
  }
  return (
    <div className="confirm">
      <dl className="facts">
        <dt>{message('money.send.words')}</dt>
        <dd className="words">{say(described.words)}</dd>
      </dl>
      {wish.kind === 'payee' && (
        <p>
          <span className="faint">{message('money.payee.compare')}</span> <Chunks address={wish.payee} />
        </p>
      )}
      <p className="soft">{message(MEANINGS[claim.kind])}</p>
      <PasswordForm label={message('money.delegation.do')} submit={(password) => money.sign(claim, described.seen, password).then(onDone)}>
        <button type="button" className="plain" onClick={onDone}>
          {message('money.cancel')}
        </button>
      </PasswordForm>
    </div>
  );
}

/** The wallet is elsewhere: what it is to sign goes out, its signature comes in. */
function Elsewhere({ asked: { claim, json }, onDone }: { asked: Extract<Asked, { kind: 'elsewhere' }>; onDone(): void }): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const [signature, setSignature] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const typed = WalletSignature.safeParse(signature.trim().toLowerCase());
        if (!typed.success) return act.refuse(message('money.elsewhere.wrong'));
        void act.run(() => money.keep(claim, typed.data)).then((worked) => worked && onDone());
      }}
    >
      <p className="soft">{message('money.elsewhere')}</p>
      <div className="line">
        <span className="faint">{message('money.elsewhere.json')}</span>
        <CopyButton text={json} what="money.copy.json" />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also from the keyboard */}
      <pre className="typed-data mono" tabIndex={0}>
        {json}
      </pre>
      <Field label={message('money.elsewhere.signature')} value={signature} onChange={setSignature} mono />
      <Submit act={act} label={message('money.elsewhere.keep')}>
        <button type="button" className="plain" onClick={onDone}>
          {message('money.cancel')}
        </button>
      </Submit>
    </form>
  );
}
