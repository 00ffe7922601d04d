import { useState } from 'react';
import { asHearthlendError } from '../../core/contract/errors.ts';
import { sayError } from './say.ts';

/** What a form says of its last try. */
export interface Act {
  busy: boolean;
  /** What went wrong and what to do; null where nothing did. */
  trouble: string | null;
  /** Runs one thing at a time; gives whether it worked. */
  run(work: () => Promise<unknown>): Promise<boolean>;
  /** Says something without trying: a field is empty. */
  refuse(words: string): void;
}

/** One press of a form's button: under way, done, or what went wrong, said in the form. */
export function useAct(): Act {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  return {
    busy,
    trouble,
    refuse: setTrouble,
    async run(work) {
      if (busy) return false;
      setBusy(true);
      setTrouble(null);
      try {
        await work();
        return true;
      } catch (thrown) {
        const { what, next } = sayError(asHearthlendError(thrown));
        setTrouble(`${what} ${next}`);
        return false;
      } finally {
        setBusy(false);
      }
    },
  };
}
