import { type Killed, type Run, type Story, textOf } from '../story.ts';
import { isSame, lanesOf, type Span } from '../view.ts';
import { say } from '../words.ts';

/** The prompt's answers: who computed which token at each stage, and the text as it comes. */
export function Answer({ story }: { story: Story }): React.ReactNode {
  const run = story.runs.at(-1);
  const same = isSame(story);
  return (
    <section className="card answer" aria-labelledby="answer">
      <div className="head">
        <h2 id="answer">{say('answer')}</h2>
        {run !== undefined && <span>{say('answer.split', { stages: run.stages.length })}</span>}
      </div>
      {run === undefined ? (
        <p className="empty">{say('answer.none')}</p>
      ) : (
        <>
          <Text run={run} prompt={story.prompt} killed={run.name === 'split' ? story.killed : null} />
          {run.name === 'split' && <Lanes run={run} killed={story.killed} most={mostTokens(story)} />}
          {run.name === 'split' && story.killed !== null && <Cut killed={story.killed} />}
          {same !== null && (
            <p className={same ? 'verdict ok' : 'verdict bad'}>
              {same ? say('answer.same', { count: run.counted ?? 0 }) : say('answer.different')}
            </p>
          )}
        </>
      )}
    </section>
  );
}

/** As many as the whole model made: the answer is going to be as long. */
function mostTokens({ runs }: Story): number {
  const [whole, split] = [runs.find(({ name }) => name === 'whole'), runs.find(({ name }) => name === 'split')];
  return Math.max(whole?.counted ?? 0, split?.tokens.length ?? 0, 1);
}

function Text({ run, prompt, killed }: { run: Run; prompt: string; killed: Killed | null }): React.ReactNode {
  const cut = killed?.token ?? run.tokens.length;
  const before = textOf({ tokens: run.tokens.slice(0, cut) });
  const after = textOf({ tokens: run.tokens.slice(cut) });
  return (
    <p className="generated">
      <b>{prompt}</b>
      {before}
      {killed !== null && <i className="cut" aria-hidden="true" />}
      {after !== '' && <span className="after">{after}</span>}
    </p>
  );
}

function Lanes({ run, killed, most }: { run: Run; killed: Killed | null; most: number }): React.ReactNode {
  return (
    <div className="lanes">
      {lanesOf(run).map((spans, stage) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a stage is its number
        <div className="lane" key={stage}>
          <span className="name">
            {say('answer.stage', { stage: stage + 1, from: run.stages[stage]?.from ?? 0, to: run.stages[stage]?.to ?? 0 })}
          </span>
          <div className="bar" role="img" aria-label={laneWords(stage, spans)}>
            {spans.map(({ machine, from, to }) => (
              <span key={from} className={`span ${(machine ?? '').toLowerCase()}`} style={{ width: `${(100 * (to - from)) / most}%` }}>
                {machine ?? say('unknown')}
              </span>
            ))}
            {killed !== null && <i className="kill" style={{ left: `${(100 * killed.token) / most}%` }} />}
          </div>
        </div>
      ))}
    </div>
  );
}

function laneWords(stage: number, spans: readonly Span[]): string {
  const each = spans.map(({ machine, from, to }) => say('answer.span', { machine: machine ?? say('unknown'), from: from + 1, to }));
  return say('answer.lane', { stage: stage + 1, spans: each.join('; ') });
}

function Cut({ killed }: { killed: Killed }): React.ReactNode {
  const { machine, token, takenBy, afterMs } = killed;
  return (
    <p className="cut-words">
      <i className="key" aria-hidden="true" />
      {say('answer.cut', { machine, token })}
      {takenBy !== null && ` ${say('answer.taken', { machine: takenBy, seconds: ((afterMs ?? 0) / 1000).toFixed(1) })}`}
    </p>
  );
}
