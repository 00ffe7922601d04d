import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { processKeyboard } from '../../cli/terminal/keyboard.ts';
import { HearthlendError } from '../../core/contract/errors.ts';

/** A terminal: what is typed comes as it is, and raw mode is noted beside what was shown by then. */
function terminal() {
  const modes: string[] = [];
  const shown: string[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode(raw: boolean) {
      modes.push(`${raw ? 'raw' : 'cooked'} after ${JSON.stringify(shown.join(''))}`);
      return this;
    },
  });
  const prompts = Object.assign(new PassThrough(), { isTTY: true });
  prompts.on('data', (text) => shown.push(String(text)));
  return { stdin, shown, modes, keyboard: processKeyboard(stdin as never, prompts) };
}

test('a secret is not shown, not even its length, and the terminal is silent before it asks', async () => {
  const { stdin, shown, modes, keyboard } = terminal();
  const asked = keyboard.ask('Password: ', { secret: true });
  stdin.write('lanterx\u007fn\r');
  expect(await asked).toBe('lantern');
  expect(shown.join('')).toBe('Password: \n');
  expect(modes).toEqual(['raw after ""', expect.stringContaining('cooked')]);
});

test('what is no secret is shown as it is typed, and a line can be taken back', async () => {
  const { stdin, shown, keyboard } = terminal();
  const asked = keyboard.ask('Word 3: ', { secret: false });
  stdin.write('zo\u0015oak\n');
  expect(await asked).toBe('oak');
  expect(shown.join('')).toBe('Word 3: zo\b \b\b \boak\n');
});

test('lines that are pasted at once answer one question each', async () => {
  const { stdin, keyboard } = terminal();
  const first = keyboard.ask('1: ', { secret: true });
  stdin.write('one\rtwo\r');
  expect(await first).toBe('one');
  expect(await keyboard.ask('2: ', { secret: true })).toBe('two');
});

test.each([
  ['Ctrl-C', (stdin: PassThrough) => stdin.write('half\u0003')],
  ['the end of the terminal', (stdin: PassThrough) => stdin.end()],
])('%s cancels the question and gives the terminal back', async (_what, act) => {
  const { stdin, modes, keyboard } = terminal();
  const asked = keyboard.ask('Password: ', { secret: true });
  act(stdin);
  await expect(asked).rejects.toMatchObject(new HearthlendError('CANCELLED'));
  expect(modes.at(-1)).toContain('cooked');
});

test('scripts give their lines by stdin, however it ends', async () => {
  const { stdin, keyboard } = terminal();
  stdin.end('words of mine\r\npassword\n');
  expect(await keyboard.lines()).toEqual(['words of mine', 'password']);
});
