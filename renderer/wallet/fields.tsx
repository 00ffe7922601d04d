import { useId } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { Act } from '../words/use-act.ts';

interface FieldProps {
  label: string;
  value: string;
  onChange(value: string): void;
  type?: 'text' | 'password';
  autoComplete?: 'new-password' | 'current-password' | 'off';
  hint?: string;
  mono?: boolean;
}

/** A labelled line to type in. Nothing typed here is remembered or spell-checked by anybody but where the browser keeps passwords. */
export function Field({ label, value, onChange, type = 'text', autoComplete = 'off', hint, mono = false }: FieldProps): React.ReactNode {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className={mono ? 'mono' : undefined}
        type={type}
        autoComplete={autoComplete}
        autoCapitalize="none"
        spellCheck={false}
        aria-describedby={hint === undefined ? undefined : `${id}hint`}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      {hint !== undefined && (
        <p className="faint" id={`${id}hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** A form's button, with what its last try came to. */
export function Submit({
  act,
  label,
  ghost = false,
  children,
}: {
  act: Act;
  label: string;
  ghost?: boolean;
  children?: React.ReactNode;
}): React.ReactNode {
  return (
    <>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
      <div className="press">
        <button type="submit" className={ghost ? 'button ghost' : 'button'} aria-disabled={act.busy}>
          {label}
        </button>
        {children}
        <span className="faint" role="status">
          {act.busy ? message('screen.wallet.working') : ''}
        </span>
      </div>
    </>
  );
}

interface SelectProps {
  label: string;
  value: string;
  options: ReadonlyArray<{ value: string; name: string }>;
  onChange(value: string): void;
}

/** One of several, by name. */
export function Select({ label, value, options, onChange }: SelectProps): React.ReactNode {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.name}
          </option>
        ))}
      </select>
    </div>
  );
}
