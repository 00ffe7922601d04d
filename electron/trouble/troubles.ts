import type { HearthlendError } from '../../core/contract/errors.ts';
import { asHearthlendError } from '../../core/contract/errors.ts';
import { describeError, message } from '../../core/contract/messages.ts';
import type { Log } from '../../core/log/log.ts';

/** A question with one button for each choice, the first being the plain one; gives the number of the one that was pressed. */
export type Ask = (question: { message: string; detail: string; buttons: string[] }) => Promise<number>;

interface Choice {
  label: string;
  act(): void;
}

/** How people are told of what went wrong: what happened, what to do next, and a code to search for. Never a stack; that is in the log. */
export interface Troubles {
  /** Tells of an error. One dialog a code at a time: what goes wrong again and again must not bury the screen. */
  tell(thrown: unknown, choices?: readonly Choice[]): void;
}

export function createTroubles(ask: Ask, log: Log): Troubles {
  const open = new Set<HearthlendError['code']>();
  return {
    tell(thrown, choices = [{ label: message('desktop.trouble.close'), act: () => undefined }]) {
      const error = asHearthlendError(thrown);
      const { code, what, next } = describeError(error);
      const cause = error.cause instanceof Error ? error.cause : error;
      log('error', 'trouble', { code, params: error.params, stack: cause.stack });
      if (open.has(code)) return;
      open.add(code);
      ask({ message: what, detail: `${next}\n\n${code}`, buttons: choices.map(({ label }) => label) })
        .then((pressed) => choices[pressed]?.act())
        .catch((failure: unknown) => log('error', 'a dialog failed', { code, failure: String(failure) }))
        .finally(() => open.delete(code));
    },
  };
}
