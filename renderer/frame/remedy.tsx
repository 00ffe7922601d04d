import type { MessageRef } from '../../core/contract/messages.ts';
import { say } from '../words/say.ts';
import { Command } from './command.tsx';

/** The remedy's words, with its command, where it has one, set to be copied. */
export function Remedy({ remedy }: { remedy: MessageRef }): React.ReactNode {
  const words = say(remedy);
  const command = remedy.params.command;
  const at = typeof command === 'string' ? words.lastIndexOf(command) : -1;
  if (typeof command !== 'string' || at < 0) return <p>{words}</p>;
  const after = words.slice(at + command.length);
  return (
    <div className="remedy">
      <p>{words.slice(0, at)}</p>
      <Command text={command} />
      {after !== '' && <p>{after}</p>}
    </div>
  );
}
