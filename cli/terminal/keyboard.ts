import type { ReadStream } from 'node:tty';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { TextStream } from './terminal.ts';

/** Where somebody types what must not stand in a command line, which every local user can read. */
export interface Keyboard {
  /** Whether somebody can sit at it: a terminal to type at, and one to be asked on. */
  readonly present: boolean;
  /** One line. `secret`: nothing of it is shown. @throws CANCELLED at Ctrl-C, or where the terminal is closed */
  ask(prompt: string, options: { secret: boolean }): Promise<string>;
  /** The lines of stdin to its end, for scripts. @throws USAGE for more than any secret needs */
  lines(): Promise<string[]>;
}

const MAX_CHARACTERS = 128 * 1024;
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_U = '\u0015';
const BACKSPACE = new Set(['\b', '\u007f']);

/** The keyboard of a process. */
export function processKeyboard(stdin: ReadStream | NodeJS.ReadStream, prompts: TextStream): Keyboard {
  const present = stdin.isTTY === true && prompts.isTTY === true;

  /** What came in one piece with the line before: several pasted at once. */
  const ahead: string[] = [];

  /** Raw, so that the terminal shows nothing by itself: what may be seen is written here. */
  function ask(prompt: string, secret: boolean): Promise<string> {
    return new Promise((resolve, reject) => {
      let typed: string[] = [];
      const end = (settle: () => void) => {
        stdin.off('data', onData);
        stdin.off('end', onEnd);
        stdin.setRawMode(false);
        stdin.pause();
        prompts.write('\n');
        settle();
      };
      const onEnd = () => end(() => reject(new HearthlendError('CANCELLED')));
      const onData = (chunk: string | Buffer) => {
        ahead.push(...chunk.toString());
        for (let character = ahead.shift(); character !== undefined; character = ahead.shift()) {
          if (character === '\r' || character === '\n') return end(() => resolve(typed.join('')));
          if (character === CTRL_C || character === CTRL_D) return onEnd();
          if (character === CTRL_U || BACKSPACE.has(character)) {
            const gone = character === CTRL_U ? typed.length : Math.min(1, typed.length);
            typed = typed.slice(0, typed.length - gone);
            if (!secret) prompts.write('\b \b'.repeat(gone));
          } else if (character >= ' ' && typed.length < MAX_CHARACTERS) {
            typed.push(character);
            if (!secret) prompts.write(character);
          }
        }
      };
      // Before the prompt, or the first characters of somebody quick would be shown.
      stdin.setRawMode(true);
      prompts.write(prompt);
      stdin.setEncoding('utf8');
      stdin.on('data', onData);
      stdin.on('end', onEnd);
      stdin.resume();
      onData('');
    });
  }

  return {
    present,
    ask: (prompt, { secret }) => ask(prompt, secret),
    async lines() {
      let text = '';
      stdin.setEncoding('utf8');
      for await (const chunk of stdin) {
        text += String(chunk);
        if (text.length > MAX_CHARACTERS) throw new HearthlendError('USAGE', { detail: `stdin is over ${MAX_CHARACTERS} characters` });
      }
      return text.replace(/\r?\n$/, '').split(/\r?\n/);
    },
  };
}
