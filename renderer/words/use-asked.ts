import { useEffect, useRef, useState } from 'react';
import { asHearthlendError, type HearthlendError } from '../../core/contract/errors.ts';

/** Shards may be accepted by the hundred a second; what they come to is asked for this often at most. */
const AGAIN_MS = 3000;

interface Asked<T> {
  /** The last answer; null before the first. It stays while another is asked for. */
  value: T | null;
  trouble: HearthlendError | null;
  again(): void;
}

/**
 * Asks when it is shown, at once when `what` changes, and soon after `news` does.
 * @param what what is asked; @param news what tells that the answer may be another
 */
export function useAsked<T>(ask: () => Promise<T>, what: string, news: string): Asked<T> {
  const [state, setState] = useState<{ value: T | null; trouble: HearthlendError | null }>({ value: null, trouble: null });
  const latest = useRef(0);
  const askedAt = useRef(0);
  const heard = useRef(news);

  function run(): void {
    latest.current += 1;
    const mine = latest.current;
    askedAt.current = Date.now();
    const told = (value: T | null, trouble: HearthlendError | null) => {
      if (mine === latest.current) setState((before) => ({ value: value ?? before.value, trouble }));
    };
    ask().then(
      (value) => told(value, null),
      (thrown: unknown) => {
        const error = asHearthlendError(thrown);
        // The page says by itself that the connection is gone.
        if (error.code !== 'RPC_DISCONNECTED') told(null, error);
      },
    );
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: another question is asked at once
  useEffect(() => {
    run();
    return () => {
      latest.current += 1;
    };
  }, [what]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: news are taken together
  useEffect(() => {
    if (heard.current === news) return;
    const wait = AGAIN_MS - (Date.now() - askedAt.current);
    const timer = setTimeout(
      () => {
        heard.current = news;
        run();
      },
      Math.max(0, wait),
    );
    return () => clearTimeout(timer);
  }, [news]);
  return { value: state.value, trouble: state.trouble, again: run };
}
