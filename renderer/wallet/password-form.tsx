import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { useAct } from '../words/use-act.ts';
import { Field, Submit } from './fields.tsx';

interface PasswordFormProps {
  label: string;
  submit(password: string): Promise<unknown>;
  /** Why it can't be pressed yet; null where it can. */
  not?: string | null;
  children?: React.ReactNode;
}

/** The wallet's password, typed for one thing. It is forgotten here as soon as it is handed on. */
export function PasswordForm({ label, submit, not = null, children }: PasswordFormProps): React.ReactNode {
  const act = useAct();
  const [password, setPassword] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (not !== null) return act.refuse(not);
        if (password === '') return act.refuse(message('screen.wallet.password.empty'));
        void act.run(async () => {
          setPassword('');
          await submit(password);
        });
      }}
    >
      <Field
        label={message('screen.wallet.password')}
        type="password"
        autoComplete="current-password"
        value={password}
        onChange={setPassword}
      />
      <Submit act={act} label={label}>
        {children}
      </Submit>
    </form>
  );
}
