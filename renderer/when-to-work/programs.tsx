import { useId, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { PolicyStatus } from '../../core/contract/policy.ts';
import type { Rules } from '../../core/contract/rules.ts';
import { useAgent } from '../agent/agent.ts';
import { useAct } from '../words/use-act.ts';
import type { Change } from './field-view.tsx';

const MAX_PROGRAMS = 5000;

/** Programs that work steps aside for: the maintained list, what the user added to it, and what of it the user doesn't want. */
export function Programs({ rules, status, onChange }: { rules: Rules; status: PolicyStatus; onChange: Change }): React.ReactNode {
  const { programs } = rules;
  const change = (fields: Partial<Rules['programs']>): void => onChange({ programs: { ...programs, ...fields } });
  const running = [...new Set((status.signals.programs?.value ?? []).map(({ name }) => name))];
  const front = status.signals.fullScreen?.value?.name ?? null;
  const known = (name: string) => running.includes(name) || programs.added.some((each) => each.toLowerCase() === name.toLowerCase());
  return (
    <section className="card" aria-labelledby="programs">
      <div className="head">
        <h2 id="programs">{message('when.programs')}</h2>
      </div>
      <label className="check">
        <input type="checkbox" checked={programs.pause} onChange={(event) => change({ pause: event.target.checked })} />
        {message('when.programs.pause')}
      </label>
      {programs.pause && (
        <>
          {running.length > 0 && (
            <List
              title={message('when.programs.running')}
              names={running}
              button={message('when.programs.not-this')}
              onPress={(name) =>
                change(
                  programs.added.includes(name)
                    ? { added: programs.added.filter((each) => each !== name) }
                    : { removed: [...programs.removed, name] },
                )
              }
            />
          )}
          {front !== null && !known(front) && programs.added.length < MAX_PROGRAMS && (
            <p>
              <button type="button" className="plain" onClick={() => change({ added: [...programs.added, front] })}>
                {message('when.programs.add-front', { name: front })}
              </button>
            </p>
          )}
          <RunningNow
            known={(name) => rules.programs.added.some((each) => each.toLowerCase() === name.toLowerCase())}
            onAdd={(name) => change({ added: [...programs.added, name] })}
          />
          <AddProgram
            full={programs.added.length >= MAX_PROGRAMS}
            onAdd={(name) => {
              if (!programs.added.includes(name)) change({ added: [...programs.added, name] });
            }}
          />
          {programs.added.length > 0 && (
            <List
              title={message('when.programs.added')}
              names={programs.added}
              button={message('when.programs.remove')}
              onPress={(name) => change({ added: programs.added.filter((each) => each !== name) })}
            />
          )}
          {programs.removed.length > 0 && (
            <List
              title={message('when.programs.removed')}
              names={programs.removed}
              button={message('when.programs.back')}
              onPress={(name) => change({ removed: programs.removed.filter((each) => each !== name) })}
            />
          )}
          <p className="soft">{message('when.programs.maintained')}</p>
        </>
      )}
    </section>
  );
}

/** What runs now, asked for at a press, to add it from. */
function RunningNow({ known, onAdd }: { known(name: string): boolean; onAdd(name: string): void }): React.ReactNode {
  const { policy } = useAgent();
  const act = useAct();
  const [names, setNames] = useState<readonly string[] | null>(null);
  const open = names !== null;
  return (
    <div>
      <button
        type="button"
        className="plain"
        aria-expanded={open}
        onClick={() => {
          if (open) setNames(null);
          else void act.run(async () => setNames(await policy.running()));
        }}
      >
        {message(open ? 'when.programs.hide' : 'when.programs.add-running')}
      </button>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
      {names !== null && (
        <List
          title={message('when.programs.now')}
          names={names.filter((name) => !known(name))}
          button={message('when.programs.add')}
          onPress={onAdd}
        />
      )}
    </div>
  );
}

function AddProgram({ full, onAdd }: { full: boolean; onAdd(name: string): void }): React.ReactNode {
  const [name, setName] = useState('');
  const id = useId();
  return (
    <form
      className="add-program"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim() === '' || full) return;
        onAdd(name.trim());
        setName('');
      }}
    >
      <label htmlFor={id}>{message('when.programs.name')}</label>
      <span>
        <input
          id={id}
          type="text"
          maxLength={260}
          autoComplete="off"
          spellCheck={false}
          placeholder={message('when.programs.example')}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="button ghost" aria-disabled={name.trim() === '' || full}>
          {message('when.programs.add')}
        </button>
      </span>
    </form>
  );
}

interface ListProps {
  title: string;
  names: readonly string[];
  button: string;
  onPress(name: string): void;
}

const SHOWN = 20;

function List({ title, names, button, onPress }: ListProps): React.ReactNode {
  const [all, setAll] = useState(false);
  const shown = all ? names : names.slice(0, SHOWN);
  return (
    <div className="program-list">
      <h3>{title}</h3>
      <ul>
        {shown.map((name) => (
          <li key={name}>
            <span className="mono">{name}</span>
            <button type="button" className="plain" aria-label={`${button}: ${name}`} onClick={() => onPress(name)}>
              {button}
            </button>
          </li>
        ))}
      </ul>
      {names.length > shown.length && (
        <button type="button" className="plain" onClick={() => setAll(true)}>
          {message('when.show-more', { count: names.length - shown.length })}
        </button>
      )}
    </div>
  );
}
