import { useState } from 'react';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits, isPracticeCredit } from '../../core/contract/money.ts';
import type { NetworkChoices, NetworkChoicesChange } from '../../core/contract/networks.ts';
import { useAgent } from '../agent/agent.ts';
import { Field, Submit } from '../wallet/fields.tsx';
import { useAct } from '../words/use-act.ts';
import { baseUnits } from './amount-field.ts';
import { Categories } from './categories.tsx';

interface ChoicesProps {
  network: string;
  terms: NetworkTerms;
  choices: NetworkChoices;
}

/** What the user decides about a network: what it may ask for, what it must pay, how far it is trusted. */
export function ChoicesForm({ network, terms, choices }: ChoicesProps): React.ReactNode {
  const { networks } = useAgent();
  const act = useAct();
  const { decimals, symbol } = terms;
  const practice = isPracticeCredit(terms.asset);
  const shown = (amount: string | null) => (amount === null ? '' : formatBaseUnits(BigInt(amount), decimals));
  const [refused, setRefused] = useState(choices.refusedCategories);
  const [isolation, setIsolation] = useState(choices.isolation);
  const [trusted, setTrusted] = useState(choices.trusted);
  const [perToken, setPerToken] = useState(shown(choices.floorPerToken));
  const [perRun, setPerRun] = useState(shown(choices.floorPerRun));
  const [credit, setCredit] = useState(shown(choices.creditLimit));
  const [worth, setWorth] = useState(choices.worth === null ? '' : String(choices.worth));

  function save(): void {
    const amounts = {
      floorPerToken: baseUnits(perToken, decimals),
      floorPerRun: baseUnits(perRun, decimals),
      creditLimit: baseUnits(credit, decimals),
    };
    const worthNumber = worth.trim() === '' ? null : Number(worth.replace(',', '.'));
    const wrong = Object.values(amounts).includes(undefined) || (worthNumber !== null && !(worthNumber >= 0 && worthNumber <= 1e12));
    if (wrong) {
      act.refuse(message('networks.choices.number', { decimals }));
      return;
    }
    const change: NetworkChoicesChange = {
      refusedCategories: refused,
      isolation,
      trusted,
      ...(amounts as Pick<NetworkChoices, keyof typeof amounts>),
      worth: worthNumber,
    };
    void act.run(() => networks.set(network, change));
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <Categories terms={terms} refused={refused} onChange={setRefused} />
      <fieldset className="checks">
        <legend>{message('networks.choices.safety')}</legend>
        {(['os', 'chromium'] as const).map((level) => (
          <Check
            key={level}
            checked={isolation.includes(level)}
            label={message(`isolation.${level}`)}
            onChange={(on) => setIsolation(on ? [...isolation, level] : isolation.filter((each) => each !== level))}
          />
        ))}
        <Check checked={trusted} label={message('networks.choices.trusted')} onChange={setTrusted} />
        <p className="faint">{message('networks.choices.trusted.what')}</p>
      </fieldset>
      <div className="amounts">
        <Field
          label={message('networks.choices.per-token', { symbol: practice ? message('screen.four.practice') : symbol })}
          value={perToken}
          onChange={setPerToken}
        />
        <Field
          label={message('networks.choices.per-run', { symbol: practice ? message('screen.four.practice') : symbol })}
          value={perRun}
          onChange={setPerRun}
        />
        {!practice && (
          <>
            <Field
              label={message('networks.choices.worth', { symbol })}
              hint={message('networks.choices.worth.hint')}
              value={worth}
              onChange={setWorth}
            />
            <Field
              label={message('networks.choices.credit', { symbol })}
              hint={message('networks.choices.credit.hint')}
              value={credit}
              onChange={setCredit}
            />
          </>
        )}
      </div>
      <Submit act={act} label={message('networks.choices.save')} />
    </form>
  );
}

export function Check({ checked, label, onChange }: { checked: boolean; label: string; onChange(on: boolean): void }): React.ReactNode {
  return (
    <label className="check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      {label}
    </label>
  );
}
