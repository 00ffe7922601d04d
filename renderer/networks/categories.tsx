import type { NetworkTerms } from '../../core/contract/joining.ts';
import { message } from '../../core/contract/messages.ts';
import { Check } from './choices-form.tsx';

interface CategoriesProps {
  terms: NetworkTerms;
  refused: readonly string[];
  onChange(refused: string[]): void;
}

/** What the work may be about: what isn't ticked is refused. */
export function Categories({ terms: { categories }, refused, onChange }: CategoriesProps): React.ReactNode {
  if (categories.length === 0) return null;
  return (
    <fieldset className="checks">
      <legend>{message('networks.categories')}</legend>
      {categories.map(({ id, title }) => (
        <Check
          key={id}
          checked={!refused.includes(id)}
          label={title}
          onChange={(on) => onChange(on ? refused.filter((each) => each !== id) : [...refused, id])}
        />
      ))}
    </fieldset>
  );
}
