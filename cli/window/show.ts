import { message, messageOf } from '../../core/contract/messages.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { openWindow, type Surroundings } from './window.ts';

/** Opens a window, or prints an address with a code of its own, and says which and why. */
export async function showWindow(
  around: Surroundings,
  terminal: Terminal,
  dataDir: string,
  newCode: () => Promise<{ url: string; code: string }>,
): Promise<void> {
  const outcome = await openWindow(around, dataDir, newCode);
  if (outcome.opened) {
    terminal.text(message('cli.window.opened', { browser: outcome.browser }));
    terminal.emit({ event: 'window', opened: true, browser: outcome.browser });
    return;
  }
  const reason = messageOf(outcome.reason);
  const { url } = await newCode();
  terminal.text(message('cli.window.address', { reason, url }));
  terminal.emit({ event: 'window', opened: false, reason, url });
}
