import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import type { NetworkPreview } from '../../core/contract/networks.ts';
import { useAgent } from '../agent/agent.ts';
import { Field, Submit } from '../wallet/fields.tsx';
import { useAct } from '../words/use-act.ts';
import { baseUnits } from './amount-field.ts';
import { Categories } from './categories.tsx';
import { TermsList } from './terms-list.tsx';

/** From an invitation to its terms, and from those to a member. Nothing is asked of anybody before the user presses. */
export function Join({ invitation }: { invitation: string }): React.ReactNode {
  const { networks } = useAgent();
  const act = useAct();
  const [link, setLink] = useState(invitation);
  const [preview, setPreview] = useState<NetworkPreview | null>(null);
  return (
    <section className="card join" aria-labelledby="join-title">
      <div className="head">
        <h2 id="join-title">{message('networks.join')}</h2>
      </div>
      {preview === null ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (link.trim() === '') return act.refuse(message('networks.join.empty'));
            void act.run(async () => setPreview(await networks.preview(link)));
          }}
        >
          <p className="soft">{message('networks.join.what')}</p>
          <Field label={message('networks.join.link')} value={link} onChange={setLink} mono />
          <Submit act={act} label={message('networks.join.look')} />
        </form>
      ) : (
        <Agree link={link} preview={preview} onBack={() => setPreview(null)} />
      )}
    </section>
  );
}

function Agree({ link, preview, onBack }: { link: string; preview: NetworkPreview; onBack(): void }): React.ReactNode {
  const { networks } = useAgent();
  const act = useAct();
  const [refused, setRefused] = useState<string[]>([]);
  const { terms, at, fingerprint, joined, owedUnpromised } = preview;
  const { symbol, decimals } = terms;
  const [credit, setCredit] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (joined) return;
        const creditLimit = baseUnits(credit, decimals);
        if (creditLimit === undefined) return act.refuse(message('networks.choices.number', { decimals }));
        const choices = { refusedCategories: refused, creditLimit };
        void act.run(() => networks.join(link, terms.coordinator, choices)).then((done) => done && onBack());
      }}
    >
      <p>{message('networks.join.at', { operator: terms.operator, at })}</p>
      <TermsList terms={terms} />
      <Categories terms={terms} refused={refused} onChange={setRefused} />
      {owedUnpromised !== null && !joined && (
        <Field
          label={message('networks.choices.credit', { symbol })}
          hint={message('networks.join.credit.hint', { least: `${formatBaseUnits(BigInt(owedUnpromised), decimals)} ${symbol}` })}
          value={credit}
          onChange={setCredit}
        />
      )}
      <details>
        <summary>{message('networks.join.who')}</summary>
        <p className="faint mono">{fingerprint}</p>
        <p className="faint">{message('networks.join.who.what')}</p>
      </details>
      {joined ? (
        <p className="soft" role="status">
          {message('networks.join.already', { network: terms.id })}
        </p>
      ) : (
        <Submit act={act} label={message('networks.join.do')}>
          <button type="button" className="plain" onClick={onBack}>
            {message('networks.join.back')}
          </button>
        </Submit>
      )}
      {joined && (
        <button type="button" className="plain" onClick={onBack}>
          {message('networks.join.back')}
        </button>
      )}
    </form>
  );
}
