import { useState } from 'react';
import type { BackendName } from '../../core/contract/backends.ts';
import { type BenchmarkHistory, type BenchmarkProgress, type BenchmarkResult, FIGURE_UNITS } from '../../core/contract/benchmark.ts';
import { asHearthlendError, errorOf, type HearthlendError } from '../../core/contract/errors.ts';
import type { HardwareReport } from '../../core/contract/hardware.ts';
import { message } from '../../core/contract/messages.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';
import { useAgent } from '../agent/agent.ts';
import { say, sayError } from '../words/say.ts';
import { BACKEND_NAMES } from './backends.tsx';
import { Estimate } from './estimate.tsx';
import { countWords, numberText } from './measures.ts';

const dateAndTime = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });

interface BenchmarkProps {
  /** Null until it is known. */
  history: BenchmarkHistory | null;
  hardware: HardwareReport | null;
  assets: readonly AssetEarnings[];
  live: boolean;
}

/** How fast is this PC? The newest measurement in a sentence, what it was made of, and those before it. */
export function Benchmark({ history, hardware, assets, live }: BenchmarkProps): React.ReactNode {
  const newest = history?.results[0];
  return (
    <section className="card benchmark" aria-labelledby="benchmark">
      <div className="head">
        <h2 id="benchmark">{message('pc.benchmark')}</h2>
        {newest !== undefined && <span>{message('pc.benchmark.at', { date: dateAndTime.format(newest.at) })}</span>}
      </div>
      {history !== null && newest === undefined && <p className="empty">{message('pc.benchmark.none')}</p>}
      {newest !== undefined && <Newest result={newest} hardware={hardware} />}
      {history !== null && newest !== undefined && <Estimate estimate={history.earnings} assets={assets} />}
      <Measure running={history?.running ?? null} live={live} hardware={hardware} />
      {newest !== undefined && <Figures result={newest} hardware={hardware} />}
      {history !== null && history.results.length > 1 && <Before results={history.results.slice(1)} />}
    </section>
  );
}

function Newest({ result, hardware }: { result: BenchmarkResult; hardware: HardwareReport | null }): React.ReactNode {
  const score = scoreOf(result);
  return (
    <div className="newest">
      {score !== null && (
        <p className="number">
          <b>{Math.round(score)}</b> {message('pc.benchmark.score')}
        </p>
      )}
      <div>
        <p>{say(result.sentence)}</p>
        {result.recommended !== null && (
          <p className="soft">{message('pc.benchmark.recommended', { where: whereWords(result.recommended, hardware) })}</p>
        )}
        {result.noise !== null && (
          <p className="warn">
            {message(result.noise.reason === 'busy' ? 'pc.benchmark.busy' : 'pc.benchmark.spread', {
              percent: Math.round(result.noise.share * 100),
            })}
          </p>
        )}
      </div>
    </div>
  );
}

/** Of the recommended way, else the best there is. */
function scoreOf({ backends, recommended }: BenchmarkResult): number | null {
  const chosen = backends.find(({ backend, gpu }) => backend === recommended?.backend && gpu === recommended.gpu);
  const scores = (chosen === undefined ? backends : [chosen]).flatMap(({ score }) => (score === null ? [] : [score]));
  return scores.length === 0 ? null : Math.max(...scores);
}

function whereWords({ backend, gpu }: { backend: BackendName; gpu: string | null }, hardware: HardwareReport | null): string {
  const device = gpu === null ? message('pc.live.cpu') : (hardware?.gpus.find(({ id }) => id === gpu)?.name ?? gpu);
  return message('pc.benchmark.where', { device, backend: BACKEND_NAMES[backend] });
}

/** The buttons, or how far it is. What went wrong stays until the next press; a busy machine may be measured anyway. */
function Measure({
  running,
  live,
  hardware,
}: {
  running: BenchmarkProgress | null;
  live: boolean;
  hardware: HardwareReport | null;
}): React.ReactNode {
  const { benchmark } = useAgent();
  const [trouble, setTrouble] = useState<HearthlendError | null>(null);
  const [asked, setAsked] = useState<{ quick: boolean } | null>(null);
  const busy = trouble?.code === 'BENCHMARK_BUSY' || trouble?.code === 'BENCHMARK_NOISY';

  async function attempt(work: Promise<void>): Promise<void> {
    setTrouble(null);
    try {
      await work;
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      // Who ended it knows.
      if (error.code !== 'CANCELLED') setTrouble(error);
    }
  }
  function run(quick: boolean, evenIfBusy = false): void {
    if (!live) return;
    setAsked({ quick });
    void attempt(benchmark.run({ quick, evenIfBusy }));
  }

  if (running !== null) {
    const where = whereWords(running, hardware);
    return (
      <div className="measuring">
        <progress max={Math.max(1, running.steps)} value={running.step} aria-label={message('pc.benchmark.measuring')} />
        <p role="status">{message('pc.benchmark.step', { what: message(`pc.figure.${running.figure}`), where })}</p>
        <button type="button" className="button ghost" onClick={() => void attempt(benchmark.cancel())}>
          {message('pc.benchmark.cancel')}
        </button>
      </div>
    );
  }
  return (
    <div className="measure">
      <div className="buttons">
        <button type="button" className="button ghost" aria-disabled={!live} onClick={() => run(true)}>
          {message('pc.benchmark.quick')}
        </button>
        <button type="button" className="button ghost" aria-disabled={!live} onClick={() => run(false)}>
          {message('pc.benchmark.thorough')}
        </button>
        {busy && asked !== null && (
          <button type="button" className="button ghost" aria-disabled={!live} onClick={() => run(asked.quick, true)}>
            {message('pc.benchmark.anyway')}
          </button>
        )}
      </div>
      <p className="soft">{message('pc.benchmark.meanwhile')}</p>
      {trouble !== null && <Trouble trouble={trouble} />}
    </div>
  );
}

function Trouble({ trouble }: { trouble: HearthlendError }): React.ReactNode {
  const { what, next } = sayError(trouble);
  return (
    <p className="bad" role="alert">
      {what} {next}
    </p>
  );
}

/** What the score is made of, and which kinds of tasks that allows. */
function Figures({ result, hardware }: { result: BenchmarkResult; hardware: HardwareReport | null }): React.ReactNode {
  const classes = result.shardClasses.filter(({ serves }) => serves);
  return (
    <details>
      <summary>{message('screen.safety.details')}</summary>
      {result.backends.map((each) => (
        <div key={`${each.gpu} ${each.backend}`} className="figures">
          <h3>
            {whereWords(each, hardware)}
            {each.score !== null && <span className="soft">{message('pc.benchmark.score-of', { score: Math.round(each.score) })}</span>}
          </h3>
          <dl className="facts">
            {each.figures.map(({ name, median, spread }) => (
              <div key={name} className="fact">
                <dt>{message(`pc.figure.${name}`)}</dt>
                <dd>
                  {numberText(median, 3)} {FIGURE_UNITS[name]}
                  <span className="faint"> {message('pc.benchmark.spread-of', { percent: numberText(spread * 100, 2) })}</span>
                </dd>
              </div>
            ))}
          </dl>
          {each.error !== null && <p className="soft">{sayError(errorOf(each.error.code, each.error.params)).what}</p>}
        </div>
      ))}
      <h3>{message('pc.classes')}</h3>
      <ul className="classes">
        {classes.map(({ name, tokensPerSecond }) => (
          <li key={name}>
            {message(`pc.class.${name}`)}
            {tokensPerSecond !== null && (
              <span className="faint"> {message('pc.class.tokens', { tokens: countWords(tokensPerSecond) })}</span>
            )}
          </li>
        ))}
        {classes.length === 0 && <li>{message('pc.classes.none')}</li>}
      </ul>
    </details>
  );
}

function Before({ results }: { results: readonly BenchmarkResult[] }): React.ReactNode {
  return (
    <details>
      <summary>{message('pc.benchmark.before', { count: results.length })}</summary>
      <ul className="before">
        {results.map((result) => {
          const score = scoreOf(result);
          return (
            <li key={result.at}>
              <span className="faint">{dateAndTime.format(result.at)}</span>
              <span>{say(result.sentence)}</span>
              <span>{score === null ? '–' : Math.round(score)}</span>
            </li>
          );
        })}
      </ul>
    </details>
  );
}
