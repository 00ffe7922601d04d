import { asHearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { RevealedWords } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import type { Context } from './command.ts';

interface ShowWords {
  words: RevealedWords;
  /** Print them wherever the output goes. */
  reveal: boolean;
  confirm(words: string[]): Promise<WalletStatus>;
  mustConfirm: boolean;
}

const TRIES = 3;
/** A screen of its own, which leaves nothing in what can be scrolled back to. Source: xterm's control sequences, DECSET 1049. */
const OTHER_SCREEN = '\x1b[?1049h\x1b[H';
const BACK = '\x1b[?1049l';

/** Shows recovery words once, where somebody sits, and asks for some of them again. The status after it; null where nothing was confirmed. */
export async function showWords(
  { world, terminal }: Context,
  { words, reveal, confirm, mustConfirm }: ShowWords,
): Promise<WalletStatus | null> {
  const numbered = words.words.map((word, index) => message('cli.wallet.word', { number: index + 1, word }));
  if (reveal) {
    for (const line of numbered) terminal.text(line);
    return null;
  }
  const { keyboard, stderr } = world;
  if (!keyboard.present || stderr.isTTY !== true) {
    terminal.note(message('cli.wallet.words-hidden'));
    return null;
  }
  stderr.write(`${OTHER_SCREEN}${message('cli.wallet.words')}\n\n${numbered.join('\n')}\n\n`);
  try {
    await keyboard.ask(message('cli.wallet.written'), { secret: true });
  } finally {
    stderr.write(BACK);
  }
  return mustConfirm ? confirmWords() : null;

  async function confirmWords(): Promise<WalletStatus | null> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const again: string[] = [];
      for (const number of words.ask) again.push(await keyboard.ask(message('cli.wallet.ask.word', { number }), { secret: false }));
      try {
        const status = await confirm(again);
        terminal.text(message('cli.wallet.confirmed'));
        return status;
      } catch (thrown) {
        if (asHearthlendError(thrown).code !== 'WALLET_WORDS_WRONG') throw thrown;
        terminal.note(message('WALLET_WORDS_WRONG'));
      }
    }
    terminal.note(message('cli.wallet.not-backed-up'));
    return null;
  }
}
