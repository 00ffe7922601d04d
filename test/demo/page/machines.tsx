import { LIAR, type Machine, type Story } from '../story.ts';
import { stateOf } from '../view.ts';
import { say, type WordKey } from '../words.ts';

/** The machines side by side: what each does now, by its own word, and how what it handed in was found. */
export function Machines({ story }: { story: Story }): React.ReactNode {
  return (
    <section className="machines" aria-label={say('machines')}>
      {story.machines.map((machine) => (
        <Card key={machine.name} machine={machine} />
      ))}
    </section>
  );
}

function Card({ machine }: { machine: Machine }): React.ReactNode {
  const { name, audits, money } = machine;
  const { word, tone } = stateOf(machine);
  const lies = name === LIAR;
  const figures: [WordKey, string | number, string][] = [
    ['machine.accepted', money.receipts, ''],
    ['machine.checked', audits.valid, ''],
    ['machine.wrong', audits.bad, audits.bad > 0 ? 'bad' : ''],
  ];
  return (
    <article className="card machine" data-machine={name} data-state={machine.state}>
      <div className="head">
        <h2>
          {name}
          {lies && <span className="tag">{say('machine.lies')}</span>}
        </h2>
        <span className={`state ${tone}`}>
          <i aria-hidden="true" />
          {word}
        </span>
      </div>
      <dl className="figures">
        {figures.map(([key, value, tone]) => (
          <div key={key}>
            <dd className={tone}>{value}</dd>
            <dt>{say(key)}</dt>
          </div>
        ))}
      </dl>
      <p className="sealed">{sealedBy(machine, lies)}</p>
    </article>
  );
}

function sealedBy({ isolation }: Machine, lies: boolean): string {
  if (lies) return say('machine.sealed.lies');
  return isolation === null ? say('unknown') : say(`machine.sealed.${isolation}` as WordKey);
}
