import { useId, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { Rules, RulesChange } from '../../core/contract/rules.ts';
import type { Field } from './fields.ts';

export type Change = (rules: RulesChange) => void;

interface FieldProps<K extends Field['kind']> {
  field: Extract<Field, { kind: K }>;
  rules: Rules;
  onChange: Change;
}

/** Rules as a person changes them: each counts as soon as it is changed. */
export function Fields({ fields, rules, onChange }: { fields: readonly Field[]; rules: Rules; onChange: Change }): React.ReactNode {
  return (
    <div className="fields">
      {fields.map((field) => {
        const props = { rules, onChange };
        if (field.kind === 'switch') return <SwitchView key={field.label} field={field} {...props} />;
        if (field.kind === 'choice') return <ChoiceView key={field.label} field={field} {...props} />;
        // Made anew when the rule is another, whoever changed it.
        return <NumberView key={`${field.label} ${field.get(rules)}`} field={field} {...props} />;
      })}
    </div>
  );
}

function SwitchView({ field, rules, onChange }: FieldProps<'switch'>): React.ReactNode {
  const on = field.get(rules);
  return (
    <div>
      <label className="check">
        <input type="checkbox" checked={on} onChange={(event) => onChange(field.set(rules, event.target.checked))} />
        {message(field.label)}
      </label>
      {on && field.more.length > 0 && (
        <div className="more">
          <Fields fields={field.more} rules={rules} onChange={onChange} />
        </div>
      )}
    </div>
  );
}

function ChoiceView({ field, rules, onChange }: FieldProps<'choice'>): React.ReactNode {
  const name = useId();
  const chosen = field.get(rules);
  return (
    <fieldset className="rule-choice">
      <legend>{message(field.label)}</legend>
      {field.options.map(({ value, label, more }) => (
        <div key={value}>
          <label className="check">
            <input type="radio" name={name} checked={chosen === value} onChange={() => onChange(field.set(rules, value))} />
            {message(label)}
          </label>
          {chosen === value && more !== undefined && (
            <div className="more">
              <Fields fields={more} rules={rules} onChange={onChange} />
            </div>
          )}
        </div>
      ))}
    </fieldset>
  );
}

/** Counts when the field is left, or at Enter; what is no number within the bounds is said and changes nothing. */
function NumberView({ field, rules, onChange }: FieldProps<'number'>): React.ReactNode {
  const value = field.get(rules);
  const shown = value === null ? '' : String(Math.round(value * 1000) / 1000);
  const [text, setText] = useState(shown);
  const [wrong, setWrong] = useState(false);
  const id = useId();
  const { min, max, optional = false } = field;

  function commit(): void {
    const next = text.trim() === '' ? null : Number(text.replace(',', '.'));
    const fits = next === null ? optional : Number.isFinite(next) && next >= min && next <= max;
    setWrong(!fits);
    if (fits && text !== shown) onChange(field.set(rules, next));
  }

  const [before = '', after = ''] = message(field.unit, { value: '\n', currency: rules.electricity.currency }).split('\n');
  return (
    <div className="number-field">
      <label htmlFor={id}>{message(field.label)}</label>
      <span>
        {before}
        <input
          id={id}
          type="text"
          inputMode="decimal"
          autoComplete="off"
          placeholder={optional ? message('when.none') : ''}
          value={text}
          aria-invalid={wrong}
          aria-describedby={wrong ? `${id}wrong` : undefined}
          onChange={(event) => setText(event.target.value)}
          onBlur={commit}
          onKeyDown={(event) => {
            if (event.key === 'Enter') commit();
          }}
        />
        {after}
      </span>
      {wrong && (
        <p className="bad" id={`${id}wrong`} role="alert">
          {message(optional ? 'when.wrong-optional' : 'when.wrong', { min, max })}
        </p>
      )}
    </div>
  );
}
