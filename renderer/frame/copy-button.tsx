import { useEffect, useState } from 'react';
import { type MessageKey, message } from '../../core/contract/messages.ts';

const SHOWN_MS = 2000;

/** Copies `text`, and says whether it could. */
export function CopyButton({ text, what }: { text: string; what: MessageKey }): React.ReactNode {
  const [outcome, setOutcome] = useState<'copied' | 'refused' | null>(null);
  useEffect(() => {
    if (outcome === null) return;
    const timer = setTimeout(() => setOutcome(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setOutcome('copied');
    } catch {
      setOutcome('refused');
    }
  }

  const said = outcome === null ? '' : message(outcome === 'copied' ? 'screen.copied' : 'screen.copy-refused');
  return (
    <>
      <button
        type="button"
        className="plain"
        aria-label={message('screen.copy.label', { what: message(what) })}
        onClick={() => void copy()}
      >
        {said === '' ? message('screen.copy') : said}
      </button>
      <span className="hidden" role="status">
        {said}
      </span>
    </>
  );
}
