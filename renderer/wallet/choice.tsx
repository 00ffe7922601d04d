import { type MessageKey, message } from '../../core/contract/messages.ts';

interface ChoiceProps<V extends string> {
  legend: string;
  name: string;
  options: ReadonlyArray<{ value: NoInfer<V>; name: MessageKey }>;
  value: V;
  onChange(value: NoInfer<V>): void;
}

/** One of a few, all of them in sight. */
export function Choice<V extends string>({ legend, name, options, value, onChange }: ChoiceProps<V>): React.ReactNode {
  return (
    <fieldset className="choice">
      <legend className="hidden">{legend}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input type="radio" name={name} checked={option.value === value} onChange={() => onChange(option.value)} />
          {message(option.name)}
        </label>
      ))}
    </fieldset>
  );
}
