import { type MessageKey, message } from '../../core/contract/messages.ts';
import type { CurrentShard, Snapshot } from '../../core/contract/snapshot.ts';
import type { AppState } from '../agent/app-state.ts';
import { NewestText } from '../frame/newest-text.tsx';
import { kindWord, shortId } from '../words/plain.ts';

/** The task being computed, its text appearing as it is made. While there is none, the one before stays to be read. */
export function ComputingNow({ state, snapshot }: { state: AppState; snapshot: Snapshot }): React.ReactNode {
  const shard = state.shown?.shard ?? null;
  const last = shard !== null && (snapshot.state.name !== 'working' || state.link.name !== 'live');
  return (
    <section className="card computing" aria-labelledby="now">
      <div className="head">
        <h2 id="now">{message(last ? 'screen.now.done' : 'screen.now')}</h2>
        {shard !== null && (
          <span title={shard.shardId}>{message('screen.now.task', { id: shortId(shard.shardId), kind: kindWord(shard) })}</span>
        )}
      </div>
      {shard === null ? (
        <p className="empty">{nothingWords(snapshot)}</p>
      ) : (
        <Work shard={shard} newest={last ? '' : (state.shown?.newest ?? '')} />
      )}
      {shard !== null && <Details shard={shard} />}
    </section>
  );
}

function nothingWords({ state }: Snapshot): string {
  if (state.name === 'paused') return message('screen.now.nothing.paused');
  return message(state.name === 'starting' || state.name === 'working' ? 'screen.now.nothing.starting' : 'screen.now.nothing');
}

function Work({ shard, newest }: { shard: CurrentShard; newest: string }): React.ReactNode {
  if (shard.origin === 'network') return <p className="plainly">{message('screen.now.network', { network: shard.network })}</p>;
  if (shard.kind === 'onnx.run')
    return <p className="plainly">{message(shard.origin === 'practice' ? 'screen.now.scoring' : 'screen.now.own-run')}</p>;
  return <NewestText prompt={shard.prompt ?? ''} text={shard.text ?? ''} newest={newest} />;
}

function Details({ shard }: { shard: CurrentShard }): React.ReactNode {
  const tokens =
    shard.maxNewTokens === null ? null : message('screen.now.details.tokens-of', { tokens: shard.tokens, max: shard.maxNewTokens });
  const facts: [MessageKey, string][] = [
    ['screen.now.details.shard', shard.shardId],
    ['screen.now.details.attempt', String(shard.attempt)],
    ['screen.now.details.network', shard.network],
    ['screen.now.details.kind', shard.kind],
  ];
  if (tokens !== null) facts.push(['screen.now.details.tokens', tokens]);
  return (
    <details>
      <summary>{message('screen.now.details')}</summary>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div className="fact" key={name}>
            <dt>{message(name)}</dt>
            <dd className="mono">{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
