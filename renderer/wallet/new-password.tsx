import { message } from '../../core/contract/messages.ts';
import { PASSWORD_CHARACTERS } from '../../core/contract/signer.ts';
import { Field } from './fields.tsx';

export interface NewPassword {
  password: string;
  again: string;
}

export const NO_PASSWORD: NewPassword = { password: '', again: '' };

/** What is wrong with it; null where nothing is. */
export function passwordTrouble({ password, again }: NewPassword): string | null {
  const { least } = PASSWORD_CHARACTERS;
  if ([...password].length < least) return message('screen.wallet.password.short', { least });
  return password === again ? null : message('screen.wallet.password.differ');
}

/** A new password, typed twice. */
export function NewPasswordFields({ value, onChange }: { value: NewPassword; onChange(value: NewPassword): void }): React.ReactNode {
  return (
    <>
      <Field
        label={message('screen.wallet.password.new')}
        hint={message('screen.wallet.password.hint', { least: PASSWORD_CHARACTERS.least })}
        type="password"
        autoComplete="new-password"
        value={value.password}
        onChange={(password) => onChange({ ...value, password })}
      />
      <Field
        label={message('screen.wallet.password.again')}
        type="password"
        autoComplete="new-password"
        value={value.again}
        onChange={(again) => onChange({ ...value, again })}
      />
    </>
  );
}
