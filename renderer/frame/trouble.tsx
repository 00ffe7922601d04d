import type { HearthlendError } from '../../core/contract/errors.ts';
import { sayError } from '../words/say.ts';

/** What could not be told, what to do, and the code to search for. */
export function Trouble({ error }: { error: HearthlendError }): React.ReactNode {
  const { what, next, code } = sayError(error);
  return (
    <p className="bad" role="alert">
      {what} {next} <span className="faint">{code}</span>
    </p>
  );
}
