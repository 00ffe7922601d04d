import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { RevealedWords } from '../../core/contract/signer.ts';
import { useAgent } from '../agent/agent.ts';
import { useAct } from '../words/use-act.ts';
import { Choice } from './choice.tsx';
import { Field, Submit } from './fields.tsx';
import { NewPasswordFields, NO_PASSWORD, passwordTrouble } from './new-password.tsx';

const WAYS = [
  { value: 'create', name: 'screen.wallet.way.create' },
  { value: 'import', name: 'screen.wallet.way.import' },
  { value: 'watch', name: 'screen.wallet.way.watch' },
] as const;

/** Where there is no wallet: the three ways to be paid. */
export function Ways({ onWords }: { onWords(words: RevealedWords): void }): React.ReactNode {
  const [way, setWay] = useState<(typeof WAYS)[number]['value']>('create');
  return (
    <section className="card ways" aria-label={message('screen.wallet.ways')}>
      <Choice legend={message('screen.wallet.ways')} name="way" options={WAYS} value={way} onChange={setWay} />
      {way === 'create' && <CreateForm onWords={onWords} />}
      {way === 'import' && <ImportForm />}
      {way === 'watch' && <WatchForm />}
    </section>
  );
}

function CreateForm({ onWords }: { onWords(words: RevealedWords): void }): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  const [password, setPassword] = useState(NO_PASSWORD);

  function create(): void {
    const trouble = passwordTrouble(password);
    if (trouble !== null) act.refuse(trouble);
    else void act.run(async () => onWords((await wallet.create(password.password)).words));
  }

  return (
    <form onSubmit={preventing(create)}>
      <p className="soft">{message('screen.wallet.create.what')}</p>
      <NewPasswordFields value={password} onChange={setPassword} />
      <Submit act={act} label={message('screen.wallet.create')} />
    </form>
  );
}

const KINDS = [
  { value: 'words', name: 'screen.wallet.import.words' },
  { value: 'key', name: 'screen.wallet.import.key' },
  { value: 'keystore', name: 'screen.wallet.import.keystore' },
] as const;

function ImportForm(): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  const [kind, setKind] = useState<(typeof KINDS)[number]['value']>('words');
  const [secret, setSecret] = useState('');
  const [filePassword, setFilePassword] = useState('');
  const [password, setPassword] = useState(NO_PASSWORD);

  function bring(): void {
    const trouble = secret.trim() === '' ? message('screen.wallet.import.empty') : passwordTrouble(password);
    if (trouble !== null) {
      act.refuse(trouble);
      return;
    }
    const from = { words: { kind: 'words', words: secret }, key: { kind: 'key', key: secret } } as const;
    void act.run(() =>
      wallet.import({
        password: password.password,
        oldPassword: null,
        from: kind === 'keystore' ? { kind, json: secret, password: filePassword } : from[kind],
      }),
    );
  }

  return (
    <form onSubmit={preventing(bring)}>
      <Choice
        legend={message('screen.wallet.import.what')}
        name="kind"
        options={KINDS}
        value={kind}
        onChange={(next) => {
          setKind(next);
          setSecret('');
        }}
      />
      {kind === 'keystore' ? (
        <>
          <label className="field">
            {message('screen.wallet.import.keystore.label')}
            <input
              type="file"
              accept=".json,application/json"
              onChange={(event) => {
                const file = event.target.files?.[0];
                void act.run(async () => setSecret((await file?.text()) ?? ''));
              }}
            />
          </label>
          <Field
            label={message('screen.wallet.import.keystore.password')}
            type="password"
            autoComplete="off"
            value={filePassword}
            onChange={setFilePassword}
          />
        </>
      ) : (
        <Field label={message(`screen.wallet.import.${kind}.label`)} type="password" mono value={secret} onChange={setSecret} />
      )}
      <NewPasswordFields value={password} onChange={setPassword} />
      <Submit act={act} label={message('screen.wallet.import')} />
    </form>
  );
}

function WatchForm(): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  const [address, setAddress] = useState('');
  return (
    <form
      onSubmit={preventing(() => {
        if (address.trim() === '') act.refuse(message('screen.wallet.import.empty'));
        else void act.run(() => wallet.watch(address));
      })}
    >
      <p className="soft">{message('screen.wallet.watch.what')}</p>
      <Field label={message('screen.wallet.watch.label')} mono value={address} onChange={setAddress} />
      <Submit act={act} label={message('screen.wallet.watch.set')} />
    </form>
  );
}

function preventing(submit: () => void): (event: { preventDefault(): void }) => void {
  return (event) => {
    event.preventDefault();
    submit();
  };
}
