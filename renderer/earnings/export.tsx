import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { CallOutput } from '../../core/contract/rpc.ts';
import { useAgent } from '../agent/agent.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { useAct } from '../words/use-act.ts';

const KINDS = ['csv', 'json', 'tax'] as const;

/** All of it in a file: written by the agent into its own folder, since the app's window hands no files out. */
export function Export({ money }: { money: boolean }): React.ReactNode {
  const { earnings } = useAgent();
  const act = useAct();
  const [saved, setSaved] = useState<CallOutput<'earnings.save'> | null>(null);
  return (
    <section className="card" aria-labelledby="export-title">
      <div className="head">
        <h2 id="export-title">{message('earned.export')}</h2>
      </div>
      <p className="soft">{message('earned.export.what')}</p>
      <div className="press">
        {KINDS.filter((kind) => money || kind !== 'tax').map((kind) => (
          <button
            key={kind}
            type="button"
            className="button ghost"
            aria-disabled={act.busy}
            onClick={() => void act.run(async () => setSaved(await earnings.save(kind)))}
          >
            {message(`earned.export.${kind}`)}
          </button>
        ))}
      </div>
      {money && <p className="faint">{message('earned.export.tax.what')}</p>}
      <div role="status">
        {act.busy && <p className="faint">{message('screen.wallet.working')}</p>}
        {!act.busy && saved !== null && (
          <p>
            {message('earned.export.saved', { rows: saved.rows })} <span className="mono">{saved.path}</span>{' '}
            <CopyButton text={saved.path} what="earned.export.copy" />
          </p>
        )}
      </div>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </section>
  );
}
