import { useState } from 'react';
import { amountText } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import type { AssetEarnings, TaskRow } from '../../core/contract/snapshot.ts';
import { kindWord, outcomeWords, shortId } from '../words/plain.ts';
import { timeText } from '../words/times.ts';

const FEW = 5;

/** The tasks that were worked on last, newest first. */
export function LastTasks({ tasks, earnings }: { tasks: readonly TaskRow[]; earnings: readonly AssetEarnings[] }): React.ReactNode {
  const [all, setAll] = useState(false);
  const shown = all ? tasks : tasks.slice(0, FEW);
  return (
    <section className="card tasks" aria-labelledby="tasks">
      <div className="head">
        <h2 id="tasks">{message('screen.tasks')}</h2>
        {tasks.length > FEW && (
          <button type="button" className="plain" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? message('screen.tasks.fewer') : message('screen.tasks.more', { count: tasks.length - FEW })}
          </button>
        )}
      </div>
      {tasks.length === 0 ? (
        <p className="empty">{message('screen.tasks.none')}</p>
      ) : (
        <table>
          <thead className="hidden">
            <tr>
              <th scope="col">{message('screen.tasks.task')}</th>
              <th scope="col">{message('screen.tasks.outcome')}</th>
              <th scope="col">{message('screen.tasks.amount')}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((task) => (
              <tr key={`${task.shardId} ${task.attempt}`}>
                <td title={task.shardId}>
                  <span className="mono">{shortId(task.shardId)}</span> {kindWord(task)}
                </td>
                <td title={timeText(task.at)}>{outcomeWords(task)}</td>
                <td>{amountWords(task, earnings)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function amountWords({ origin, amount, asset }: TaskRow, earnings: readonly AssetEarnings[]): string {
  if (amount === null) return message('screen.tasks.amount.none');
  if (origin === 'own') return message('screen.tasks.amount.own');
  const known = earnings.find((each) => each.asset === asset);
  if (known === undefined) return message('screen.tasks.amount.none');
  const text = amountText(BigInt(amount), known.decimals);
  return message(known.practice ? 'screen.tasks.amount.practice' : 'screen.tasks.amount.plus', { amount: text });
}
