import type { HearthlendError } from '../../core/contract/errors.ts';
import { describeError, type MessageRef, message, messageOf } from '../../core/contract/messages.ts';

/** The words of a message that came from the agent. One that lacks a parameter is shown by its key, rather than taking the page down. */
export function say(ref: MessageRef): string {
  try {
    return messageOf(ref);
  } catch {
    return message('screen.words-missing', { key: ref.key });
  }
}

/** What to tell about an error, even one that came without the parameters of its message. */
export function sayError(error: HearthlendError): { code: string; what: string; next: string } {
  try {
    return describeError(error);
  } catch {
    return describeErrorByCode(error.code);
  }
}

function describeErrorByCode(code: string): { code: string; what: string; next: string } {
  return { code, what: message('INTERNAL', { detail: code }), next: message('INTERNAL.next') };
}
