import type { HardwareReport } from '../../core/contract/hardware.ts';
import { message } from '../../core/contract/messages.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import type { AppState } from '../agent/app-state.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { RetryCountdown } from '../frame/retry.tsx';
import { Benchmark } from './benchmark.tsx';
import { pcHeadline } from './headline.ts';
import { Live } from './live.tsx';
import { Machine, Problems } from './machine.tsx';
import { reportText } from './report-text.ts';
import { Safety } from './safety.tsx';

/** What can this PC do, and is it safe to let it? */
export function ThisPcPage({ state, snapshot }: { state: AppState; snapshot: Snapshot }): React.ReactNode {
  const { hardware, backends, isolation } = snapshot;
  const { title, why, number } = pcHeadline(snapshot);
  const live = state.link.name === 'live';
  return (
    <div className={live ? 'this-pc' : 'this-pc stale'}>
      <div className="top">
        <div>
          <h1>{title}</h1>
          <p className="why">{why}</p>
          {!live && (
            <p role="status">
              {message('screen.link.lost')}. <RetryCountdown link={state.link} />
            </p>
          )}
        </div>
        {number !== null && (
          <p className="number">
            <b>{number.value}</b> {number.unit}
          </p>
        )}
      </div>
      <Live telemetry={state.telemetry} hardware={hardware} />
      {hardware !== null && <Problems problems={hardware.problems} hardware={hardware} />}
      <div className="pair">
        <div className="side-by">
          <Safety isolation={isolation} live={live} />
          {hardware !== null && <Copy state={state} snapshot={snapshot} hardware={hardware} />}
        </div>
        <div className="side-by">
          <Benchmark history={state.benchmark} hardware={hardware} assets={snapshot.earnings} live={live} />
          {hardware !== null && <Machine hardware={hardware} backends={backends} />}
        </div>
      </div>
    </div>
  );
}

function Copy({ state, snapshot, hardware }: { state: AppState; snapshot: Snapshot; hardware: HardwareReport }): React.ReactNode {
  const { version, backends, isolation } = snapshot;
  const text = reportText({ version, hardware, backends, isolation, sample: state.telemetry.samples.at(-1) ?? null });
  return (
    <section className="card" aria-labelledby="copy">
      <div className="head">
        <h2 id="copy">{message('pc.copy')}</h2>
        <CopyButton text={text} what="pc.copy.what" />
      </div>
      <p className="soft">{message('pc.copy.why')}</p>
      <details>
        <summary>{message('pc.copy.show')}</summary>
        <pre className="mono">{text}</pre>
      </details>
    </section>
  );
}
