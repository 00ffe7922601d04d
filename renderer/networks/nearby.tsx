import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { NearbyNetwork } from '../../core/contract/networks.ts';
import { useAgent } from '../agent/agent.ts';
import { useAct } from '../words/use-act.ts';

/** What makes itself known on the local network, once somebody asks. */
export function Nearby(): React.ReactNode {
  const { networks } = useAgent();
  const act = useAct();
  const [found, setFound] = useState<NearbyNetwork[] | null>(null);
  return (
    <section className="card nearby" aria-labelledby="nearby-title">
      <div className="head">
        <h2 id="nearby-title">{message('networks.nearby')}</h2>
      </div>
      <p className="soft">{message('networks.nearby.what')}</p>
      {found !== null && found.length > 0 && (
        <ul className="found">
          {found.map(({ id, operator, at }) => (
            <li key={at}>
              <b>{operator === '' ? id : operator}</b> <span className="faint mono">{`${id} · ${at}`}</span>
            </li>
          ))}
        </ul>
      )}
      <div className="press">
        <button
          type="button"
          className="button ghost"
          aria-disabled={act.busy}
          onClick={() => void act.run(async () => setFound(await networks.nearby()))}
        >
          {message('networks.nearby.look')}
        </button>
        <span className="faint" role="status">
          {act.busy ? message('networks.nearby.looking') : found?.length === 0 ? message('networks.nearby.none') : ''}
        </span>
      </div>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </section>
  );
}
