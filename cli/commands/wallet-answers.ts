import { HearthlendError } from '../../core/contract/errors.ts';
import { type MessageKey, message } from '../../core/contract/messages.ts';
import { PASSWORD_CHARACTERS } from '../../core/contract/signer.ts';
import type { Keyboard } from '../terminal/keyboard.ts';

/** Where secrets come from: somebody at the keyboard, or the lines of stdin, one after the other. */
export interface Answers {
  /** Whether somebody types, who may mistype. */
  typed: boolean;
  secret(prompt: string): Promise<string>;
}

/** @throws USAGE where neither a terminal nor --password-stdin is there */
export async function openAnswers(keyboard: Keyboard, fromStdin: boolean): Promise<Answers> {
  if (fromStdin) {
    const lines = await keyboard.lines();
    return {
      typed: false,
      secret: async () => {
        const line = lines.shift();
        if (line === undefined) throw new HearthlendError('USAGE', { detail: message('cli.usage.stdin-lines') });
        return line;
      },
    };
  }
  if (!keyboard.present) throw new HearthlendError('USAGE', { detail: message('cli.usage.no-keyboard') });
  return { typed: true, secret: (prompt) => keyboard.ask(prompt, { secret: true }) };
}

export function askPassword(answers: Answers, prompt: MessageKey): Promise<string> {
  return answers.secret(message(prompt));
}

/** A new password: long enough, and typed twice where it is typed. @throws WALLET_PASSWORD_SHORT, USAGE where the two differ */
export async function askNewPassword(answers: Answers): Promise<string> {
  const { least } = PASSWORD_CHARACTERS;
  const password = await answers.secret(message('cli.wallet.ask.new-password', { least }));
  if ([...password].length < least) throw new HearthlendError('WALLET_PASSWORD_SHORT', { least });
  if (answers.typed && (await answers.secret(message('cli.wallet.ask.again'))) !== password) {
    throw new HearthlendError('USAGE', { detail: message('cli.usage.passwords-differ') });
  }
  return password;
}
