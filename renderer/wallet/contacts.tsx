import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { type Contact, ContactName } from '../../core/contract/sending.ts';
import { useAgent } from '../agent/agent.ts';
import type { Money } from '../agent/app-state.ts';
import { useAct } from '../words/use-act.ts';
import { Chunks } from './address.tsx';
import { Field, Submit } from './fields.tsx';
import { PasswordForm } from './password-form.tsx';

/** The addresses that somebody sends to, by name. A name that stands for another's address would be a way to take money, so changes take the password. */
export function Contacts({ money: { contacts } }: { money: Money }): React.ReactNode {
  const { money } = useAgent();
  const [removing, setRemoving] = useState<Contact | null>(null);
  return (
    <section className="card" aria-labelledby="contacts-title">
      <div className="head">
        <h2 id="contacts-title">{message('money.contacts')}</h2>
      </div>
      {contacts.length === 0 && <p className="empty">{message('money.contacts.none')}</p>}
      <ul className="contacts">
        {contacts.map((contact) => (
          <li key={contact.name}>
            <div className="line">
              <b>{contact.name}</b>
              <button
                type="button"
                className="plain"
                aria-label={message('money.contacts.remove.what', { name: contact.name })}
                onClick={() => setRemoving(contact)}
              >
                {message('money.contacts.remove')}
              </button>
            </div>
            <Chunks address={contact.address} />
            {removing?.name === contact.name && (
              <PasswordForm
                label={message('money.contacts.remove.do', { name: contact.name })}
                submit={(password) => money.contact('remove', contact, password).then(() => setRemoving(null))}
              >
                <button type="button" className="plain" onClick={() => setRemoving(null)}>
                  {message('money.cancel')}
                </button>
              </PasswordForm>
            )}
          </li>
        ))}
      </ul>
      <details>
        <summary>{message('money.contacts.add')}</summary>
        <Add />
      </details>
    </section>
  );
}

function Add(): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const [name, setName] = useState('');
  const [address, setAddress] = useState('');
  const [password, setPassword] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const typed = ContactName.safeParse(name);
        if (!typed.success) return act.refuse(message('cli.usage.contact-name'));
        if (!/^0x[0-9a-fA-F]{40}$/.test(address.trim())) return act.refuse(message('money.contacts.address'));
        if (password === '') return act.refuse(message('screen.wallet.password.empty'));
        const secret = password;
        setPassword('');
        void act
          .run(() => money.contact('put', { name: typed.data, address: address.trim() }, secret))
          .then((worked) => {
            if (!worked) return;
            setName('');
            setAddress('');
          });
      }}
    >
      <Field label={message('money.contacts.name')} value={name} onChange={setName} />
      <Field label={message('money.contacts.whose')} value={address} onChange={setAddress} mono hint={message('money.contacts.hint')} />
      {/^0x[0-9a-fA-F]{40}$/.test(address.trim()) && <Chunks address={address.trim()} />}
      <Field
        label={message('money.limits.password')}
        type="password"
        autoComplete="current-password"
        value={password}
        onChange={setPassword}
      />
      <Submit act={act} label={message('money.contacts.keep')} ghost />
    </form>
  );
}
