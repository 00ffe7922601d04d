import { LIAR, type Story } from '../story.ts';
import { say } from '../words.ts';

/** What was handed in and found wrong, with what the coordinator found. */
export function Verdicts({ story }: { story: Story }): React.ReactNode {
  const { verdicts, texts, machines } = story;
  const suspended = machines.some(({ name, state }) => name === LIAR && state === 'suspended');
  return (
    <section className="card verdicts" aria-labelledby="verdicts">
      <div className="head">
        <h2 id="verdicts">{say('verdicts')}</h2>
        <span>{say('verdicts.texts', { ...texts })}</span>
      </div>
      {verdicts.length === 0 ? (
        <p className="empty">{say('verdicts.none')}</p>
      ) : (
        <ol>
          {verdicts.map(({ machine, shard, detail }) => (
            <li key={shard}>
              <p>{say('verdict', { machine })}</p>
              <p className="mono">{detail}</p>
            </li>
          ))}
        </ol>
      )}
      {suspended && <p className="soft after">{say('verdicts.after')}</p>}
    </section>
  );
}
